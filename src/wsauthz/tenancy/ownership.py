"""Passing primary ownership on: to whom it may go, and what becomes of the two memberships (product.md section 3)."""

from typing import Any

from wsauthz.model.errors import AlreadyOwner, Denied, LimitReached, MemberNotFound
from wsauthz.model.memberships import Membership
from wsauthz.model.places import PlaceKey
from wsauthz.model.workspaces import Workspace
from wsauthz.policy.catalog import Reason
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import memberships as membership_rows
from wsauthz.store import revisions
from wsauthz.tenancy import aftermath, ceiling, members, owners, places, visibility
from wsauthz.tenancy.enrolment import change
from wsauthz.tenancy.members import Member
from wsauthz.tenancy.transaction import Reading, Transaction


def transfer(tx: Transaction, *, workspace_id: str, user_id: str) -> tuple[Workspace, Membership]:
    """Make a member the primary owner; return the workspace and the new owner's membership.

    That one gets the catalog's creator role without limits; the former owner's what the catalog has for it.

    Raises:
        WorkspaceNotFound: there is none. Denied: the actor is neither the primary owner nor the platform.
        RoleCeiling: the creator role is more than the actor holds, or the actor's right to this expires.
        AlreadyOwner: the user is the primary owner. MemberNotFound: the user has no membership that counts now.
        UserNotFound: nobody has the id.
        LimitReached: it owns as many workspaces as it may.

    """
    place: PlaceKey = ("workspace", workspace_id)
    at = places.find(tx.facts, place)
    _check_may_pass_on(tx.facts, tx.rules, tx.now.timestamp(), tx.actor, at)
    former = at.owner
    if former == user_id:
        raise AlreadyOwner
    membership = membership_rows.find_able(tx.connection, place, user_id, now=tx.now)
    if membership is None:
        raise MemberNotFound
    visibility.check_known(tx.facts, user_id)
    catalog = tx.rules.catalog
    if len(tx.facts.owned.get(user_id, ())) >= catalog.workspaces_per_owner:
        raise LimitReached("workspaces_per_owner", catalog.workspaces_per_owner)
    workspace = owners.pass_on(tx, at, user_id)
    membership = give_role(tx, membership, catalog.creator_role, modules=None, expires_at=None)
    if former is not None:
        left = membership_rows.find(tx.connection, place, former)
        if left is not None:
            give_role(tx, left, catalog.former_owner_role)
        aftermath.revoke_unsendable(tx, former, [place])
    aftermath.revoke_unsendable(tx, user_id, [place])
    return workspace, membership


def list_candidates(
    reading: Reading, *, workspace_id: str, query: str, after: str, limit: int
) -> tuple[list[Member], bool]:
    """Return up to ``limit`` members whom ``transfer`` would take, and whether there are more.

    By user id, after a user id. ``query`` is part of the user's name or email, in any case.

    Raises:
        WorkspaceNotFound: there is none. Denied, RoleCeiling: the actor may not transfer ownership to anybody.

    """
    place: PlaceKey = ("workspace", workspace_id)
    actor = reading.actor

    def look(facts: Facts, rules: Ruleset, now: float) -> tuple[str, int]:
        at = places.find(facts, place)
        _check_may_pass_on(facts, rules, now, actor, at)
        return at.owner or "", rules.catalog.workspaces_per_owner

    owner, most = reading.on_loop(look)
    found = membership_rows.owner_candidates(
        reading.connection,
        workspace_id,
        besides=owner,
        most_owned=most,
        now=revisions.database_time(reading.connection),
        query=query,
        after=after,
        limit=limit + 1,
    )
    return members.with_users(reading, place, found[:limit]), len(found) > limit


def give_role(tx: Transaction, membership: Membership, role: str, **more: Any) -> Membership:
    """Give a membership the role, and other values, and return it; with an owner-like one it has no limits any more."""
    given = {"role": role, **more}
    if tx.rules.catalog.roles[role].owner_like:
        given |= {"modules": None, "expires_at": None}
    values = {field: value for field, value in given.items() if value != getattr(membership, field)}
    if not values:
        return membership
    return change(tx, membership, values)


def _check_may_pass_on(facts: Facts, rules: Ruleset, now: float, actor: str, at: Place) -> None:
    """Return for the primary owner and for the platform: others may not, whoever the rules let transfer."""

    def is_entitled(moment: float) -> bool:
        owner = at.owner or ""
        return owner == actor or owners.acts_as_platform(facts, rules, moment, actor=actor, at=at, user=owner)

    def may(moment: float) -> bool:
        asked = {"subject": actor, "resource": "workspace", "action": "transfer"}
        return is_entitled(moment) and decide(facts, rules, moment, place=at.key, **asked).allowed

    if not is_entitled(now):
        raise Denied(Reason.ROLE_INSUFFICIENT, rules.catalog.answer(Reason.ROLE_INSUFFICIENT).message)
    role = rules.catalog.creator_role
    given: dict[str, Any] = {"role": role, "permissions": (), "modules": None, "until": ceiling.NEVER}
    ceiling.check_ownership(facts, now, giver=actor, at=at, may=may)
    ceiling.check_grant(facts, rules, now, giver=actor, at=at, **given)
