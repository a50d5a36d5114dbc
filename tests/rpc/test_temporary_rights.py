"""Nothing is given for longer than it is held: a temporary right gives until it ends, and never ownership."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from tests.rpc.conftest import MakeDatabase, serving
from tests.rpc.tenants import OPERATOR, STATE, Tenants, modules
from tests.serving import Refusal, attempt, refusal
from wsauthz.v1 import memberships_pb2 as pb
from wsauthz.v1 import organizations_pb2, workspace_states_pb2, workspaces_pb2

FRIDAY: Final = datetime.now(UTC).replace(microsecond=0) + timedelta(days=5)
LATER: Final = FRIDAY + timedelta(microseconds=1)


def add(tenants: Tenants, actor: str, workspace: str, **fields: Any) -> str | Refusal:
    """Have somebody add a new user; return the user's id."""
    user = tenants.user("newcomer")
    request = pb.AddMemberRequest(workspace_id=workspace, user_id=user, **fields)
    found = attempt(tenants.client(actor).memberships.AddMember, request)
    return found if isinstance(found, Refusal) else user


def update(tenants: Tenants, actor: str, workspace: str, user: str, *cleared: str, **fields: Any) -> Any:
    """Have somebody change a member; ``cleared`` are fields that get no value."""
    request = pb.UpdateMemberRequest(workspace_id=workspace, user_id=user, **fields)
    request.update_mask.paths.extend([*fields, *cleared])
    return attempt(tenants.client(actor).memberships.UpdateMember, request)


def assert_ceiling(found: Any, latest: datetime | None = None) -> None:
    """See that something was refused for its time, and that the latest time is named, for people and for programs."""
    assert isinstance(found, Refusal)
    assert found.reason == "ROLE_CEILING"
    assert (latest or FRIDAY).isoformat().replace("+00:00", "Z") in found.message
    if latest is not None:
        assert found.metadata["latest_expires_at"] == latest.isoformat().replace("+00:00", "Z")


