"""JoinByCode: what each form of a code leads to, and who gets in."""

import secrets
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import delete, select

from tests.rpc.bundles import copy_bundle
from tests.rpc.conftest import MakeDatabase, serving, sqlite_database
from tests.rpc.filling import fill, state_of
from tests.rpc.streams import number
from tests.rpc.tenants import OPERATOR, STATE, Tenants
from tests.serving import Client, Refusal, Serving, attempt, refusal
from wsauthz.policy.bundle import read_bundle
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.store import invite_codes, revisions
from wsauthz.store.tables import audit_entries, memberships
from wsauthz.v1 import invitations_pb2 as pb
from wsauthz.v1 import memberships_pb2, organizations_pb2, workspace_states_pb2, workspaces_pb2

DENIED = grpc.StatusCode.PERMISSION_DENIED
INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


def join(tenants: Tenants, actor: str, code: str, **fields: Any) -> pb.JoinByCodeResponse:
    return tenants.client(actor).invitations.JoinByCode(pb.JoinByCodeRequest(code=code, **fields))


def joined(tenants: Tenants, actor: str, code: str) -> str:
    """Return the id of the workspace that the code let the actor into, as a new member."""
    answer = join(tenants, actor, code)
    assert answer.WhichOneof("outcome") == "joined", answer
    assert not answer.joined.already_member
    assert tenants.reason(actor, answer.joined.workspace.id) == ""
    return answer.joined.workspace.id


def joining(tenants: Tenants, actor: str, code: str) -> Refusal:
    return refusal(tenants.client(actor).invitations.JoinByCode, pb.JoinByCodeRequest(code=code))


def leads_nowhere(tenants: Tenants, code: str) -> bool:
    """Tell whether a code gives a fresh user what an unknown code gives, changing nothing."""
    before = tenants.revision
    unknown, refused = (joining(tenants, tenants.user(), each) for each in (secrets.token_hex(10), code))
    assert refused == unknown
    assert (refused.code, refused.reason, refused.message) == (NOT_FOUND, "WORKSPACE_NOT_FOUND", "Workspace not found")
    return number(tenants.revision) == number(before) + 2  # the two users


def invite_code(tenants: Tenants, workspace: str) -> str:
    return tenants.operator.invitations.GetInviteCode(pb.GetInviteCodeRequest(workspace_id=workspace)).code


def rotate(tenants: Tenants, workspace: str, **fields: Any) -> str:
    request = pb.RotateInviteCodeRequest(workspace_id=workspace, **fields)
    return tenants.operator.invitations.RotateInviteCode(request).code


def membership(tenants: Tenants, user: str, **place: str) -> memberships_pb2.Membership | None:
    request = memberships_pb2.GetMemberRequest(user_id=user, **place)
    found = attempt(tenants.operator.memberships.GetMember, request)
    return None if isinstance(found, Refusal) else found.member.membership


def add(tenants: Tenants, user: str, expires_at: Any = None, **place: Any) -> None:
    request = memberships_pb2.AddMemberRequest(user_id=user, expires_at=expires_at, **place)
    tenants.operator.memberships.AddMember(request)


def set_active(tenants: Tenants, user: str, *, is_active: bool, **place: Any) -> None:
    request = memberships_pb2.UpdateMemberRequest(user_id=user, is_active=is_active, **place)
    request.update_mask.paths.append("is_active")
    tenants.operator.memberships.UpdateMember(request)


def remove(tenants: Tenants, user: str, **place: str) -> None:
    tenants.operator.memberships.RemoveMember(memberships_pb2.RemoveMemberRequest(user_id=user, **place))


def expire(tenants: Tenants, user: str, **place: str) -> None:
    """Give somebody a membership and wait until it has expired."""
    soon = {"seconds": int(time.time()) + 2}
    add(tenants, user, expires_at=soon, **place)
    while time.time() < soon["seconds"]:
        time.sleep(0.05)


