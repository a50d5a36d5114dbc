from datetime import timedelta

import pytest

from tests.tenancy.world import World
from wsauthz.model.identifiers import new_id
from wsauthz.model.invitations import Invitation
from wsauthz.model.workspaces import Workspace
from wsauthz.store import invitations as invitation_rows
from wsauthz.tenancy import workspaces
from wsauthz.tenancy.transaction import Transaction


def invite(
    world: World, by: str, workspace: Workspace, role: str, *, modules: tuple[str, ...] | None = None, days: int = 7
) -> str:
    def add(tx: Transaction) -> str:
        invitation = Invitation(
            id=new_id("invitation"),
            workspace_id=workspace.id,
            email="new@example.com",
            role=role,
            modules=modules,
            invited_by=by,
            expires_at=tx.now + timedelta(days=days),
            accepted_at=None,
            accepted_by=None,
            revoked_at=None,
            created_at=tx.now,
            updated_at=tx.now,
        )
        invitation_rows.add(tx.connection, invitation, token_hash=invitation.id)
        tx.audit("invitation", invitation.id, ("workspace", workspace.id))
        return invitation.id

    return world.write(by, add)


def is_pending(world: World, invitation_id: str) -> bool:
    found = world.row(invitation_rows.find, invitation_id)
    assert found is not None
    by_token = world.row(invitation_rows.find_by_token, invitation_id)
    assert (found.revoked_at is None) == (by_token is not None)
    return found.revoked_at is None


@pytest.mark.parametrize("way", ["remove", "leave", "demote", "deactivate"])
def test_who_may_invite_no_longer_loses_pending_invitations(dam: World, way: str) -> None:
    workspace, other = dam.workspace("ann"), dam.workspace("ann")
    for place in (workspace, other):
        dam.add("ann", place, "bob", "admin")
    lost = invite(dam, "bob", workspace, "viewer")
    kept = [invite(dam, "ann", workspace, "viewer"), invite(dam, "bob", other, "viewer")]
    if way == "remove":
        dam.remove("ann", workspace, "bob")
    elif way == "leave":
        dam.leave("bob", workspace)
    elif way == "demote":
        dam.update("ann", workspace, "bob", role="viewer")
    else:
        dam.update("ann", workspace, "bob", is_active=False)
    assert not is_pending(dam, lost)
    assert all(is_pending(dam, each) for each in kept)


def test_only_what_could_no_longer_be_sent_is_revoked(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob", "admin", permissions=["can-manage-users"])
    above, within = invite(dam, "bob", workspace, "admin"), invite(dam, "bob", workspace, "viewer")
    wide = invite(dam, "bob", workspace, "viewer", modules=("analytics", "dam"))
    dam.update("ann", workspace, "bob", role="member")
    assert [is_pending(dam, each) for each in (above, within, wide)] == [False, True, True]
    narrow = invite(dam, "bob", workspace, "viewer", modules=("dam",))
    dam.update("ann", workspace, "bob", modules=["dam"])
    assert [is_pending(dam, each) for each in (within, wide, narrow)] == [False, False, True]


def test_rights_that_flow_from_above_keep_invitations_alive(dam: World) -> None:
    parent = dam.workspace("ann")
    child = dam.child("ann", parent)
    dam.add("ann", parent, "bob", "admin")
    dam.add("ann", child, "bob", "admin")
    sent = invite(dam, "bob", child, "admin")
    dam.remove("ann", child, "bob")
    assert is_pending(dam, sent)
    dam.remove("ann", parent, "bob")
    assert not is_pending(dam, sent)


def test_suspension_alone_costs_no_invitation(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob", "admin", permissions=["can-manage-users"])
    sent = invite(dam, "bob", workspace, "viewer")
    dam.suspend(workspace)
    dam.update("ann", workspace, "bob", role="member")
    assert is_pending(dam, sent)


def test_a_former_primary_owner_loses_its_invitations(oneglanse: World) -> None:
    workspace = oneglanse.workspace("ann")
    oneglanse.add("ann", workspace, "bob", "owner")
    sent = invite(oneglanse, "ann", workspace, "member")
    oneglanse.update("bob", workspace, "ann", role="member")
    assert not is_pending(oneglanse, sent)


def test_leaving_an_organization_revokes_invitations_to_its_workspaces(oneglanse: World) -> None:
    roof = oneglanse.organization("ann")
    workspace = oneglanse.workspace("ann", organization_id=roof.id)
    oneglanse.add("ann", workspace, "bob", "owner")
    sent = invite(oneglanse, "bob", workspace, "member")
    oneglanse.remove("ann", roof, "bob")
    assert not is_pending(oneglanse, sent)


def test_expired_invitations_are_left_as_they_are(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob", "admin")
    old = invite(dam, "bob", workspace, "viewer", days=-1)
    dam.remove("ann", workspace, "bob")
    assert is_pending(dam, old)


@pytest.mark.req("REQ-039")
def test_deleting_a_workspace_revokes_its_invitations(dam: World) -> None:
    parent = dam.workspace("ann")
    child = dam.child("ann", parent)
    sent = [invite(dam, "ann", workspace, "viewer") for workspace in (parent, child)]
    other = invite(dam, "ann", dam.workspace("ann"), "viewer")
    dam.write("ann", workspaces.delete, workspace_id=parent.id)
    assert [is_pending(dam, each) for each in (*sent, other)] == [False, False, True]
