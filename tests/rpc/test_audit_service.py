"""Who did what: listing it by place, verifying it, and what it must not hold."""

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from sqlalchemy import select, text

from tests.rpc.conftest import MakeDatabase, serving
from tests.rpc.tenants import OPERATOR, Tenants
from tests.serving import Refusal, refusal
from wsauthz.store import tables
from wsauthz.store.database import Database
from wsauthz.v1 import audit_pb2 as pb
from wsauthz.v1 import (
    invitations_pb2,
    memberships_pb2,
    organizations_pb2,
    settings_pb2,
    users_pb2,
    workspace_states_pb2,
    workspaces_pb2,
)
from wsauthz.v1.places_pb2 import Place


def entries(tenants: Tenants, actor: str, **request: Any) -> list[pb.AuditEntry]:
    """Return one page."""
    return list(listed(tenants, actor, **request).entries)


def listed(tenants: Tenants, actor: str, **request: Any) -> pb.ListAuditEntriesResponse:
    return tenants.client(actor).audit.ListAuditEntries(pb.ListAuditEntriesRequest(**request))


def refused(tenants: Tenants, actor: str, **request: Any) -> Refusal:
    return refusal(tenants.client(actor).audit.ListAuditEntries, pb.ListAuditEntriesRequest(**request))


def rename(tenants: Tenants, actor: str, workspace: str, name: str) -> None:
    request = workspaces_pb2.UpdateWorkspaceRequest(workspace_id=workspace)
    request.workspace.name = name
    request.update_mask.paths.append("name")
    tenants.client(actor).workspaces.UpdateWorkspace(request)


# --- listing ----------------------------------------------------------------------------------------------------------


def test_an_entry_says_who_did_what_to_what(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    request = memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=dam.user(), role="viewer")
    added = dam.client(owner).memberships.AddMember(request, metadata=(("x-request-id", "call-1"),)).membership
    entry = entries(dam, owner, workspace_id=workspace)[0]
    assert (entry.caller, entry.actor, entry.method) == ("local", owner, "MembershipService/AddMember")
    assert (entry.target_kind, entry.target_id) == ("membership", added.id)
    assert entry.place == Place(workspace_id=workspace)
    assert entry.after["role"] == "viewer"
    assert (dict(entry.before), entry.refusal, entry.attempts, entry.request_id) == ({}, "", 1, "call-1")
    assert entry.created_at.seconds >= added.created_at.seconds > 0