class Acme:
    """An organization with two workspaces, whose names are new."""

    def __init__(self, tenants: Tenants, *, workspaces: tuple[str, ...] = ("Marketing", "Sales")) -> None:
        self.owner = tenants.user()
        organization = tenants.organization(self.owner, f"Acme {secrets.token_hex(4)}")
        self.id, self.slug, self.name = organization.id, organization.slug, organization.name
        made = [tenants.workspace(self.owner, name, organization_id=self.id) for name in workspaces]
        self.workspaces = {workspace.slug: workspace.id for workspace in made}


@pytest.fixture(scope="module")
def acme(oneglanse: Tenants) -> Acme:
    return Acme(oneglanse)


# --- the forms of a code ----------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-007", "REQ-026", "REQ-055")
def test_an_invite_code_lets_in_with_the_default_roles(oneglanse: Tenants, acme: Acme) -> None:
    user, workspace = oneglanse.user(), acme.workspaces["marketing"]
    answer = join(oneglanse, user, f"  {invite_code(oneglanse, workspace)}\n")
    told = answer.joined
    assert (told.membership.user_id, told.membership.workspace_id, told.membership.role) == (user, workspace, "member")
    assert told.membership.is_active
    assert (told.workspace.id, told.workspace.name, told.workspace.slug) == (workspace, "Marketing", "marketing")
    assert (told.organization.id, told.organization.name, told.organization.slug) == (acme.id, acme.name, acme.slug)
    assert answer.revision == oneglanse.revision
    assert oneglanse.check(user, workspace, "prompt read", at_least_revision=answer.revision).denial.reason == ""
    of_organization = membership(oneglanse, user, organization_id=acme.id)
    assert of_organization is not None
    assert of_organization.role == "member"


@pytest.mark.req("REQ-055")
def test_a_stand_alone_workspace_comes_without_an_organization(oneglanse: Tenants) -> None:
    workspace, user = oneglanse.workspace(oneglanse.user()).id, oneglanse.user()
    answer = join(oneglanse, user, invite_code(oneglanse, workspace)).joined
    assert answer.workspace.id == workspace
    assert not answer.HasField("organization")


@pytest.mark.req("REQ-056")
def test_a_workspace_id_is_a_code(oneglanse: Tenants, acme: Acme) -> None:
    workspace = acme.workspaces["sales"]
    assert workspace.startswith("workspace_")
    assert joined(oneglanse, oneglanse.user(), f" {workspace} ") == workspace


@pytest.mark.req("REQ-058")
@pytest.mark.parametrize(
    "form",
    [
        "{slug}/marketing",
        "{slug}:marketing",
        " {slug} / marketing ",
        "{slug}//marketing",
        "/{slug}:/marketing/",
        "{slug}/{workspace}",
        "{id}/marketing",
        "{id}:{workspace}",
    ],
)
def test_organization_and_workspace_together_are_a_code(oneglanse: Tenants, acme: Acme, form: str) -> None:
    workspace = acme.workspaces["marketing"]
    code = form.format(slug=acme.slug, id=acme.id, workspace=workspace)
    assert joined(oneglanse, oneglanse.user(), code) == workspace


@pytest.mark.req("REQ-057")
def test_an_organization_with_one_workspace_is_a_code(oneglanse: Tenants) -> None:
    one = Acme(oneglanse, workspaces=("Only",))
    for code in (one.slug, one.id):
        assert joined(oneglanse, oneglanse.user(), code) == one.workspaces["only"]


@pytest.mark.req("REQ-055", "REQ-057")
def test_an_organization_with_several_offers_them_by_name_and_writes_nothing(oneglanse: Tenants) -> None:
    several = Acme(oneglanse, workspaces=("Zoo", "Bar", "Mid"))
    user = oneglanse.user()
    before, chosen = oneglanse.revision, ""
    for code in (several.slug, several.id):
        answer = join(oneglanse, user, code, request_id="choose")
        assert answer.WhichOneof("outcome") == "select_workspace"
        offered = answer.select_workspace
        assert (offered.organization.id, offered.organization.slug) == (several.id, several.slug)
        assert [(each.name, each.slug) for each in offered.workspaces] == [
            ("Bar", "bar"),
            ("Mid", "mid"),
            ("Zoo", "zoo"),
        ]
        assert {each.id for each in offered.workspaces} == set(several.workspaces.values())
        assert answer.revision == before
        chosen = offered.workspaces[1].id
    assert oneglanse.revision == before
    assert membership(oneglanse, user, organization_id=several.id) is None
    assert joined(oneglanse, user, chosen) == chosen