def test_a_temporary_admin_adds_nobody_for_longer(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    admin = dam.member(owner, workspace, role="admin", expires_at=FRIDAY)
    assert_ceiling(add(dam, admin, workspace, role="admin"), FRIDAY)
    assert_ceiling(add(dam, admin, workspace, role="viewer"), FRIDAY)
    assert_ceiling(add(dam, admin, workspace, role="admin", expires_at=LATER), FRIDAY)
    second = add(dam, admin, workspace, role="admin", expires_at=FRIDAY)
    assert isinstance(second, str)
    assert_ceiling(update(dam, second, workspace, admin, "expires_at"), FRIDAY)
    by_email = pb.AddMemberByEmailRequest(workspace_id=workspace, email=f"{dam.user()}@example.com", role="viewer")
    assert_ceiling(attempt(dam.client(admin).memberships.AddMemberByEmail, by_email), FRIDAY)


def test_a_temporary_admin_gives_nothing_more_to_permanent_members(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    admin = dam.member(owner, workspace, role="admin", expires_at=FRIDAY)
    member = dam.member(owner, workspace, role="viewer", modules=modules("dam"))
    for change in (
        {"role": "member"},
        {"permissions": ["can-manage-users"]},
        {"modules": modules("dam", "analytics")},
        {"role": "admin", "expires_at": LATER},
    ):
        assert_ceiling(update(dam, admin, workspace, member, **change), FRIDAY)
    assert_ceiling(update(dam, admin, workspace, member, "modules"), FRIDAY)
    assert not isinstance(update(dam, admin, workspace, member, is_active=False), Refusal)
    assert_ceiling(update(dam, admin, workspace, member, is_active=True), FRIDAY)
    assert not isinstance(update(dam, admin, workspace, member, is_active=True, expires_at=FRIDAY), Refusal)
    assert not isinstance(update(dam, admin, workspace, member, role="admin"), Refusal)


def test_an_expiry_is_extended_as_far_as_ones_own_right_lasts(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    admin = dam.member(owner, workspace, role="admin", expires_at=FRIDAY)
    soon = FRIDAY - timedelta(days=3)
    member = dam.member(owner, workspace, role="viewer", expires_at=soon)
    assert_ceiling(update(dam, admin, workspace, member, expires_at=LATER), FRIDAY)
    assert_ceiling(update(dam, admin, workspace, member, "expires_at"), FRIDAY)
    assert not isinstance(update(dam, admin, workspace, member, expires_at=FRIDAY), Refusal)
    assert not isinstance(update(dam, owner, workspace, member, "expires_at"), Refusal)


def test_of_several_rights_the_one_that_lasts_longest_counts(dam: Tenants) -> None:
    """An admin of the parent until Friday who is a member of the child, without an expiry, who may add others."""
    owner = dam.user()
    parent = dam.workspace(owner).id
    child = dam.child(owner, parent).id
    admin = dam.member(owner, parent, role="admin", expires_at=FRIDAY)
    helper: dict[str, Any] = {"role": "member", "permissions": ["can-manage-users"], "modules": modules("dam")}
    dam.member(owner, child, user=admin, **helper)
    assert isinstance(add(dam, admin, child, role="member", modules=modules("dam")), str)
    assert_ceiling(add(dam, admin, child, role="member"), FRIDAY)
    assert_ceiling(add(dam, admin, child, role="admin", modules=modules("dam")), FRIDAY)
    assert isinstance(add(dam, admin, child, role="admin", expires_at=FRIDAY), str)


def test_the_latest_expiry_is_named_where_several_rights_end(dam: Tenants) -> None:
    owner = dam.user()
    parent = dam.workspace(owner).id
    child = dam.child(owner, parent).id
    sunday = FRIDAY + timedelta(days=2)
    admin = dam.member(owner, parent, role="admin", expires_at=FRIDAY)
    dam.member(owner, child, user=admin, role="admin", expires_at=sunday)
    assert_ceiling(add(dam, admin, child, role="viewer"), sunday)
    assert isinstance(add(dam, admin, child, role="viewer", expires_at=sunday), str)


def test_ownership_is_not_given_on_a_temporary_right(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    parent = dam.workspace(owner, organization_id=organization).id
    admin = dam.member(owner, parent, role="admin", expires_at=FRIDAY)
    child = workspaces_pb2.CreateChildWorkspaceRequest(parent_workspace_id=parent, name="Mine")
    assert_ceiling(attempt(dam.client(admin).workspaces.CreateChildWorkspace, child))
    assert not isinstance(update(dam, owner, parent, admin, "expires_at"), Refusal)
    assert dam.client(admin).workspaces.CreateChildWorkspace(child).workspace.owner_user_id == admin


def test_a_child_has_the_modules_that_its_creator_keeps(dam: Tenants) -> None:
    owner = dam.user()
    parent = dam.workspace(owner).id
    middle = dam.child(owner, parent).id
    admin = dam.member(owner, parent, role="admin", expires_at=FRIDAY)
    dam.member(owner, middle, user=admin, role="admin", modules=modules("dam"))
    assert [*dam.child(admin, middle).modules] == ["dam"]
    request = workspaces_pb2.CreateChildWorkspaceRequest(parent_workspace_id=middle, name="Mine")
    request.modules.modules.append("analytics")
    refused = refusal(dam.client(admin).workspaces.CreateChildWorkspace, request)
    assert refused.reason == "ROLE_CEILING"
    assert "analytics" in refused.message


def test_a_workspace_of_an_organization_is_not_created_on_a_temporary_right(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    organization = oneglanse.organization(owner).id
    member = oneglanse.member(owner, organization=organization, expires_at=FRIDAY)
    request = workspaces_pb2.CreateWorkspaceRequest(name="Mine", organization_id=organization)
    assert_ceiling(attempt(oneglanse.client(member).workspaces.CreateWorkspace, request))
    assert oneglanse.workspace(member).owner_user_id == member  # one that stands alone is everybody's right


def test_one_of_several_owners_transfers_nothing_on_a_temporary_right(
    make_database: MakeDatabase,
) -> None:
    """The rules let every owner transfer; what ends is that this one acts as the platform."""
    until = {"platform": True, "user": "helper", "role": "operator", "expires_at": FRIDAY.isoformat()}
    state = {"users": [*STATE["users"], {"id": "helper"}], "memberships": [*STATE["memberships"], until]}
    with serving(make_database(), "oneglanse", state) as tenants:
        owner = tenants.user()
        workspace = tenants.workspace(owner).id
        member = tenants.member(owner, workspace)
        tenants.member(owner, workspace, user="helper", role="owner")
        request = workspace_states_pb2.TransferOwnershipRequest(workspace_id=workspace, user_id=member)
        assert_ceiling(attempt(tenants.client("helper").states.TransferOwnership, request))


@pytest.fixture(scope="module")
def temporary_operator(make_database: MakeDatabase) -> Any:
    """Return a server of the dam bundle on which everybody's rights at the platform end on Friday, but one's."""
    until = {"platform": True, "user": "helper", "role": "operator", "expires_at": FRIDAY.isoformat()}
    state = {**STATE, "memberships": [*STATE["memberships"], until], "users": [*STATE["users"], {"id": "helper"}]}
    with serving(make_database(), "dam", state) as tenants:
        yield tenants


def test_a_temporary_operator_makes_nobody_an_owner(temporary_operator: Tenants) -> None:
    tenants = temporary_operator
    owner = tenants.user()
    workspace = tenants.workspace(owner).id
    member = tenants.member(owner, workspace)
    tenants.member(owner, workspace, user="helper", role="admin")  # ranks high enough, but may not transfer by that
    request = workspace_states_pb2.TransferOwnershipRequest(workspace_id=workspace, user_id=member)
    assert_ceiling(attempt(tenants.client("helper").states.TransferOwnership, request))
    listed = workspace_states_pb2.ListOwnerCandidatesRequest(workspace_id=workspace)
    assert_ceiling(attempt(tenants.client("helper").states.ListOwnerCandidates, listed))
    request = workspace_states_pb2.TransferOwnershipRequest(workspace_id=workspace, user_id=member)
    assert tenants.client(OPERATOR).states.TransferOwnership(request).workspace.owner_user_id == member
    created = organizations_pb2.CreateOrganizationRequest(name="Mine")  # which everybody may
    assert tenants.client("helper").organizations.CreateOrganization(created).organization.name == "Mine"
