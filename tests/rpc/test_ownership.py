"""Passing primary ownership on, and whom it may be passed to."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from tests.rpc.streams import number
from tests.rpc.tables import found, run
from tests.rpc.tenants import OPERATOR, Tenants, modules
from tests.serving import Refusal, attempt, refusal
from wsauthz.v1 import authorization_pb2, invitations_pb2, memberships_pb2, users_pb2, workspaces_pb2
from wsauthz.v1 import workspace_states_pb2 as pb

DENIED = grpc.StatusCode.PERMISSION_DENIED
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


def transfer(tenants: Tenants, actor: str, workspace: str, user: str, **fields: Any) -> pb.TransferOwnershipResponse:
    request = pb.TransferOwnershipRequest(workspace_id=workspace, user_id=user, **fields)
    return tenants.client(actor).states.TransferOwnership(request)


def transferring(tenants: Tenants, actor: str, workspace: str, user: str) -> Refusal:
    request = pb.TransferOwnershipRequest(workspace_id=workspace, user_id=user)
    return refusal(tenants.client(actor).states.TransferOwnership, request)


def candidates(tenants: Tenants, actor: str, workspace: str, query: str = "", page_size: int = 0) -> list[str]:
    """Return the user ids of all candidates, page by page."""
    listed: list[str] = []
    token = ""
    while True:
        request = pb.ListOwnerCandidatesRequest(
            workspace_id=workspace, query=query, page_size=page_size, page_token=token
        )
        page = tenants.client(actor).states.ListOwnerCandidates(request)
        assert len(page.members) <= (page_size or 100)
        listed += [member.membership.user_id for member in page.members]
        token = page.next_page_token
        if not token:
            return listed


def member(tenants: Tenants, workspace: str, user: str) -> memberships_pb2.Member:
    request = memberships_pb2.GetMemberRequest(workspace_id=workspace, user_id=user)
    return tenants.operator.memberships.GetMember(request).member


def owner(tenants: Tenants, workspace: str) -> str:
    request = workspaces_pb2.GetWorkspaceRequest(workspace_id=workspace)
    return tenants.operator.workspaces.GetWorkspace(request).owner.id


def is_owner(tenants: Tenants, user: str, workspace: str) -> bool:
    request = authorization_pb2.GetAccessRequest(subject=user, workspace_id=workspace)
    return tenants.client().authorization.GetAccess(request).is_owner


def deactivate(tenants: Tenants, workspace: str, user: str) -> None:
    request = memberships_pb2.UpdateMemberRequest(workspace_id=workspace, user_id=user, is_active=False)
    request.update_mask.paths.append("is_active")
    tenants.operator.memberships.UpdateMember(request)


@pytest.mark.req("REQ-079")
def test_the_owner_passes_ownership_on(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    second = dam.member(first, workspace, role="viewer")
    assert (dam.reason(first, workspace, "workspace delete"), dam.reason(second, workspace, "workspace delete")) == (
        "",
        "ROLE_INSUFFICIENT",
    )
    answer = transfer(dam, first, workspace, second)
    assert answer.workspace.owner_user_id == second
    assert (answer.membership.user_id, answer.membership.role) == (second, "admin")
    assert [owner(dam, workspace), member(dam, workspace, second).is_owner] == [second, True]
    assert (member(dam, workspace, first).membership.role, member(dam, workspace, first).is_owner) == ("admin", False)
    assert (dam.reason(first, workspace, "workspace delete"), dam.reason(second, workspace, "workspace delete")) == (
        "ROLE_INSUFFICIENT",
        "",
    )
    assert [is_owner(dam, user, workspace) for user in (first, second)] == [False, True]
    assert dam.reason(first, workspace, "dam:asset read") == ""
    assert transferring(dam, first, workspace, first).reason == "ROLE_INSUFFICIENT"
    transfer(dam, second, workspace, first)
    assert owner(dam, workspace) == first


@pytest.mark.req("REQ-079")
def test_an_owner_like_membership_has_no_limits_any_more(oneglanse: Tenants) -> None:
    first = oneglanse.user()
    workspace = oneglanse.workspace(first).id
    soon = {"seconds": 4_000_000_000}
    second = oneglanse.member(first, workspace, modules=modules("analysis"), expires_at=soon)
    membership = transfer(oneglanse, first, workspace, second).membership
    assert (membership.role, membership.HasField("modules"), membership.HasField("expires_at")) == (
        "owner",
        False,
        False,
    )
    assert member(oneglanse, workspace, second).membership == membership
    assert member(oneglanse, workspace, first).membership.role == "owner"
    assert owner(oneglanse, workspace) == second


def test_the_membership_of_a_primary_owner_has_no_limits_either(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    limits: dict[str, Any] = {"modules": modules("dam"), "expires_at": {"seconds": 4_000_000_000}}
    second = dam.member(first, workspace, permissions=["can-manage-users"], **limits)
    membership = transfer(dam, first, workspace, second).membership
    assert membership.role == "admin"
    assert not membership.HasField("modules")
    assert not membership.HasField("expires_at")
    assert list(membership.permissions) == ["can-manage-users"]
    assert dam.reason(second, workspace, "analytics:report read") == ""  # ownership has no module list


def test_one_revision_and_an_entry_for_each_thing_that_changed(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    second = dam.member(first, workspace)
    before = number(dam.revision)
    answer = transfer(dam, first, workspace, second)
    assert number(answer.revision) == before + 1
    entries = found(dam, f"SELECT * FROM audit_entries WHERE revision = {before + 1} ORDER BY number")
    assert [(each["actor"], each["target_kind"], each["place_id"]) for each in entries] == [
        (first, "workspace", workspace),
        (first, "membership", workspace),  # the former owner's has the catalog's role already
    ]


@pytest.mark.req("REQ-079")
def test_a_rule_that_lets_more_people_transfer_does_not_give_away_what_is_not_theirs(oneglanse: Tenants) -> None:
    first = oneglanse.user()
    organization = oneglanse.organization(first).id
    workspace = oneglanse.workspace(first, organization_id=organization).id
    equal = oneglanse.member(first, workspace, role="owner")
    above = oneglanse.member(first, organization=organization, role="owner")
    for actor in (equal, above):
        assert oneglanse.reason(actor, workspace, "workspace transfer") == ""
        refused = transferring(oneglanse, actor, workspace, equal)
        assert (refused.code, refused.reason, refused.message) == (DENIED, "ROLE_INSUFFICIENT", "Permission denied")
        request = pb.ListOwnerCandidatesRequest(workspace_id=workspace)
        assert refusal(oneglanse.client(actor).states.ListOwnerCandidates, request) == refused
    assert owner(oneglanse, workspace) == first
    transfer(oneglanse, OPERATOR, workspace, equal)
    assert owner(oneglanse, workspace) == equal


def test_the_platform_passes_ownership_on_without_its_owner(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    second = dam.member(first, workspace)
    assert second in candidates(dam, OPERATOR, workspace)
    assert transfer(dam, OPERATOR, workspace, second).membership.role == "admin"
    assert dam.reason(first, workspace, "workspace transfer") == "ROLE_INSUFFICIENT"


def test_a_former_owner_without_a_membership_gets_none(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    second = dam.member(first, workspace)
    dam.operator.memberships.RemoveMember(memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=first))
    transfer(dam, OPERATOR, workspace, second)
    assert dam.reason(first, workspace) == "NOT_A_MEMBER"


def test_members_and_strangers_do_not(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    admin, stranger = dam.member(first, workspace, role="admin"), dam.user()
    assert transferring(dam, admin, workspace, admin).reason == "ROLE_INSUFFICIENT"
    foreign = transferring(dam, stranger, workspace, stranger)
    assert foreign == transferring(dam, stranger, "workspace_none", stranger)
    assert (foreign.code, foreign.reason) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert transferring(dam, first, "a b", admin).fields == ("workspace_id",)
    for user in ("", "a b", "*"):
        assert transferring(dam, first, workspace, user).fields == ("user_id",)


@pytest.mark.req("REQ-079")
def test_the_present_owner_is_one_already(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    for actor in (first, OPERATOR):
        refused = transferring(dam, actor, workspace, first)
        assert (refused.code, refused.reason, refused.kind) == (PRECONDITION, "ALREADY_OWNER", "ValidationError")


@pytest.mark.req("REQ-079")
@pytest.mark.parametrize("bundle", ["dam", "oneglanse"])
def test_the_candidates_are_those_whom_a_transfer_takes(dam: Tenants, oneglanse: Tenants, bundle: str) -> None:
    tenants = {"dam": dam, "oneglanse": oneglanse}[bundle]
    first = tenants.user()
    workspace = tenants.workspace(first).id
    add = [tenants.member(first, workspace) for _ in range(3)]
    add.append(tenants.member(first, workspace, role="admin" if bundle == "dam" else "owner"))
    inactive, expired, gone, account = (tenants.member(first, workspace) for _ in range(4))
    deactivate(tenants, workspace, inactive)
    run(tenants, f"UPDATE memberships SET expires_at = '2020-01-01 00:00:00' WHERE user_id = '{expired}'")
    tenants.operator.memberships.RemoveMember(memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=gone))
    tenants.client().users.UpsertUser(users_pb2.UpsertUserRequest(user_id=account, is_active=False))
    listed = candidates(tenants, first, workspace)
    assert listed == sorted(add)
    for user in (*add, inactive, expired, gone, account, tenants.user(), OPERATOR):
        outcome = attempt(
            tenants.operator.states.TransferOwnership, pb.TransferOwnershipRequest(workspace_id=workspace, user_id=user)
        )
        if user in listed:
            assert owner(tenants, workspace) == user
            transfer(tenants, OPERATOR, workspace, first)
        else:
            assert (outcome.code, outcome.reason, outcome.kind) == (NOT_FOUND, "MEMBER_NOT_FOUND", "NotFoundError")


def test_candidates_come_in_pages_with_what_a_dialog_shows(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    added = sorted(dam.member(first, workspace, user=dam.user(name)) for name in ("ada", "bea", "cid", "dan", "eve"))
    assert candidates(dam, first, workspace, page_size=2) == added
    assert candidates(dam, first, workspace, query=" BEA ", page_size=1) == [added[1]]
    assert candidates(dam, first, workspace, query="@example.com", page_size=3) == added
    assert candidates(dam, first, workspace, query="nobody") == []
    request = pb.ListOwnerCandidatesRequest(workspace_id=workspace, query="ada")
    (shown,) = dam.client(first).states.ListOwnerCandidates(request).members
    assert (shown.user_name, shown.user_email) == ("Ada", f"{added[0]}@example.com")
    assert (shown.membership.role, shown.is_owner) == ("member", False)


def test_a_page_token_is_for_its_own_question_only(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    for _ in range(2):
        dam.member(first, workspace)
    states = dam.client(first).states
    token = states.ListOwnerCandidates(
        pb.ListOwnerCandidatesRequest(workspace_id=workspace, page_size=1)
    ).next_page_token
    request = pb.ListOwnerCandidatesRequest(workspace_id=workspace, query="m", page_size=1, page_token=token)
    assert refusal(states.ListOwnerCandidates, request).reason == "PAGE_TOKEN_INVALID"


def test_a_suspended_workspace_is_passed_on_by_the_platform_only(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    second = dam.member(first, workspace)
    dam.operator.states.SuspendWorkspace(pb.SuspendWorkspaceRequest(workspace_id=workspace))
    assert transferring(dam, first, workspace, second).reason == "WORKSPACE_SUSPENDED"
    transfer(dam, OPERATOR, workspace, second)
    assert owner(dam, workspace) == second


def test_a_repeated_request_is_answered_as_before(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    second = dam.member(first, workspace)
    answer = transfer(dam, first, workspace, second, request_id="once")
    assert transfer(dam, first, workspace, second, request_id="once") == answer
    assert dam.revision == answer.revision


def test_pending_invitations_that_can_still_be_sent_stay(dam: Tenants) -> None:
    first = dam.user()
    workspace = dam.workspace(first).id
    second = dam.member(first, workspace)
    request = invitations_pb2.CreateInvitationRequest(workspace_id=workspace, email="x@example.com", role="admin")
    token = dam.client(first).invitations.CreateInvitation(request).token
    transfer(dam, first, workspace, second)
    preview = invitations_pb2.GetInvitationRequest(token=token)
    assert dam.client(second).invitations.GetInvitation(preview).workspace.id == workspace


@pytest.mark.req("REQ-079")
@pytest.mark.parametrize("bundle", ["dam", "oneglanse"])
def test_of_two_transfers_at_once_one_is_made(dam: Tenants, oneglanse: Tenants, bundle: str) -> None:
    tenants = {"dam": dam, "oneglanse": oneglanse}[bundle]
    for _ in range(4):
        first = tenants.user()
        workspace = tenants.workspace(first).id
        heirs = [tenants.member(first, workspace) for _ in range(2)]

        def pass_on(user: str, actor: str = first, workspace: str = workspace) -> Any:
            request = pb.TransferOwnershipRequest(workspace_id=workspace, user_id=user)
            return attempt(tenants.client(actor).states.TransferOwnership, request)

        with ThreadPoolExecutor(2) as pool:
            outcomes = dict(zip(heirs, pool.map(pass_on, heirs), strict=True))
        (won,) = [user for user, outcome in outcomes.items() if not isinstance(outcome, Refusal)]
        (lost,) = [outcome for outcome in outcomes.values() if isinstance(outcome, Refusal)]
        assert (lost.code, lost.reason) == (DENIED, "ROLE_INSUFFICIENT")
        assert owner(tenants, workspace) == won
        assert [is_owner(tenants, user, workspace) for user in (first, *heirs)].count(True) == 1
