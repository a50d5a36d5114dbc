"""What one user holds in one place, with provenance, and everything it may do there."""

from dataclasses import dataclass

from wsauthz.model.places import PlaceKey
from wsauthz.policy import terms
from wsauthz.policy.decision import allowing
from wsauthz.policy.facts import Facts, Grant
from wsauthz.policy.place import Place
from wsauthz.policy.question import Question
from wsauthz.policy.ruleset import Nodes, Ruleset


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One role that counts in a place, and where it comes from. ``modules`` None: every module the place has."""

    node: str
    held_in: Place
    source: str
    """direct, flowed, implied, ownership or everyone."""
    from_node: str
    modules: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMembership:
    """A user's own live membership of a place. ``expires_at``: Unix seconds; None: never."""

    role: str
    is_active: bool
    """It counts now: neither it nor its user is deactivated, and it has not expired."""
    expires_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Everything a frontend wants to know about one user in one place."""

    role: str
    roles: tuple[Held, ...]
    permissions: tuple[str, ...]
    modules: tuple[str, ...]
    is_active: bool
    """The user may enter: by whatever role, they may view the place."""
    membership: OwnMembership | None
    is_owner: bool
    allowed: dict[str, tuple[str, ...]]
    """Resource type -> allowed actions, sorted; only types with any."""

    def may(self, resource: str, action: str) -> bool:
        """Tell whether the action is among the allowed ones."""
        return action in self.allowed.get(resource, ())


def access(facts: Facts, rules: Ruleset, now: float, *, subject: str, place: PlaceKey) -> Access | None:
    """Return what the subject holds and may do in the place; None if there is no such place."""
    at = facts.places.get(place)
    if at is None:
        return None
    refused = facts.users.get(subject) is False
    roles = () if refused else tuple(provenance(facts, rules, now, subject, at))
    own = facts.grants.get(subject, {}).get(at)
    allowed = {} if refused else _allowed(facts, rules, now, subject, at)
    permissions = sorted({held.node.removeprefix("perm:") for held in roles if held.node.startswith("perm:")})
    return Access(
        role=highest_role(rules, frozenset(held.node for held in roles)),
        roles=roles,
        permissions=tuple(permissions),
        modules=tuple(module for module in rules.catalog.modules if _counts_in(at, roles, module)),
        is_active=bool(roles) if at is facts.platform else "view" in allowed.get(place[0], ()),
        membership=None
        if own is None
        else OwnMembership(role=own.role, is_active=not refused and live(own, now), expires_at=own.expires_at),
        is_owner=at.owner == subject,
        allowed=allowed,
    )


def live(grant: Grant, now: float) -> bool:
    """Tell whether a membership is active and unexpired."""
    return grant.is_active and (grant.expires_at is None or now < grant.expires_at)


def highest_role(rules: Ruleset, nodes: Nodes) -> str:
    """Return the name of the highest-ranked role among the nodes; empty if there is none."""
    names = (node.removeprefix("role:") for node in nodes if node.startswith("role:"))
    known = (rules.catalog.roles[name] for name in names if name in rules.catalog.roles)
    best = max(known, key=lambda role: (role.rank, role.name), default=None)
    return best.name if best else ""


def provenance(facts: Facts, rules: Ruleset, now: float, subject: str, at: Place) -> list[Held]:
    """Return every role that counts in the place, each with every way it is held."""
    found: list[Held] = []
    grants = facts.grants.get(subject, {})
    for distance, place in enumerate(at.chain):
        grant = grants.get(place)
        if grant is not None and live(grant, now):
            origin = terms.role(grant.role)
            direct = {origin, *(terms.permission(name) for name in grant.permissions)}
            for node in sorted(rules.given(grant.role, grant.permissions, distance)):
                source = "flowed" if distance else ("direct" if node in direct else "implied")
                found.append(_held(node, place, source, "" if source == "direct" else origin, grant.modules))
        if place.owner == subject and rules.catalog.ownership_role is not None:
            origin = terms.role(rules.catalog.ownership_role)
            for node in sorted(rules.owned(distance)):
                source = "flowed" if distance else ("ownership" if node == origin else "implied")
                found.append(_held(node, place, source, "" if source == "ownership" else origin, None))
    if at is facts.platform and facts.users.get(subject):
        found.append(_held(terms.EVERYONE, at, "everyone", "", None))
    return found


def _held(node: str, place: Place, source: str, from_node: str, modules: frozenset[str] | None) -> Held:
    return Held(node=node, held_in=place, source=source, from_node=from_node, modules=modules)


def _counts_in(at: Place, roles: tuple[Held, ...], module: str) -> bool:
    if at.modules is not None and module not in at.modules:
        return False
    return any(held.modules is None or module in held.modules for held in roles)


def _allowed(facts: Facts, rules: Ruleset, now: float, subject: str, at: Place) -> dict[str, tuple[str, ...]]:
    allowed: dict[str, tuple[str, ...]] = {}
    for kind, compiled in rules.actions.items():
        actions = [
            name
            for name, action in sorted(compiled.items())
            if allowing(facts, rules, now, Question(subject, at, action, "", "")) is not None
        ]
        if actions:
            allowed[kind] = tuple(actions)
    return allowed