@pytest.mark.req("REQ-057", "REQ-058")
@pytest.mark.parametrize(
    "form",
    [
        "{slug}/",
        "/{slug}",
        "{slug}/marketing/x",
        "a/b/c",
        "{slug}/nothing",
        "{slug}/{elsewhere}",
        "{slug}/north",
        "nothing/marketing",
        "/",
        "workspace_{slug}/marketing",
        "workspace_/marketing",
        "{workspace}/marketing",
        "{upper}/marketing",
        "{slug}/Marketing",
        "{upper}",
        "Marketing",
        "marketing",
        "{empty}",
    ],
)
def test_what_is_not_exactly_a_code_leads_nowhere(oneglanse: Tenants, acme: Acme, form: str) -> None:
    elsewhere = oneglanse.workspace(oneglanse.user()).id
    names = {"slug": acme.slug, "upper": acme.slug.upper(), "workspace": acme.workspaces["marketing"]}
    empty = Acme(oneglanse, workspaces=()).slug
    assert leads_nowhere(oneglanse, form.format(elsewhere=elsewhere, empty=empty, **names))


@pytest.mark.req("REQ-007", "REQ-026")
def test_an_invite_code_is_read_as_people_type_it(oneglanse: Tenants, acme: Acme) -> None:
    workspace = acme.workspaces["marketing"]
    code = invite_code(oneglanse, workspace)
    grouped = "-".join(code[start : start + 5] for start in range(0, 20, 5))
    for typed in (code.lower(), grouped, grouped.lower().replace("-", " "), f"{code[:7]} - {code[7:]}", f"-{code}-"):
        assert joined(oneglanse, oneglanse.user(), typed) == workspace
    left, right = code[:10], code[10:]
    for other in (code[:-1], f"{code}0", code.replace(code[0], "U"), f"{left}_{right}", f"{left}.{right}"):
        assert leads_nowhere(oneglanse, other)


def test_an_imported_invite_code_is_read_exactly_unless_it_has_the_form_of_ours(make_database: MakeDatabase) -> None:
    ours, others = "abcdefghjkmnpqrstvwx", "Winter_Sale-2030"
    workspaces = [{"id": "a", "owner": "ann", "invite_code": ours}, {"id": "b", "owner": "ann", "invite_code": others}]
    state = {**STATE, "users": [{"id": "ann"}], "workspaces": workspaces}
    with serving(make_database(), "dam", state) as tenants:
        assert invite_code(tenants, "a") == ours.upper()
        for typed in (ours, ours.upper(), "ABCDE-FGHJK-MNPQR-STVWX"):
            assert joined(tenants, tenants.user(), typed) == "a"
        assert joined(tenants, tenants.user(), others) == "b"
        assert leads_nowhere(tenants, others.lower())
        assert leads_nowhere(tenants, others.replace("-", ""))


def test_ids_are_compared_by_case(oneglanse: Tenants, acme: Acme) -> None:
    workspace = acme.workspaces["marketing"]
    assert leads_nowhere(oneglanse, workspace.swapcase())
    assert leads_nowhere(oneglanse, "workspace_" + workspace.removeprefix("workspace_").swapcase())


@pytest.mark.parametrize("code", ["", "  ", "\t\r\n", "x" * 301, "a\0b", "a\nb", "a\x7fb", "a\x85b"])
def test_what_no_code_can_be_is_invalid(oneglanse: Tenants, code: str) -> None:
    before = oneglanse.revision
    refused = joining(oneglanse, "nobody-yet-" + secrets.token_hex(4), code)
    assert (refused.code, refused.reason, refused.fields) == (INVALID, "INVALID_CODE", ("code",))
    assert refused.message == "code: is no join code"
    assert oneglanse.revision == before