def test_the_newest_come_first(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    rename(dam, owner, workspace, "South")
    numbers = [entry.number for entry in entries(dam, owner, workspace_id=workspace)]
    assert numbers == sorted(numbers, reverse=True)
    assert entries(dam, owner, workspace_id=workspace)[0].method == "WorkspaceService/UpdateWorkspace"


def test_each_place_has_its_own(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    root = dam.workspace(owner, organization_id=organization).id
    child = dam.child(owner, root).id
    for workspace in (root, child):
        found = entries(dam, owner, workspace_id=workspace)
        assert {entry.place.workspace_id for entry in found} == {workspace}
        assert found
    found = entries(dam, owner, organization_id=organization)
    assert {entry.place.organization_id for entry in found} == {organization}
    assert found
    found = entries(dam, OPERATOR)
    assert [entry.place.platform for entry in found] == [True] * len(found)
    assert f"{owner}" in {entry.target_id for entry in found}


def test_pages_follow_each_other_while_more_is_written(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    for number in range(5):
        rename(dam, owner, workspace, f"Name {number}")
    whole = [entry.number for entry in entries(dam, owner, workspace_id=workspace)]
    paged: list[int] = []
    token = ""
    while True:
        page = listed(dam, owner, workspace_id=workspace, page_size=2, page_token=token)
        paged += [entry.number for entry in page.entries]
        assert len(page.entries) <= 2
        token = page.next_page_token
        if not token:
            break
        rename(dam, owner, workspace, f"Later {len(paged)}")
    assert paged == whole


def test_a_page_token_is_for_one_place_and_one_reader(dam: Tenants) -> None:
    owner = dam.user()
    one, other = dam.workspace(owner).id, dam.workspace(owner).id
    admin = dam.member(owner, one, role="admin")
    token = listed(dam, owner, workspace_id=one, page_size=1).next_page_token
    assert token
    for actor, workspace, given in ((owner, other, token), (admin, one, token), (owner, one, token[:-4] + "AAAA")):
        answer = refused(dam, actor, workspace_id=workspace, page_token=given)
        assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


def test_a_rejected_attempt_is_listed_at_the_place_that_it_is_about(dam: Tenants) -> None:
    owner, stranger = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    request = memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=owner)
    refusal(dam.client(stranger).memberships.RemoveMember, request)
    found = next(entry for entry in wait_for(dam, stranger, workspace_id=workspace) if entry.actor == stranger)
    assert (found.method, found.refusal, found.attempts) == (
        "MembershipService/RemoveMember",
        "WORKSPACE_NOT_FOUND",
        1,
    )
    assert (found.target_kind, found.target_id) == ("user", owner)
    assert stranger not in {entry.actor for entry in entries(dam, OPERATOR)}


def wait_for(tenants: Tenants, actor: str, count: int = 1, **place: str) -> list[pb.AuditEntry]:
    """Return the entries of a place once there are some of an actor: rejections are written after the answer."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = entries(tenants, OPERATOR, **place)
        if [entry.actor for entry in found].count(actor) >= count:
            return found
    raise AssertionError("the attempts were not audited")


# --- who may ----------------------------------------------------------------------------------------------------------


def test_an_admin_sees_what_was_done_in_the_own_workspace_only(dam: Tenants) -> None:
    owners = [dam.user(), dam.user()]
    workspaces = [dam.workspace(owner).id for owner in owners]
    admin = dam.member(owners[0], workspaces[0], role="admin")
    viewer = dam.member(owners[0], workspaces[0], role="viewer")
    assert {entry.place.workspace_id for entry in entries(dam, admin, workspace_id=workspaces[0])} == {workspaces[0]}
    foreign = refused(dam, admin, workspace_id=workspaces[1])
    assert foreign == refused(dam, admin, workspace_id="workspace_unknown")
    assert (foreign.code, foreign.reason) == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")
    answer = refused(dam, viewer, workspace_id=workspaces[0])
    assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT")
    assert refused(dam, admin).code == grpc.StatusCode.PERMISSION_DENIED
    assert entries(dam, OPERATOR, workspace_id=workspaces[1])


def test_a_foreign_organization_is_as_unknown_as_none(dam: Tenants) -> None:
    organization, stranger = dam.organization(dam.user()).id, dam.user()
    foreign = refused(dam, stranger, organization_id=organization)
    assert foreign == refused(dam, stranger, organization_id="organization_unknown")
    assert (foreign.code, foreign.reason) == (grpc.StatusCode.NOT_FOUND, "ORGANIZATION_NOT_FOUND")


@pytest.mark.parametrize("field", ["workspace_id", "organization_id"])
@pytest.mark.parametrize("value", ["", "-", "..", "a b", "*", "x" * 129, "w\n"])
def test_a_malformed_id(dam: Tenants, field: str, value: str) -> None:
    answer = refused(dam, OPERATOR, **{field: value})
    assert (answer.code, len(answer.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, 1)


def test_a_negative_page_size(dam: Tenants) -> None:
    answer = refused(dam, OPERATOR, page_size=-1)
    assert (answer.code, answer.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("page_size",))


def test_only_the_platform_verifies(dam: Tenants) -> None:
    owner = dam.user()
    dam.workspace(owner)
    answer = refusal(dam.client(owner).audit.VerifyAudit, pb.VerifyAuditRequest())
    assert answer.code == grpc.StatusCode.PERMISSION_DENIED


OWN_KEY = (
    "Entries that are signed with the key in the database: {}; anybody who can read the database could have made them."
)


# --- verifying --------------------------------------------------------------------------------------------------------


@pytest.fixture
def own(make_database: MakeDatabase) -> Iterator[Tenants]:
    """Return a server of the test's own, for tests that spoil the audit."""
    with serving(make_database(), "dam") as tenants:
        yield tenants


def verify(tenants: Tenants, *published: str) -> pb.VerifyAuditResponse:
    return tenants.operator.audit.VerifyAudit(pb.VerifyAuditRequest(published_heads=published))


def write(tenants: Tenants, statement: Any) -> None:
    """Run a statement beside the server."""
    database = Database(tenants.server.database_url)
    with database.write() as connection:
        connection.execute(statement)
    database.close()


def test_what_was_written_verifies(own: Tenants) -> None:
    (policy,) = entries(own, OPERATOR)
    assert (policy.target_kind, verify(own).count) == ("policy", 1)
    own.workspace(own.user())
    first = verify(own)
    assert (first.problem, first.count) == ("", entries(own, OPERATOR, page_size=1)[0].number + 2)
    own.user()
    second = verify(own)
    assert (second.problem, second.count) == ("", first.count + 1)
    assert len({first.head, second.head}) == 2


def test_a_tampered_entry_shows(own: Tenants) -> None:
    own.workspace(own.user())
    good = verify(own)
    write(own, tables.audit_entries.update().where(tables.audit_entries.c.number == 2).values(actor="mallory"))
    found = verify(own)
    assert (found.count, found.problem) == (1, "entry 2 is not as it was written")
    assert found.head != good.head


def test_a_cut_end_shows(own: Tenants) -> None:
    own.workspace(own.user())
    count = verify(own).count
    write(own, tables.audit_entries.delete().where(tables.audit_entries.c.number == count))
    found = verify(own)
    assert (found.count, found.problem) == (count - 1, f"{count} entries were written, {count - 1} are here")


def test_a_published_head_tells_of_an_end_that_was_cut_off_with_care(own: Tenants) -> None:
    own.workspace(own.user())
    found = verify(own)
    assert found.promises == [
        f"Entries 1 to {found.count} are as they were written, and none of them is missing.",
        OWN_KEY.format(found.count),
        "Anybody who can write the database could have removed the newest entries: compare with a published head.",
    ]
    published = f"{found.count}.{found.head}"
    assert verify(own, published).promises[-1] == f"Entries 1 to {found.count} are those whose head was published."
    entry = tables.audit_entries.c
    database = Database(own.server.database_url)
    with database.write() as connection:
        mac = connection.execute(select(entry.mac).where(entry.number == found.count - 1)).scalar_one()
        connection.execute(tables.audit_entries.delete().where(entry.number == found.count))
        connection.execute(tables.revision.update().values(audit_count=found.count - 1, audit_head=mac))
    database.close()
    assert verify(own).problem == ""
    cut = verify(own, published)
    assert cut.problem == f"{found.count} entries were published, {found.count - 1} are here: the end was cut off"


@pytest.mark.parametrize("head", ["x", "7", "7.ff", ""])
def test_a_malformed_head(dam: Tenants, head: str) -> None:
    request = pb.VerifyAuditRequest(published_heads=[head])
    answer = refusal(dam.operator.audit.VerifyAudit, request)
    assert (answer.code, answer.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("published_heads",))


def test_too_many_heads(dam: Tenants) -> None:
    request = pb.VerifyAuditRequest(published_heads=["0."] * 101)
    answer = refusal(dam.operator.audit.VerifyAudit, request)
    assert (answer.code, answer.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("published_heads",))


def test_a_spoiled_entry_is_a_finding_and_hides_no_other(own: Tenants) -> None:
    owner = own.user()
    workspace = own.workspace(owner).id
    for number in range(3):
        rename(own, owner, workspace, f"Name {number}")
    good = entries(own, owner, workspace_id=workspace)
    number = good[1].number
    is_sqlite = own.server.database_url.startswith("sqlite")
    spoiled = "not JSON" if is_sqlite else '[{"a": 1e999}]'
    write(own, text(f"UPDATE audit_entries SET after = '{spoiled}' WHERE number = {number}".replace(":", "\\:")))
    found = verify(own)
    assert (found.count, found.problem) == (
        number - 1,
        f"entry {number} is not as it was written: after cannot be read",
    )
    listed = entries(own, owner, workspace_id=workspace)
    assert listed[0] == good[0]
    assert listed[2:] == good[2:]
    assert (listed[1].number, listed[1].problem, listed[1].method) == (number, "after cannot be read", "")


def test_others_write_while_it_is_verified(own: Tenants) -> None:
    for _ in range(20):
        own.user()
    running = own.operator.audit.VerifyAudit.future(pb.VerifyAuditRequest())
    own.user()
    assert running.result().problem == ""
    assert verify(own).count == 22


# --- what it must not hold --------------------------------------------------------------------------------------------


class Canaries:
    """Texts that nobody else uses, each for one field."""

    def __init__(self) -> None:
        self.count = 0

    def text(self) -> str:
        """Return a new one."""
        self.count += 1
        return f"canary{self.count}"

    def email(self) -> str:
        """Return a new one that is an address."""
        return f"{self.text()}@example.com"


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


def upsert(tenants: Tenants, canaries: Canaries, user_id: str) -> str:
    """Make or change a user and return its address."""
    request = users_pb2.UpsertUserRequest(
        user_id=user_id,
        email=canaries.email(),
        email_verified=True,
        name=canaries.text(),
        image_url=canaries.text(),
    )
    tenants.client().users.UpsertUser(request)
    return request.email


def branded(canaries: Canaries) -> workspaces_pb2.WorkspaceSettings:
    branding = workspaces_pb2.Branding(logo=canaries.text(), primary_color="#CA9A37")
    return workspaces_pb2.WorkspaceSettings(branding=branding, features={canaries.text(): True})


def people_and_organizations(tenants: Tenants, canaries: Canaries, owner: str) -> str:
    """Return the id of a workspace of the owner on a plan with everything."""
    client = tenants.client(owner)
    for _ in range(2):
        upsert(tenants, canaries, owner)
    organization = client.organizations.CreateOrganization(
        organizations_pb2.CreateOrganizationRequest(name=canaries.text(), slug=canaries.text())
    ).organization
    workspace = client.workspaces.CreateWorkspace(
        workspaces_pb2.CreateWorkspaceRequest(
            organization_id=organization.id,
            name=canaries.text(),
            slug=canaries.text(),
            domain=canaries.text(),
            description=canaries.text(),
            image_url=canaries.text(),
            website=canaries.text(),
            phone=canaries.text(),
        )
    ).workspace
    rename_organization = organizations_pb2.UpdateOrganizationNameRequest(
        organization_id=organization.id, name=canaries.text()
    )
    client.organizations.UpdateOrganizationName(rename_organization)
    tenants.operator.settings.SetSubscription(
        settings_pb2.SetSubscriptionRequest(
            workspace_id=workspace.id,
            plan="professional",
            plan_type=canaries.text(),
            status=settings_pb2.SUBSCRIPTION_STATUS_ACTIVE,
        )
    )
    return workspace.id


def workspaces_and_settings(tenants: Tenants, canaries: Canaries, owner: str, workspace: str) -> None:
    client = tenants.client(owner)
    texts = ("name", "domain", "description", "image_url", "website", "phone", "notes")
    sites = tuple(f"social_{site}" for site in ("x", "facebook", "linkedin", "instagram", "github"))
    update = workspaces_pb2.UpdateWorkspaceRequest(workspace_id=workspace)
    for name in (*texts, *sites):
        setattr(update.workspace, name, canaries.text())
    update.workspace.settings.CopyFrom(branded(canaries))
    update.update_mask.paths.extend((*texts, *sites, "settings.branding", "settings.features"))
    client.workspaces.UpdateWorkspace(update)
    child = workspaces_pb2.CreateChildWorkspaceRequest(
        parent_workspace_id=workspace,
        name=canaries.text(),
        slug=canaries.text(),
        domain=canaries.text(),
        description=canaries.text(),
        image_url=canaries.text(),
        settings=branded(canaries),
    )
    client.workspaces.CreateChildWorkspace(child)
    own = settings_pb2.UpdateModuleSettingsRequest(workspace_id=workspace, module="dam")
    own.settings[canaries.text()] = {canaries.text(): [canaries.text()]}
    client.settings.UpdateModuleSettings(own)
    suspend = workspace_states_pb2.SuspendWorkspaceRequest(workspace_id=workspace, reason=canaries.text())
    tenants.operator.states.SuspendWorkspace(suspend)
    reinstate = workspace_states_pb2.ReinstateWorkspaceRequest(workspace_id=workspace)
    tenants.operator.states.ReinstateWorkspace(reinstate)


def members_and_invitations(tenants: Tenants, canaries: Canaries, owner: str, workspace: str) -> list[str]:
    """Return the tokens and codes that were given out."""
    client, invited = tenants.client(owner), f"{owner}-invited"
    for user_id in (f"{owner}-added", invited, f"{owner}-joining"):
        email = upsert(tenants, canaries, user_id)
        if user_id.endswith("added"):
            add = memberships_pb2.AddMemberByEmailRequest(workspace_id=workspace, email=email)
            client.memberships.AddMemberByEmail(add)
    unknown = memberships_pb2.AddMemberByEmailRequest(workspace_id=workspace, email=canaries.email())
    client.memberships.AddMemberByEmail(unknown)
    tokens = []
    for email in (canaries.email(), upsert(tenants, canaries, invited)):
        create = invitations_pb2.CreateInvitationRequest(workspace_id=workspace, email=email)
        created = client.invitations.CreateInvitation(create)
        tokens.append(created.token)
        if email.startswith("canary") and len(tokens) == 1:
            revoke = invitations_pb2.RevokeInvitationRequest(
                workspace_id=workspace, invitation_id=created.invitation.id
            )
            client.invitations.RevokeInvitation(revoke)
    accept = invitations_pb2.AcceptInvitationRequest(token=tokens[1])
    tenants.client(invited).invitations.AcceptInvitation(accept)
    rotated = client.invitations.RotateInviteCode(invitations_pb2.RotateInviteCodeRequest(workspace_id=workspace))
    join = invitations_pb2.JoinByCodeRequest(code=rotated.code)
    tenants.client(f"{owner}-joining").invitations.JoinByCode(join)
    return [*tokens, rotated.code]


def refused_attempts(tenants: Tenants, canaries: Canaries, workspace: str) -> list[str]:
    """Return the token and the code that a stranger tried."""
    stranger = tenants.client(tenants.user("stranger"))
    token, code = "Can4ry" * 10 + "Can4", "CANARYCANARYCANARY00"
    add = memberships_pb2.AddMemberByEmailRequest(workspace_id=workspace, email=canaries.email())
    refusal(stranger.memberships.AddMemberByEmail, add)
    refusal(stranger.invitations.AcceptInvitation, invitations_pb2.AcceptInvitationRequest(token=token))
    refusal(stranger.invitations.JoinByCode, invitations_pb2.JoinByCodeRequest(code=code))
    assert stranger.actor is not None
    wait_for(tenants, stranger.actor, 2)
    wait_for(tenants, stranger.actor, 1, workspace_id=workspace)
    return [token, code]


WRITTEN = {
    "AcceptInvitation",
    "AddMemberByEmail",
    "CreateChildWorkspace",
    "CreateInvitation",
    "CreateOrganization",
    "CreateWorkspace",
    "JoinByCode",
    "ReinstateWorkspace",
    "RevokeInvitation",
    "RotateInviteCode",
    "SetSubscription",
    "SuspendWorkspace",
    "UpdateModuleSettings",
    "UpdateOrganizationName",
    "UpdateWorkspace",
    "UpsertUser",
}


def test_it_holds_no_text_of_people_and_no_secret(own: Tenants, canaries: Canaries) -> None:
    owner = "ann"
    workspace = people_and_organizations(own, canaries, owner)
    workspaces_and_settings(own, canaries, owner, workspace)
    secrets = members_and_invitations(own, canaries, owner, workspace)
    secrets += refused_attempts(own, canaries, workspace)
    database = Database(own.server.database_url)
    with database.read() as connection:
        written = [str(tuple(row)) for row in connection.execute(tables.audit_entries.select())]
    database.close()
    places = entries(own, OPERATOR), entries(own, OPERATOR, workspace_id=workspace)
    answered = [str(entry) for place in places for entry in place]
    everything = "\n".join((*written, *answered)).lower()
    assert all(f"/{method}'" in "\n".join(written) for method in WRITTEN)
    assert canaries.count > len(WRITTEN)
    for secret in ("canary", "example.com", *secrets):
        assert secret.lower() not in everything, secret
