"""The ceiling: nobody grants more than they hold, nor touches a member above them (product.md section 3).

What somebody holds is what counts for them in the place, whether it was given there, flowed down from above - from the
platform, too - or comes with primary ownership; in each module for itself, because memberships may be limited to some.
Nothing is given for longer than it is held: a temporary right gives until it ends, and never ownership.
"""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from wsauthz.model.errors import RoleCeiling
from wsauthz.model.moments import rfc3339
from wsauthz.policy import terms
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.question import held
from wsauthz.policy.ruleset import Nodes, Ruleset

NEVER: Final = math.inf
"""When something ends that has no expiry, in Unix seconds."""
_NO_RANK: Final = -1
_UNLISTED: Final = "*"
"""No membership's list names it, so asking for this module leaves what is held without a list."""


def check_grant(
    facts: Facts,
    rules: Ruleset,
    now: float,
    *,
    giver: str,
    at: Place,
    role: str,
    permissions: Iterable[str],
    modules: tuple[str, ...] | None,
    until: float,
) -> None:
    """Return if the giver holds, in each of the modules, the role's rank and the permissions for as long as it lasts.

    ``now`` and ``until`` are Unix seconds; ``until`` is NEVER for a grant without an expiry.

    Raises:
        RoleCeiling: it is more than the giver holds, or ends later than what the giver holds.

    """
    wanted = tuple(permissions)

    def excess(moment: float) -> str:
        offer: dict[str, Any] = {"role": role, "permissions": wanted, "modules": modules}
        return _excess(facts, rules, moment, giver=giver, at=at, **offer)

    if problem := excess(now):
        raise RoleCeiling(problem)
    ends = _ends(facts, now, giver=giver, at=at, until=until, holds=lambda moment: not excess(moment))
    if ends is not None:
        raise RoleCeiling(f"Your own right ends at {rfc3339(ends)}; what you give must expire by then", latest=ends)


def check_ownership(
    facts: Facts, now: float, *, giver: str, at: Place, may: Callable[[float], bool], right: str = "right"
) -> None:
    """Return if the giver's right to make somebody an owner has no expiry, as ownership has none.

    ``may`` tells whether the giver has the right at a moment; ``now`` and moments are Unix seconds. That the giver has
    it now is the question of the RPC, and not asked again. ``right`` names it in the error.

    Raises:
        RoleCeiling: the right expires.

    """
    ends = _ends(facts, now, giver=giver, at=at, until=NEVER, holds=may)
    if ends is not None and may(now):
        raise RoleCeiling(f"Your own {right} ends at {rfc3339(ends)}, and ownership has no expiry")


def until(expires_at: datetime | None) -> float:
    """Return an expiry as Unix seconds, NEVER for None."""
    return NEVER if expires_at is None else expires_at.timestamp()


def check_touch(facts: Facts, rules: Ruleset, now: float, *, actor: str, at: Place, user: str, role: str) -> None:
    """Return if the member, with this role of its own, is not above the actor. ``now``: Unix seconds.

    Raises:
        RoleCeiling: it is.

    """
    if rank(facts, rules, now, actor, at) < member_rank(facts, rules, now, at=at, user=user, role=role):
        raise RoleCeiling("This member is above your own rank")


def member_rank(facts: Facts, rules: Ruleset, now: float, *, at: Place, user: str, role: str) -> int:
    """Return the rank of a member; its own role counts even while the membership is deactivated or expired."""
    return max(rank(facts, rules, now, user, at), rank_of(rules, rules.close({terms.role(role)})))


def rank(facts: Facts, rules: Ruleset, now: float, user: str, at: Place) -> int:
    """Return the highest rank that counts for the user in the place, in whatever module."""
    return rank_of(rules, held(facts, rules, now, user, at, None))


def rank_of(rules: Ruleset, nodes: Nodes) -> int:
    """Return the highest rank among the roles; -1 without any that the catalog knows."""
    roles = rules.catalog.roles
    names = (node.removeprefix("role:") for node in nodes if node.startswith("role:"))
    return max((roles[name].rank for name in names if name in roles), default=_NO_RANK)


def _excess(
    facts: Facts,
    rules: Ruleset,
    moment: float,
    *,
    giver: str,
    at: Place,
    role: str,
    permissions: tuple[str, ...],
    modules: tuple[str, ...] | None,
) -> str:
    """Return how the offer is more than the giver holds at a moment; empty: it is not."""
    given = rank_of(rules, rules.close({terms.role(role)}))  # a role may inherit one that ranks above it
    for module in (_UNLISTED,) if modules is None else (terms.CORE, *modules):
        nodes = held(facts, rules, moment, giver, at, module)
        if rank_of(rules, nodes) < given:
            return f"The role {role!r} is above your own{_within(module)}"
        for permission in permissions:
            if not _holds(rules, nodes, at, permission):
                return f"You do not hold the permission {permission!r}{_within(module)}"
    return ""


def _ends(
    facts: Facts, now: float, *, giver: str, at: Place, until: float, holds: Callable[[float], bool]
) -> datetime | None:
    """Return when the giver ceases to hold something, if that is before ``until``; ``holds`` tells for a moment."""
    if holds(max(now, _right_before(until))):
        return None
    expiries = {grant.expires_at for place, grant in facts.grants.get(giver, {}).items() if place in at.chain}
    coming = sorted((end for end in expiries if end is not None and end > now), reverse=True)
    return datetime.fromtimestamp(next((end for end in coming if holds(_right_before(end))), now), UTC)


def _right_before(moment: float) -> float:
    """Return the last moment at which a membership that expires at ``moment`` still counts."""
    return math.nextafter(moment, 0.0) if moment != NEVER else NEVER


def _holds(rules: Ruleset, nodes: Nodes, at: Place, permission: str) -> bool:
    """Tell whether the permission is held, or comes with a role that its holder may give here anyway."""
    node, own = terms.permission(permission), rank_of(rules, nodes)
    if node in nodes:
        return True
    roles = (role for role in rules.catalog.roles.values() if role.assignable and at.key[0] in role.places)
    return any(role.rank <= own and node in rules.close({terms.role(role.name)}) for role in roles)


def _within(module: str) -> str:
    if module == _UNLISTED:
        return " outside of your modules"
    return f" in the module {module!r}" if module != terms.CORE else ""