def test_three_hundred_characters_are_not_too_many(oneglanse: Tenants) -> None:
    assert leads_nowhere(oneglanse, " " + "x" * 300 + " ")


def test_only_an_active_account_joins(oneglanse: Tenants, acme: Acme) -> None:
    user = oneglanse.user(is_active=False)
    refused = joining(oneglanse, user, invite_code(oneglanse, acme.workspaces["sales"]))
    assert (refused.code, refused.reason) == (DENIED, "USER_INACTIVE")


@pytest.mark.req("REQ-035")
@pytest.mark.parametrize("bundle", ["eventpalour", "default"])
def test_where_only_invite_codes_are_switched_on_names_lead_nowhere(sqlite_template: Path, bundle: str) -> None:
    with serving(sqlite_database(sqlite_template), bundle) as tenants:
        check_invite_codes_only(tenants)


@pytest.mark.req("REQ-035")
def test_in_dam_too(dam: Tenants) -> None:
    check_invite_codes_only(dam)


def check_invite_codes_only(tenants: Tenants) -> None:
    one = Acme(tenants, workspaces=("Only",))
    workspace = one.workspaces["only"]
    for code in (workspace, one.slug, one.id, f"{one.slug}/only", f"{one.id}:{workspace}"):
        assert leads_nowhere(tenants, code)
    assert joined(tenants, tenants.user(), invite_code(tenants, workspace)) == workspace


# --- names that mean two things ---------------------------------------------------------------------------------------

TWINS: dict[str, Any] = {
    **STATE,
    "users": [*STATE["users"], {"id": "ann"}],
    "organizations": [{"id": "twin", "slug": "first"}, {"id": "second", "slug": "twin"}, {"id": "workspace_o"}],
    "workspaces": [
        {"id": "a", "organization": "twin", "owner": "ann", "slug": "hall"},
        {"id": "b", "organization": "second", "owner": "ann", "slug": "hall"},
        {"id": "c", "organization": "second", "owner": "ann", "slug": "a"},
        {"id": "d", "organization": "second", "owner": "ann", "slug": "b"},
        {"id": "deep", "organization": "second", "parent": "b", "owner": "ann", "slug": "deep"},
        {"id": "e", "organization": "workspace_o", "owner": "ann"},
        {"id": "first", "owner": "ann"},
        {"id": "123", "owner": "ann"},
    ],
}


@pytest.fixture(scope="module")
def twins(make_database: MakeDatabase) -> Iterator[Tenants]:
    """Return a server on imported names that mean two things; no workspace has a row for its invite code."""
    with serving(make_database(), "oneglanse", TWINS) as tenants:
        yield tenants


@pytest.mark.req("REQ-058")
@pytest.mark.parametrize(
    ("code", "workspace"),
    [
        ("twin/hall", "a"),  # an organization's id goes before another one's slug
        ("twin", "a"),
        ("second/hall", "b"),
        ("second/a", "c"),  # an id of another organization's workspace is nothing here
        ("second/b", "b"),  # an id goes before a slug
        ("second/deep", "deep"),  # at any depth
        ("a", "a"),  # an imported id, below an organization and alone
        ("deep", "deep"),
        ("123", "123"),
        ("first", "first"),  # before the slug of an organization
    ],
)
def test_an_id_goes_before_a_slug_and_never_into_another_organization(
    twins: Tenants, code: str, workspace: str
) -> None:
    assert joined(twins, twins.user(), code) == workspace


@pytest.mark.parametrize("code", ["twin/c", "twin/b", "first/d", "workspace_o", "workspace_o/e", "A", "hall"])
def test_nothing_is_found_across_organizations_nor_behind_the_prefix_of_ids(twins: Tenants, code: str) -> None:
    assert leads_nowhere(twins, code)


