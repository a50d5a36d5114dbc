"""The ceiling: nobody grants more than they hold, nor touches a member above them (product.md section 3).

What somebody holds is what counts for them in the place, whether it was given there, flowed down from above - from the
platform, too - or comes with primary ownership; in each module for itself, because memberships may be limited to some.
"""

from collections.abc import Iterable
from typing import Final

from wsauthz.model.errors import RoleCeiling
from wsauthz.policy import terms
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.question import held
from wsauthz.policy.ruleset import Nodes, Ruleset

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
) -> None:
    """Return if the giver holds, in each of the modules, the role's rank and the permissions. ``now``: Unix seconds.

    Raises:
        RoleCeiling: it is more than the giver holds.

    """
    given = rank_of(rules, rules.close({terms.role(role)}))  # a role may inherit one that ranks above it
    wanted = tuple(permissions)
    for module in (_UNLISTED,) if modules is None else (terms.CORE, *modules):
        nodes = held(facts, rules, now, giver, at, module)
        if rank_of(rules, nodes) < given:
            raise RoleCeiling(f"The role {role!r} is above your own{_within(module)}")
        for permission in wanted:
            if not _holds(rules, nodes, at, permission):
                raise RoleCeiling(f"You do not hold the permission {permission!r}{_within(module)}")


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
