"""A workspace's invite code, and what its members tell others so that they can join."""

from dataclasses import dataclass, field

from wsauthz.model.invite_codes import new_invite_code
from wsauthz.model.places import PlaceKey
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import invite_codes as invite_code_rows
from wsauthz.tenancy import ceiling, places
from wsauthz.tenancy.joinable import JoinableOrganization, JoinableWorkspace, describe
from wsauthz.tenancy.joining import Way
from wsauthz.tenancy.transaction import Reading, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteCode:
    """A secret; empty while joining by code is switched off."""

    code: str = field(default="", repr=False)
    is_enabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinInfo:
    """By which names a workspace can be joined; its invite code is not among them."""

    organization_code: str
    workspace_code: str
    organization: JoinableOrganization | None
    workspace: JoinableWorkspace
    join_methods: tuple[str, ...]
    is_enabled: bool


def get(reading: Reading, *, workspace_id: str) -> InviteCode:
    """Return the workspace's invite code.

    Raises:
        WorkspaceNotFound: there is none. RoleCeiling: the code gives more than the actor holds.

    """
    actor = reading.actor
    reading.on_loop(lambda facts, rules, now: _check_handing_out(facts, rules, now, actor, workspace_id))
    code, is_enabled = invite_code_rows.find(reading.connection, workspace_id) or ("", False)
    return InviteCode(code=code, is_enabled=True) if is_enabled else InviteCode()


def rotate(tx: Transaction, *, workspace_id: str, disable: bool) -> InviteCode:
    """Give the workspace a new code, or switch joining by code off; the old code is dead either way, members stay.

    Switching off twice changes nothing.

    Raises:
        WorkspaceNotFound: there is none. RoleCeiling: the new code would give more than the actor holds.

    """
    place: PlaceKey = ("workspace", workspace_id)
    places.find(tx.facts, place)
    if not disable:
        _check_handing_out(tx.facts, tx.rules, tx.now.timestamp(), tx.actor, workspace_id)
    had = invite_code_rows.find(tx.connection, workspace_id)
    was_enabled = had is not None and had[1]
    if disable and had is not None and not was_enabled:
        return InviteCode()
    code = new_invite_code()  # a new one, too, where it is switched off: the old one never comes back
    invite_code_rows.put(tx.connection, workspace_id, code, is_enabled=not disable, now=tx.now)
    before, after = {"is_enabled": was_enabled}, {"is_enabled": not disable, "rotated": True}
    tx.audit("invite_code", workspace_id, place, before=before, after=after)
    return InviteCode() if disable else InviteCode(code=code, is_enabled=True)


def join_info(reading: Reading, *, workspace_id: str) -> JoinInfo:
    """Return what a member tells others so that they can join by the workspace's or the organization's name.

    Raises:
        WorkspaceNotFound: there is none.

    """
    methods = reading.on_loop(lambda _facts, rules, _now: rules.catalog.join_methods)
    workspace, organization = describe(reading.connection, workspace_id)
    row = invite_code_rows.find(reading.connection, workspace_id)
    # Without a code of its own nobody has switched the other ways off.
    is_enabled = any(way != Way.INVITE_CODE for way in methods) if row is None else row[1]
    return JoinInfo(
        organization_code=organization.slug if organization else "",
        workspace_code=workspace.id,
        organization=organization,
        workspace=workspace,
        join_methods=methods,
        is_enabled=is_enabled,
    )


def _check_handing_out(facts: Facts, rules: Ruleset, now: float, actor: str, workspace_id: str) -> None:
    """Return if the actor could give what a code gives: the default role, in every module.

    For how long is not asked: the code is the workspace's own offer.
    """
    at = places.find(facts, ("workspace", workspace_id))
    role = rules.catalog.default_workspace_role
    ceiling.check_grant(facts, rules, now, giver=actor, at=at, role=role, permissions=(), modules=None, until=now)