@pytest.mark.req("REQ-048", "REQ-056")
@pytest.mark.parametrize("workspace", ["a", "deep", "e", "first", "123"])
def test_the_workspace_code_that_members_are_told_leads_to_the_workspace(twins: Tenants, workspace: str) -> None:
    asked = pb.GetJoinInfoRequest(workspace_id=workspace)
    assert joined(twins, twins.user(), twins.operator.invitations.GetJoinInfo(asked).workspace_code) == workspace


def test_the_workspaces_of_an_organization_are_those_at_any_depth(twins: Tenants) -> None:
    answer = join(twins, twins.user(), "second").select_workspace
    assert [each.id for each in answer.workspaces] == ["b", "c", "d", "deep"]


def test_an_invite_code_goes_before_everything_else(oneglanse: Tenants, acme: Acme) -> None:
    # Made codes are no names; imported ones may be.
    workspace = acme.workspaces["marketing"]
    other = Acme(oneglanse, workspaces=("Only",))
    imported(oneglanse, workspace, other.slug)
    assert joined(oneglanse, oneglanse.user(), other.slug) == workspace
    imported(oneglanse, workspace, other.workspaces["only"])
    assert joined(oneglanse, oneglanse.user(), other.workspaces["only"]) == workspace
    rotate(oneglanse, workspace)
    assert joined(oneglanse, oneglanse.user(), other.slug) == other.workspaces["only"]


def imported(tenants: Tenants, workspace: str, code: str) -> None:
    """Give a workspace a code that only an import could."""
    with tenants.server.server.database.write() as connection:
        now = revisions.database_time(connection)
        invite_codes.put(connection, workspace, code, is_enabled=True, now=now)


# --- switched off, suspended, inactive, deleted -----------------------------------------------------------------------


@pytest.mark.req("REQ-036")
def test_switching_off_closes_every_form(oneglanse: Tenants) -> None:
    both = Acme(oneglanse)
    workspace = both.workspaces["marketing"]
    code = invite_code(oneglanse, workspace)
    rotate(oneglanse, workspace, disable=True)
    for each in (code, workspace, f"{both.slug}/marketing", f"{both.id}:{workspace}"):
        assert leads_nowhere(oneglanse, each)
    # The other one is the only one now, and once that is closed, too, there is none.
    assert joined(oneglanse, oneglanse.user(), both.slug) == both.workspaces["sales"]
    rotate(oneglanse, both.workspaces["sales"], disable=True)
    assert leads_nowhere(oneglanse, both.slug)
    fresh = rotate(oneglanse, workspace)
    assert leads_nowhere(oneglanse, code)
    for each in (fresh, workspace, both.slug, f"{both.slug}/marketing"):
        assert joined(oneglanse, oneglanse.user(), each) == workspace


@pytest.mark.parametrize(("verb", "reason"), [("Suspend", "WORKSPACE_SUSPENDED"), ("Deactivate", "WORKSPACE_INACTIVE")])
def test_nobody_joins_a_suspended_or_inactive_workspace(oneglanse: Tenants, verb: str, reason: str) -> None:
    both, member = Acme(oneglanse), oneglanse.user()
    workspace = both.workspaces["marketing"]
    code = invite_code(oneglanse, workspace)
    joined(oneglanse, member, code)
    request = getattr(workspace_states_pb2, f"{verb}WorkspaceRequest")(workspace_id=workspace)
    getattr(oneglanse.operator.states, f"{verb}Workspace")(request)
    newcomer, before = oneglanse.user(), oneglanse.revision
    for actor in (newcomer, member):
        for each in (code, workspace, f"{both.slug}/marketing"):
            refused = joining(oneglanse, actor, each)
            assert (refused.code, refused.reason, refused.violations) == (PRECONDITION, reason, (reason,))
    assert oneglanse.revision == before
    assert joined(oneglanse, oneglanse.user(), both.slug) == both.workspaces["sales"]


