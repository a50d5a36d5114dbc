"""Who is where, as plain dictionaries, after any number of management calls: product.md sections 1 to 4 read plainly.

The tables are those of the plain reading, so that it can answer any question about them, and a few more. What one call
does to them is in ``tenancy_members``, ``tenancy_joining`` and ``tenancy_places``; whether it may be made at all, in
``tenancy_rights``. Nothing of it imports the engine or tenancy.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.plain_reading import Answer, answer
from tests.oracle.plain_rules import closure, counts, nodes
from tests.oracle.plain_state import PLATFORM, Case, PlaceKey, Policy, Question, State, own, path, place_of

Reasons = set[str]
"""Why a call is refused; any of them may be the one that is given. Empty: it goes through."""


@dataclass(kw_only=True)
class Tenancy(State):
    """What is the case, what has been, and what the secrets are."""

    policy: Policy
    invitations: dict[str, dict[str, Any]] = field(default_factory=dict)
    codes: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Of each workspace: the invite code, empty if it is not known, and whether joining by code is on."""
    module_settings: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    ever: Counter[tuple[PlaceKey, str]] = field(default_factory=Counter)
    """How many memberships there ever were of a user in a place."""
    removed: dict[tuple[PlaceKey, str], int] = field(default_factory=dict)
    """When somebody else ended the latest membership of a user in a place; counted, like all times here."""
    failures: Counter[str] = field(default_factory=Counter)
    """Codes and tokens of each actor that led nowhere."""
    ticks: int = 0
    actor: str = ""
    """Who makes the call that is being written down."""
    is_deleting: bool = False
    """Workspaces are being deleted; memberships of their organizations follow once, afterwards."""

    # --- asking -------------------------------------------------------------------------------------------------------

    @property
    def case(self) -> Case:
        """What is the case now."""
        return Case(self, self.policy, time.time())

    def at(self, now: float | None) -> Case:
        """Return what will be the case at a time, if nothing but time changes; None: now."""
        return self.case if now is None else Case(self, self.policy, now)

    def ask(self, user: str, place: PlaceKey, question: str, *, module: str = "", now: float | None = None) -> Answer:
        """Return the plain reading's answer to a question such as "member/add"."""
        resource, _, action = question.rpartition("/")
        return answer(self.at(now), Question(user, place, resource, action, module))

    def may(self, user: str, place: PlaceKey, question: str, *, now: float | None = None) -> bool:
        """Tell whether it is allowed."""
        return self.ask(user, place, question, now=now).allowed

    def nodes(self, user: str, place: PlaceKey, module: str | None = None, *, now: float | None = None) -> set[str]:
        """Return the roles and permissions that somebody holds in a place."""
        return nodes(self.at(now), user, place, module)

    def held_besides(self, user: str, place: PlaceKey, row: Mapping[str, Any]) -> set[str]:
        """Return what somebody holds in a place by everything but one membership."""
        rows = {key: each for key, each in self.memberships.items() if each is not row}
        state = State(users=self.users, organizations=self.organizations, workspaces=self.workspaces, memberships=rows)
        return nodes(Case(state, self.policy, time.time()), user, place, None)

    def later(self, user: str, place: PlaceKey, until: float | None = None) -> list[float]:
        """Return the times before ``until`` at which something expires that somebody holds; None: ever."""
        rows = [self.member(above, user) for above in path(self, place)]
        ends = [row["expires_at"] for row in rows if row is not None and row["expires_at"] is not None]
        return [end for end in ends if time.time() < end and (until is None or end < until)]

    def rank(self, held: Iterable[str]) -> int:
        """Return the highest rank among roles; -1 without any."""
        roles = self.policy.catalog["roles"]
        return max(
            (roles[node[5:]]["rank"] for node in held if node.startswith("role:") and node[5:] in roles), default=-1
        )

    def rank_of(self, role: str) -> int:
        """Return the rank of a role with all that it inherits."""
        return self.rank(closure(self.policy, {f"role:{role}"}))

    # --- looking things up --------------------------------------------------------------------------------------------

    @property
    def is_shared(self) -> bool:
        """Whether a workspace may have several owners, who are equals."""
        return bool(self.policy.catalog["ownership"].get("multiple", False))

    def member(self, place: PlaceKey, user: str) -> dict[str, Any] | None:
        """Return the live membership, be it deactivated or expired."""
        return self.memberships.get((place, user))

    def is_expired(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a membership that is not deactivated has run out."""
        return bool(row["is_active"]) and not counts(row, time.time())

    def below(self, place: PlaceKey) -> list[str]:
        """Return the ids of the workspaces at or below a place, parents before their children."""
        found = [key for key in self.workspaces if place in path(self, ("workspace", key))]
        return sorted(found, key=self.depth)

    def roof(self, place: PlaceKey) -> PlaceKey | None:
        """Return the organization at or above a place."""
        return next((above for above in path(self, place) if above[0] == "organization"), None)

    def owner(self, place: PlaceKey) -> str | None:
        """Return the primary owner of a workspace."""
        found: str | None = own(self, place).get("owner_user_id")
        return found

    def owner_roles(self, kind: str) -> list[str]:
        """Return the roles that make somebody an owner of a kind of place, the highest first."""
        roles = self.policy.catalog["roles"]
        found = [name for name, role in roles.items() if role.get("owner_like") and kind in role["places"]]
        return sorted(found, key=lambda name: -roles[name]["rank"])

    def is_owner_like(self, role: str) -> bool:
        """Tell whether the catalog flags the role so."""
        return bool(self.policy.catalog["roles"][role].get("owner_like", False))

    def other_owner(self, place: PlaceKey, user: str) -> str | None:
        """Return who has been an owner for the longest time, besides the user and who could not act as one."""
        rows = [
            row
            for (where, who), row in self.memberships.items()
            if where == place
            and who != user
            and row["role"] in self.owner_roles(place[0])
            and counts(row, time.time())
            and self.users.get(who, {}).get("is_active", True)
        ]
        return min(rows, key=lambda row: row["joined"])["user_id"] if rows else None

    def has_room_for(self, place: PlaceKey) -> Reasons:
        """Return why nobody and nothing may be added to a place now."""
        flags = [own(self, above) for above in path(self, place)]
        if not all(row.get("is_active", True) for row in flags):
            return {"WORKSPACE_INACTIVE"}
        return {"WORKSPACE_SUSPENDED"} if any(row.get("is_suspended", False) for row in flags) else set()

    # --- changing -----------------------------------------------------------------------------------------------------

    def put(self, kind: str, values: Mapping[str, Any]) -> None:
        """Write one row down, or cross it out; a membership of a workspace is followed by one of the organization."""
        super().put(kind, values)
        if kind == "membership" and not self.is_deleting:
            place = place_of(values)
            is_way_in = not values.get("deleted") and counts(values, time.time())
            self.follow(place, values["user_id"], is_way_in=is_way_in, added_by=values["added_by"])

    def follow(self, place: PlaceKey, user: str, *, is_way_in: bool, added_by: str | None = None) -> None:
        """See that the organization has what memberships in its workspaces bring, unless somebody set it otherwise."""
        from tests.oracle.tenancy_rights import revoke_unsendable

        roof = self.roof(place) if place[0] == "workspace" and place[1] in self.workspaces else None
        if roof is None:
            return
        now = time.time()
        bringing = [
            row
            for (where, who), row in self.memberships.items()
            if who == user and where[0] == "workspace" and self.roof(where) == roof and counts(row, now)
        ]
        row = self.member(roof, user)
        if not bringing or (row is None and not is_way_in) or (row is not None and not row["is_derived"]):
            return
        lists = [each["modules"] for each in bringing]
        ends = [each["expires_at"] for each in bringing]
        terms = {
            "modules": None if None in lists else sorted({module for modules in lists for module in modules}),
            "expires_at": None if None in ends else max(ends),
        }
        if row is None:
            terms |= {"is_derived": True, "added_by": added_by}
            self.enrol(roof, user, self.policy.catalog["defaults"]["organization"], **terms)
        elif any(row[name] != value for name, value in terms.items()):
            self.put("membership", {**row, **terms})
            revoke_unsendable(self, user, roof)

    def tick(self) -> int:
        """Return a number that is higher than every one before: what happened later has a higher one."""
        self.ticks += 1
        return self.ticks

    def enrol(self, place: PlaceKey, user: str, role: str, **terms: Any) -> dict[str, Any]:
        """Make a new membership in place of none, or of an expired one, and return it."""
        kind, identifier = place
        self.ever[place, user] += 1
        self.removed.pop((place, user), None)
        usual: dict[str, Any] = {"permissions": [], "modules": None, "is_active": True, "expires_at": None}
        usual |= {"is_derived": False, "added_by": self.actor or None}
        row = {
            "workspace_id": identifier if kind == "workspace" else None,
            "organization_id": identifier if kind == "organization" else None,
            "user_id": user,
            "role": role,
            "joined": self.tick(),
            **usual,
            **terms,
        }
        self.put("membership", row)
        return row

    def close(self, row: Mapping[str, Any], by: str | None) -> None:
        """End a membership; ``by`` None: it goes with something else."""
        place, user = place_of(row), row["user_id"]
        self.put("membership", {**row, "deleted": True})
        if by not in {None, user}:
            self.removed[place, user] = self.tick()

    def delete_workspaces(self, ids: Iterable[str]) -> None:
        """Delete workspaces with all that belongs to them."""
        ids, self.is_deleting = list(ids), True
        places: set[PlaceKey] = {("workspace", key) for key in ids}
        members = {(self.roof(where), who) for where, who in self.memberships if where in places}
        self._delete_workspaces(ids)
        self.is_deleting = False
        left = [(where, who) for where, who in self.memberships if (self.roof(where), who) in members]
        for where, who in left:
            self.follow(where, who, is_way_in=False)

    def _delete_workspaces(self, ids: Iterable[str]) -> None:
        for key in reversed(list(ids)):
            place: PlaceKey = ("workspace", key)
            for row in [row for (where, _), row in self.memberships.items() if where == place]:
                self.close(row, None)
            for invitation in self.invitations.values():
                if invitation["workspace_id"] == key and invitation["status"] == "open":
                    invitation["status"] = "dead"
            for user in self.users.values():
                if user["default_workspace_id"] == key:
                    user["default_workspace_id"] = None
            self.codes.pop(key, None)
            self.subscriptions.pop(key, None)
            self.module_settings = {each: found for each, found in self.module_settings.items() if each[0] != key}
            self.put("workspace", {"id": key, "deleted": True})

    def delete_organization(self, key: str) -> int:
        """Delete an organization with all that belongs to it; return how many workspaces went."""
        place: PlaceKey = ("organization", key)
        going = self.below(place)
        self.delete_workspaces(going)
        for row in [row for (where, _), row in self.memberships.items() if where == place]:
            self.close(row, None)
        self.put("organization", {"id": key, "deleted": True})
        return len(going)


def above(model: Tenancy, place: PlaceKey) -> PlaceKey:
    """Return the place right above a place."""
    return path(model, place)[1] if place != PLATFORM else PLATFORM
