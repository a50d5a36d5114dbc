"""Who ranks how, and what the rules refuse: policy.md 1 and product.md sections 3 and 5 read plainly.

Ranks come from catalog.toml and the ``g`` rows of policy.csv. Imports neither Casbin nor wsauthz.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Self

from tests.oracle.plain_reading import Answer, answer
from tests.oracle.plain_rules import closure, nodes
from tests.oracle.plain_state import PLATFORM, Case, PlaceKey, Question, effective_state, path

Reasons = set[str]
NO_RANK = -1
CLOSED = {"suspended": "WORKSPACE_SUSPENDED", "inactive": "WORKSPACE_INACTIVE"}


class Holdings:
    """One state of things to ask about; it must not change, because what somebody holds is remembered."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.catalog = case.policy.catalog
        self.roles: Mapping[str, Any] = self.catalog["roles"]
        self._held: dict[tuple[str, PlaceKey, str | None], set[str]] = {}
        self._ranks: dict[str, int] = {}
        self._answers: dict[Question, Answer] = {}
        self._alone: dict[str, Case] = {}
        self._later: dict[float, Self] = {}

    # --- who holds what -----------------------------------------------------------------------------------------------

    def held(self, user: str, place: PlaceKey, module: str | None = None) -> set[str]:
        """Return the roles and permissions that count; ``module`` None: in whatever module."""
        key = (user, place, module)
        if key not in self._held:
            self._held[key] = nodes(self._about(user), user, place, module)
        return self._held[key]

    def rank_of(self, held: Iterable[str]) -> int:
        """Return the highest rank among roles and what they inherit."""
        names = (node.removeprefix("role:") for node in closure(self.case.policy, held) if node.startswith("role:"))
        return max((self.roles[name]["rank"] for name in names if name in self.roles), default=NO_RANK)

    def rank(self, user: str, place: PlaceKey, module: str | None = None) -> int:
        """Return the rank that counts for a user."""
        return self.rank_of(self.held(user, place, module))

    def role_rank(self, role: str) -> int:
        """Return the rank that a role gives."""
        if role not in self._ranks:
            self._ranks[role] = self.rank_of({f"role:{role}"})
        return self._ranks[role]

    def row(self, user: str, place: PlaceKey) -> Mapping[str, Any] | None:
        """Return the live membership, be it deactivated or expired."""
        return self.case.state.memberships.get((place, user))

    def is_platform(self, user: str) -> bool:
        """Tell whether somebody acts as the platform: by a role of the catalog that is held there."""
        return self.rank(user, PLATFORM) > NO_RANK

    def is_owner_like(self, role: str) -> bool:
        """Tell whether the catalog flags the role so."""
        return bool(self.roles.get(role, {}).get("owner_like", False))

    def assignable(self, kind: str) -> list[str]:
        """Return the roles that are given in a kind of place."""
        return [name for name, role in self.roles.items() if role.get("assignable", True) and kind in role["places"]]

    def gives_permission(self, held: set[str], permission: str, kind: str) -> bool:
        """Tell whether a permission is held, or comes with a role that its holder may give in such a place anyway."""
        node = f"perm:{permission}"
        own_rank = self.rank_of(held)
        implied = (role for role in self.assignable(kind) if node in closure(self.case.policy, {f"role:{role}"}))
        return node in held or any(self.role_rank(role) <= own_rank for role in implied)

    # --- what is refused ----------------------------------------------------------------------------------------------

    def ask(self, user: str, place: PlaceKey, resource: str, action: str, module: str = "") -> Answer:
        """Return what Check answers."""
        question = Question(user, place, resource, action, module)
        if question not in self._answers:
            self._answers[question] = answer(self._about(user), question)
        return self._answers[question]

    def by_rule(self, user: str, question: str, place: PlaceKey, named: PlaceKey | None = None) -> Reasons:
        """Return why the rules refuse a question such as "member add"; ``named``: what the request names instead.

        Who may not view that gets to know no more than that it was not found.
        """
        if not self.is_active(user):
            return {"USER_INACTIVE"}
        resource, _, action = question.partition(" ")
        found = self.ask(user, place, resource, action)
        if found.allowed:
            return set()
        target = named or place
        if target != PLATFORM and not self.ask(user, target, target[0], "view").allowed:
            return {f"{target[0].upper()}_NOT_FOUND"}
        return {found.reasons[0]}

    def closed(self, place: PlaceKey) -> Reasons:
        """Return why nobody may come into a place."""
        state = effective_state(self.case.state, place)
        return {CLOSED[state]} if state in CLOSED else set()

    def unknown(self, user: str) -> Reasons:
        """Return why an id is given nothing that the application never mirrored."""
        return set() if user in self.case.state.users else {"USER_NOT_FOUND"}

    def is_active(self, user: str) -> bool:
        return bool(self.case.state.users.get(user, {}).get("is_active", True))

    def _about(self, user: str) -> Case:
        """Return the case without the memberships of others, which no question about one user is about."""
        if user not in self._alone:
            own_rows = {key: row for key, row in self.case.state.memberships.items() if key[1] == user}
            self._alone[user] = self.case._replace(state=replace(self.case.state, memberships=own_rows))
        return self._alone[user]

    def held_besides(self, user: str, place: PlaceKey) -> set[str]:
        """Return what somebody holds in a place by everything but the membership there."""
        rows = {key: row for key, row in self.case.state.memberships.items() if key != (place, user)}
        case = self.case._replace(state=replace(self.case.state, memberships=rows))
        return nodes(case, user, place, None)

    def later(self, user: str, place: PlaceKey, until: float | None = None) -> list[Self]:
        """Return how things are each time that something expires which a user holds, before ``until``; None: ever."""
        expiries = {(self.row(user, above) or {}).get("expires_at") for above in self.path(place)}
        ends = {end for end in expiries if end is not None and self.case.now < end and (until is None or end < until)}
        for end in ends - self._later.keys():
            self._later[end] = type(self)(self.case._replace(now=end))
        return [self._later[end] for end in ends]

    def path(self, place: PlaceKey) -> list[PlaceKey]:
        return path(self.case.state, place)
