"""Deleting workspaces and organizations with everything that goes with them: whoever owns what lies below."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from wsauthz.model.errors import OrganizationNotFound
from wsauthz.model.places import PLATFORM
from wsauthz.policy.place import Place
from wsauthz.store import changes
from wsauthz.store import invitations as invitation_rows
from wsauthz.store import invite_codes as invite_code_rows
from wsauthz.store import memberships as membership_rows
from wsauthz.store import organizations as organization_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy.enrolment import keep_in_step
from wsauthz.tenancy.places import organization_of
from wsauthz.tenancy.transaction import Transaction


def delete_workspaces(tx: Transaction, tops: Iterable[Place], *, along_with: str) -> int:
    """Delete the workspaces and their descendants, and return how many went.

    With them go memberships, pending invitations, codes, what a scheduler has of them, and that they are somebody's
    default. Derived memberships of their organizations follow. ``along_with`` is the id of what took them along; the
    audit says it.
    """
    going = {place.key[1]: place for top in tops for place in top.below()}
    derived = membership_rows.derived_along_with(tx.connection, going)
    _delete_workspaces(tx, going, along_with=along_with)
    for organization_id in {each.organization_id: None for each in derived}:
        keep_in_step(tx, str(organization_id), [each for each in derived if each.organization_id == organization_id])
    return len(going)


def delete_organization(tx: Transaction, at: Place) -> int:
    """Delete the organization with its workspaces and memberships, and return how many workspaces went.

    Raises:
        OrganizationNotFound: there is none.

    """
    organization_id = at.key[1]
    organization = organization_rows.find(tx.connection, organization_id)
    if organization is None:
        raise OrganizationNotFound
    going = {place.key[1]: place for place in at.below() if place is not at}
    _delete_workspaces(tx, going, along_with=organization_id)
    membership_rows.remove_in_organization(tx.connection, organization_id, now=tx.now)
    organization_rows.delete(tx.connection, organization_id, now=tx.now)
    tx.changed(changes.organization(replace(organization, deleted_at=tx.now)))
    tx.audit("organization", organization_id, at.key, after={"deleted": True, "workspaces": len(going)})
    return len(going)


def _delete_workspaces(tx: Transaction, going: Mapping[str, Place], *, along_with: str) -> None:
    if not going:
        return
    tx.scheduler.unschedule(tx.connection, list(going))  # all: clearing a schedule may have failed there before
    membership_rows.remove_in(tx.connection, going, now=tx.now)
    tx.tally.invitations["revoked"] += invitation_rows.revoke_in(tx.connection, going, now=tx.now)
    invite_code_rows.remove(tx.connection, going)
    workspace_rows.delete(tx.connection, going, now=tx.now)
    for each, place in going.items():
        above = place.parent.key if place.parent else PLATFORM
        parent = above[1] if above[0] == "workspace" else None
        tx.changed(changes.workspace_deleted(each, organization_id=organization_of(place), parent_workspace_id=parent))
        tx.audit("workspace", each, place.key, after={"deleted": True, "with": along_with})