def test_nobody_joins_below_a_suspended_organization(oneglanse: Tenants) -> None:
    both = Acme(oneglanse)
    workspace = both.workspaces["marketing"]
    request = organizations_pb2.SuspendOrganizationRequest(organization_id=both.id)
    oneglanse.operator.organizations.SuspendOrganization(request)
    for each in (invite_code(oneglanse, workspace), workspace, f"{both.slug}/marketing"):
        assert joining(oneglanse, oneglanse.user(), each).reason == "WORKSPACE_SUSPENDED"
    assert leads_nowhere(oneglanse, both.slug)


def test_a_deleted_workspace_is_one_that_never_was(oneglanse: Tenants) -> None:
    both = Acme(oneglanse)
    workspace = both.workspaces["marketing"]
    code = invite_code(oneglanse, workspace)
    oneglanse.operator.workspaces.DeleteWorkspace(workspaces_pb2.DeleteWorkspaceRequest(workspace_id=workspace))
    for each in (code, workspace, f"{both.slug}/marketing", f"{both.slug}/{workspace}"):
        assert leads_nowhere(oneglanse, each)
    assert joined(oneglanse, oneglanse.user(), both.slug) == both.workspaces["sales"]
    again = oneglanse.workspace(both.owner, "Marketing", organization_id=both.id)
    assert again.slug == "marketing"
    assert joined(oneglanse, oneglanse.user(), f"{both.slug}/marketing") == again.id


# --- who joins --------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-055")
def test_a_member_gets_the_same_answer_and_keeps_its_role(oneglanse: Tenants, acme: Acme) -> None:
    user, workspace = oneglanse.user(), acme.workspaces["sales"]
    first = join(oneglanse, user, invite_code(oneglanse, workspace))
    for code in (invite_code(oneglanse, workspace), workspace, f"{acme.slug}/sales"):
        again = join(oneglanse, user, code)
        assert again.joined.already_member
        again.joined.already_member = False
        assert again == first
    owner = join(oneglanse, acme.owner, workspace).joined
    assert owner.already_member
    assert owner.membership.role == "owner"
    assert oneglanse.revision == first.revision


def test_a_member_gets_the_membership_of_the_organization_that_is_missing(twins: Tenants) -> None:
    # Through the API nobody is in a workspace without being in its organization.
    user = twins.user()
    add(twins, user, workspace_id="d")
    with twins.server.server.database.write() as connection:
        held = memberships.c.user_id == user, memberships.c.organization_id.is_not(None)
        connection.execute(delete(memberships).where(*held))
    twins.server.server.replica.load()
    assert membership(twins, user, organization_id="second") is None
    assert join(twins, user, "second/d").joined.already_member
    assert membership(twins, user, organization_id="second") is not None


def test_the_same_request_id_joins_once(oneglanse: Tenants) -> None:
    workspace, user = oneglanse.workspace(oneglanse.user()).id, oneglanse.user()
    code = invite_code(oneglanse, workspace)
    first = join(oneglanse, user, code, request_id="one")
    rotate(oneglanse, workspace, disable=True)
    assert join(oneglanse, user, code, request_id="one") == first
    request = pb.JoinByCodeRequest(code=workspace, request_id="one")
    assert refusal(oneglanse.client(user).invitations.JoinByCode, request).reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("place", ["workspace", "organization"])
def test_a_deactivated_member_does_not_come_back(oneglanse: Tenants, place: str) -> None:
    both, user = Acme(oneglanse), oneglanse.user()
    workspace = both.workspaces["marketing"]
    where = {"workspace_id": workspace} if place == "workspace" else {"organization_id": both.id}
    add(oneglanse, user, **where)
    set_active(oneglanse, user, is_active=False, **where)
    refused = joining(oneglanse, user, workspace)
    assert (refused.code, refused.reason, refused.kind) == (DENIED, "MEMBERSHIP_INACTIVE", "AuthError")
    set_active(oneglanse, user, is_active=True, **where)
    assert join(oneglanse, user, workspace).joined.already_member == (place == "workspace")


