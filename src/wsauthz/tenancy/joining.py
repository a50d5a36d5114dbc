"""Joining by code: what a code leads to, and letting in whoever has it.

A code that leads nowhere looks the same whatever the reason: an unknown one, one that was switched off or rotated away,
a way of joining that the catalog lacks, a deleted workspace.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wsauthz.model import texts
from wsauthz.model.errors import (
    InvalidArgument,
    InvalidCode,
    MembershipExpired,
    MembershipInactive,
    Removed,
    WorkspaceNotFound,
)
from wsauthz.model.invite_codes import read_invite_code
from wsauthz.model.memberships import Membership
from wsauthz.model.places import PlaceKey, State
from wsauthz.model.targets import Target
from wsauthz.policy.place import Place
from wsauthz.store import invite_codes as invite_code_rows
from wsauthz.store import memberships as membership_rows
from wsauthz.store import organizations as organization_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy import places, visibility
from wsauthz.tenancy.enrolment import enrol, sync_organization
from wsauthz.tenancy.joinable import (
    JoinableOrganization,
    JoinableWorkspace,
    describe,
    joinable_organization,
    joinable_workspace,
)
from wsauthz.tenancy.transaction import Transaction

_LONGEST_CODE: Final = 300
_WORKSPACE_ID: Final = "workspace_"
_SEPARATOR: Final = re.compile(r"[/:]")


class Way(StrEnum):
    """How a code leads somewhere, by the names that catalogs switch it on with."""

    INVITE_CODE = "invite_code"
    WORKSPACE_ID = "workspace_id"
    ORGANIZATION_WORKSPACE = "organization_workspace"
    ORGANIZATION = "organization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """Where a code leads: to one workspace, or to several of one organization, of which one is to be chosen."""

    way: Way
    workspaces: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The actor is a member now, or was one before."""

    membership: Membership
    workspace: JoinableWorkspace
    organization: JoinableOrganization | None
    already_member: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The workspaces of an organization that can be joined, by name."""

    organization: JoinableOrganization
    workspaces: tuple[JoinableWorkspace, ...]


def follow(tx: Transaction, *, code: str) -> Lead:
    """Return what the code leads to; the first form that fits decides, in the order of product.md section 4.

    Raises:
        InvalidCode: it is blank, too long or holds control characters. WorkspaceNotFound: it leads nowhere.

    """
    try:
        text = texts.line("code", code, _LONGEST_CODE, required=True)
    except InvalidArgument:
        raise InvalidCode from None
    methods = tx.rules.catalog.join_methods
    for way in (Way.INVITE_CODE, *_forms(text)):
        if way in methods and (found := _FOLLOW[way](tx, text)):
            return Lead(way=way, workspaces=tuple(found))
    raise WorkspaceNotFound


def enter(tx: Transaction, lead: Lead) -> Joined | Selection:
    """Make the actor a member of the one workspace, or offer the several and write nothing.

    Raises:
        PlaceSuspended, PlaceInactive: nobody joins now. Removed: somebody else removed the actor, from the workspace or
        its organization. MembershipInactive, MembershipExpired: it has such a membership. LimitReached: there is no
        room. UserNotFound: nobody has the actor's id.

    """
    if len(lead.workspaces) > 1:
        return _selection(tx, lead)
    (at,) = lead.workspaces
    tx.target = Target(kind="user", identifier=tx.actor, place=at.key)
    places.check_open(at)
    membership = _membership(tx, at.key)
    already_member = membership is not None
    if not already_member and (organization_id := places.organization_of(at)) is not None:
        _membership(tx, ("organization", organization_id))
    if membership is not None:
        sync_organization(tx, membership)
    else:
        visibility.check_known(tx.facts, tx.actor)
        membership = enrol(tx, at.key, tx.actor, role=tx.rules.catalog.default_workspace_role)
        tx.audit("membership", membership.id, at.key, after={"joined_by": lead.way.value})
    workspace, organization = describe(tx.connection, at.key[1])
    return Joined(membership=membership, workspace=workspace, organization=organization, already_member=already_member)


def _forms(text: str) -> tuple[Way, ...]:
    """Return the ways that are tried for a text that is not an invite code.

    An imported workspace keeps an id of any form, and its id goes before the slug of an organization: anybody who may
    create an organization chooses a slug, and must not take over what leads to another's workspace.
    """
    if text.startswith(_WORKSPACE_ID):
        return (Way.WORKSPACE_ID,)
    if len(_parts(text)) == 2:  # noqa: PLR2004 - a pair
        return (Way.ORGANIZATION_WORKSPACE,)
    return (Way.WORKSPACE_ID, Way.ORGANIZATION)


def _parts(text: str) -> list[str]:
    parts = (part.strip() for part in _SEPARATOR.split(text))
    return [part for part in parts if part]


def _by_invite_code(tx: Transaction, text: str) -> list[Place]:
    """Return the workspace with the code, as it is written or as people write a code that was made here."""
    found = invite_code_rows.find_workspace(tx.connection, text)
    if found is None and (code := read_invite_code(text)) not in {"", text}:
        found = invite_code_rows.find_workspace(tx.connection, code)
    at = tx.facts.places.get(("workspace", found or ""))
    return [] if at is None else [at]


def _by_workspace_id(tx: Transaction, text: str) -> list[Place]:
    at = tx.facts.places.get(("workspace", text))
    return _switched_on(tx, [] if at is None else [at])


def _by_organization_and_workspace(tx: Transaction, text: str) -> list[Place]:
    of_organization, of_workspace = _parts(text)
    organization = _organization(tx, of_organization)
    if organization is None:
        return []
    at = tx.facts.places.get(("workspace", of_workspace))
    if at is None or organization not in at.chain:
        named = workspace_rows.find_by_slug(tx.connection, organization.key[1], of_workspace)
        at = tx.facts.places.get(("workspace", named or ""))
    return _switched_on(tx, [] if at is None else [at])


def _by_organization(tx: Transaction, text: str) -> list[Place]:
    organization = _organization(tx, text)
    if organization is None:
        return []
    below = (at for at in organization.below() if at is not organization and at.state == State.ACTIVE)
    return _switched_on(tx, list(below))


_FOLLOW: Final[Mapping[Way, Callable[[Transaction, str], list[Place]]]] = {
    Way.INVITE_CODE: _by_invite_code,
    Way.WORKSPACE_ID: _by_workspace_id,
    Way.ORGANIZATION_WORKSPACE: _by_organization_and_workspace,
    Way.ORGANIZATION: _by_organization,
}


def _organization(tx: Transaction, text: str) -> Place | None:
    """Return the organization with the id, else the one with the slug: so nobody takes an id over by a slug."""
    by_id = tx.facts.places.get(("organization", text))
    if by_id is not None:
        return by_id
    organization = organization_rows.find_by_slug(tx.connection, text)
    return None if organization is None else tx.facts.places.get(("organization", organization.id))


def _switched_on(tx: Transaction, found: list[Place]) -> list[Place]:
    off = invite_code_rows.switched_off(tx.connection, [at.key[1] for at in found])
    return [at for at in found if at.key[1] not in off]


def _membership(tx: Transaction, place: PlaceKey) -> Membership | None:
    """Return the actor's membership there; None: it has none, and may get one by a code.

    Raises:
        Removed: the last one was ended by somebody else. MembershipInactive, MembershipExpired: it is so.

    """
    latest = membership_rows.latest(tx.connection, place, tx.actor)
    if latest is None:
        return None
    if latest.deleted_at is not None:
        if latest.removed_by is not None:
            raise Removed
        return None
    if not latest.is_active:
        raise MembershipInactive
    if latest.is_expired(tx.now):
        raise MembershipExpired
    return latest


def _selection(tx: Transaction, lead: Lead) -> Selection:
    organization = organization_rows.find(tx.connection, places.organization_of(lead.workspaces[0]) or "")
    if organization is None:
        raise WorkspaceNotFound
    found = workspace_rows.find_many(tx.connection, [at.key[1] for at in lead.workspaces])
    by_name = sorted(found.values(), key=lambda workspace: (workspace.name, workspace.id))
    return Selection(
        organization=joinable_organization(organization),
        workspaces=tuple(joinable_workspace(workspace) for workspace in by_name),
    )