@pytest.mark.parametrize("place", ["workspace", "organization"])
def test_an_expired_member_does_not_come_back_by_a_code(oneglanse: Tenants, place: str) -> None:
    both, user = Acme(oneglanse), oneglanse.user()
    workspace = both.workspaces["marketing"]
    where = {"workspace_id": workspace} if place == "workspace" else {"organization_id": both.id}
    expire(oneglanse, user, **where)
    refused = joining(oneglanse, user, workspace)
    assert (refused.code, refused.reason) == (DENIED, "MEMBERSHIP_EXPIRED")
    add(oneglanse, user, **where)
    assert join(oneglanse, user, workspace).joined.already_member == (place == "workspace")


def test_who_was_removed_by_another_comes_back_only_when_added(oneglanse: Tenants) -> None:
    both, user = Acme(oneglanse), oneglanse.user()
    workspace = both.workspaces["marketing"]
    leave = memberships_pb2.LeaveRequest(workspace_id=workspace)
    joined(oneglanse, user, workspace)
    oneglanse.client(user).memberships.Leave(leave)
    joined(oneglanse, user, workspace)  # leaving is one's own doing
    remove(oneglanse, user, workspace_id=workspace)
    before = oneglanse.revision
    for code in (workspace, invite_code(oneglanse, workspace), f"{both.slug}/marketing"):
        refused = joining(oneglanse, user, code)
        assert (refused.code, refused.reason, refused.kind) == (DENIED, "REMOVED", "AuthError")
    assert oneglanse.revision == before
    assert joined(oneglanse, user, both.workspaces["sales"])  # it is about that workspace alone
    oneglanse.member(both.owner, workspace, user=user)
    assert join(oneglanse, user, workspace).joined.already_member
    oneglanse.client(user).memberships.Leave(leave)
    assert joined(oneglanse, user, workspace) == workspace


def test_who_was_removed_from_the_organization_joins_none_of_its_workspaces(oneglanse: Tenants) -> None:
    both, user = Acme(oneglanse), oneglanse.user()
    workspace = both.workspaces["marketing"]
    joined(oneglanse, user, workspace)
    remove(oneglanse, user, organization_id=both.id)
    for code in (*both.workspaces.values(), f"{both.id}/sales"):
        assert joining(oneglanse, user, code).reason == "REMOVED"
    # Back in the organization, it may join what it was not in.
    oneglanse.member(both.owner, organization=both.id, user=user)
    assert joined(oneglanse, user, both.workspaces["sales"])
    assert joining(oneglanse, user, workspace).reason == "REMOVED"


def test_a_full_place_takes_nobody(sqlite_url: str, tmp_path: Path) -> None:
    bundle = copy_bundle("oneglanse", tmp_path, tests=False)
    with (bundle / "catalog.toml").open("a") as catalog:
        catalog.write("\n[limits]\nmembers_per_place = 2\n")
    fill(sqlite_url, state_of(STATE), read_bundle(bundle, core_vocabulary()).catalog)
    with Serving(sqlite_url, bundle) as server:
        tenants = Tenants(server)
        one = Acme(tenants, workspaces=("Only",))
        user = tenants.user()
        joined(tenants, user, one.slug)
        late, before = tenants.user(), tenants.revision
        refused = joining(tenants, late, one.slug)
        assert (refused.code, refused.reason) == (PRECONDITION, "LIMIT_REACHED")
        assert tenants.revision == before
        assert join(tenants, user, one.slug).joined.already_member


# --- what is left behind ----------------------------------------------------------------------------------------------


def test_it_is_audited_how_somebody_joined(oneglanse: Tenants, acme: Acme) -> None:
    workspace = acme.workspaces["sales"]
    codes = {
        "invite_code": invite_code(oneglanse, workspace),
        "workspace_id": workspace,
        "organization_workspace": f"{acme.slug}/sales",
    }
    for way, code in codes.items():
        user = oneglanse.user()
        joined(oneglanse, user, code)
        with oneglanse.server.server.database.read() as connection:
            by_user = select(audit_entries).where(audit_entries.c.actor == user)
            found = connection.execute(by_user.order_by(audit_entries.c.number)).all()
        assert {row.method for row in found} == {"InvitationService/JoinByCode"}
        assert [row.place_id for row in found] == [workspace, acme.id, workspace]
        assert found[-1].after == {"joined_by": way}


def test_joins_are_counted_by_way_and_result(oneglanse: Tenants) -> None:
    both, user = Acme(oneglanse), oneglanse.user()
    workspace = both.workspaces["marketing"]
    joins = oneglanse.server.server.metrics.joins
    before = Counter(joins)
    join(oneglanse, user, invite_code(oneglanse, workspace))
    join(oneglanse, user, workspace)
    join(oneglanse, user, both.slug)
    join(oneglanse, user, f"{both.slug}/sales")
    joining(oneglanse, user, "nothing/at-all")
    joining(oneglanse, user, " ")
    remove(oneglanse, user, workspace_id=workspace)
    joining(oneglanse, user, workspace)
    assert Counter(joins) - before == {
        ("invite_code", "joined"): 1,
        ("workspace_id", "already_member"): 1,
        ("organization", "select_workspace"): 1,
        ("organization_workspace", "joined"): 1,
        ("unknown", "workspace_not_found"): 1,
        ("unknown", "invalid_code"): 1,
        ("workspace_id", "removed"): 1,
    }


# --- too many attempts ------------------------------------------------------------------------------------------------


def test_after_ten_failures_an_actor_waits(oneglanse: Tenants, acme: Acme) -> None:
    user, other = oneglanse.user(), oneglanse.user()
    workspace = acme.workspaces["sales"]
    for count in range(12):  # none of these is a failure
        assert join(oneglanse, user, workspace).joined.already_member == (count > 0)
        join(oneglanse, user, acme.slug)
    for code in (*(f"guess-{count}" for count in range(9)), " "):
        assert joining(oneglanse, user, code).code in {NOT_FOUND, INVALID}
    for code in ("guess-10", workspace):
        refused = joining(oneglanse, user, code)
        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_ATTEMPTS")
        assert refused.retry_seconds is not None
        assert 0 < refused.retry_seconds <= 300
    assert joined(oneglanse, other, workspace) == workspace
    assert oneglanse.server.server.metrics.joins["unknown", "too_many_attempts"] == 2


def test_a_code_that_leads_somewhere_is_no_failed_guess(oneglanse: Tenants) -> None:
    both, user = Acme(oneglanse), oneglanse.user()
    workspace = both.workspaces["marketing"]
    joined(oneglanse, user, workspace)
    remove(oneglanse, user, workspace_id=workspace)
    for _ in range(12):
        assert joining(oneglanse, user, workspace).reason == "REMOVED"


# --- anything at all --------------------------------------------------------------------------------------------------

pieces = st.sampled_from(
    [
        "workspace_",
        "/",
        ":",
        " ",
        "acme",
        "\t",
        "\0",
        "%",
        "_",
        "'",
        "\\",
        "é",
        "\u2028",
        "second",
        "hall",
        "\U0001f511",
    ]
)
codes = st.one_of(st.text(max_size=310), st.lists(pieces, max_size=8).map("".join))


@given(code=codes)
@example(code="second/hall")
@example(code="second")
@example(code="%")
def test_whatever_somebody_sends_gets_an_answer(twins: Tenants, code: str) -> None:
    client = Client(twins.server.channel, twins.user("guest"))
    answer = attempt(client.invitations.JoinByCode, pb.JoinByCodeRequest(code=code))
    if isinstance(answer, Refusal):
        assert answer.reason in {"INVALID_CODE", "WORKSPACE_NOT_FOUND"}
    else:
        assert answer.WhichOneof("outcome") in {"joined", "select_workspace"}


def test_the_operator_joins_like_anybody_else(oneglanse: Tenants, acme: Acme) -> None:
    assert joined(oneglanse, OPERATOR, acme.workspaces["sales"])
