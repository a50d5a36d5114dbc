"""A bundle and a database as plain rows for any Casbin: inheritance, flow, states and modules worked out beforehand.

This is half of an oracle (stock.py), so it shares nothing with facts.py, ruleset.py and the readers: policy.csv is read
again, and the tree is walked again, naively, from the rows as they are stored. Whoever mends one of the two must not
look at the other.
"""

import csv
import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.policy import terms
from wsauthz.policy.bundle import Bundle

Row = tuple[str, ...]
"""A row as Casbin has it: ``("g", "user:ann", "role:admin", "workspace:c#dam")``."""

_PLATFORM: Final[Mapping[str, Any]] = {}


class Flattened:
    """The rows of a bundle and of a database at one moment.

    ``rows`` are (kind, values) as ``Facts.apply`` takes them, in any order; ``now`` is in Unix seconds. Who is
    deactivated or expired then has no rows.
    """

    def __init__(self, bundle: Bundle, rows: Iterable[tuple[str, Mapping[str, Any]]], now: float) -> None:
        self.now = now
        self.catalog = bundle.catalog
        self.users: dict[str, bool] = {}
        self.places: dict[PlaceKey, Mapping[str, Any]] = {PLATFORM: _PLATFORM}
        self.memberships: dict[str, dict[PlaceKey, Mapping[str, Any]]] = defaultdict(dict)
        for kind, values in rows:
            if kind == "user":
                self.users[values["id"]] = values["is_active"]
            elif kind == "organization":
                self.places["organization", values["id"]] = values
            elif kind == "workspace":
                self.places["workspace", values["id"]] = values
            elif kind == "membership":
                self.memberships[values["user_id"]][_held_in(values)] = values
        self._below: dict[PlaceKey, list[PlaceKey]] = defaultdict(list)
        self._owned: dict[str, list[PlaceKey]] = defaultdict(list)
        for place, values in self.places.items():
            for above in self.chain(place)[1:2]:
                self._below[above].append(place)
            self._owned[values.get("owner_user_id", "")].append(place)
        self.rules: list[Row] = []
        self._inherits: list[tuple[str, str]] = []
        self._flows: list[tuple[str, str]] = []
        self._read(bundle.files["policy.csv"])

    def everything(self) -> Iterator[Row]:
        """Yield every row there is."""
        yield from self.rules
        for place in self.places:
            yield from self.about_place(place)
        for user in sorted({*self.users, *self.memberships, *self._owned} - {""}):
            for place in self.reach(user):
                yield from self.about_user(user, place)

    def about_place(self, place: PlaceKey) -> Iterator[Row]:
        """Yield where the place lies and in which state it is.

        Every Casbin takes a name for linked with itself, and Casbin for Go v3 rejects a row that says so as a cycle.
        """
        where = terms.place(place)
        for above in self.chain(place)[1:]:
            yield ("g2", where, terms.place(above))
        yield ("g3", where, self.state(place))
        yield ("g3", where, terms.ANY_STATE)

    def about_user(self, user: str, place: PlaceKey) -> Iterator[Row]:
        """Yield what the user holds in the place: one row for each node and each module in which it counts."""
        if self.users.get(user) is False:
            return
        for module in sorted(self.modules(place)):
            nodes = self._held(user, place, module)
            if place == PLATFORM and user in self.users:
                nodes |= {terms.EVERYONE}
            for node in sorted(nodes):
                yield ("g", terms.user(user), node, f"{terms.place(place)}#{module}")

    def reach(self, user: str) -> Iterator[PlaceKey]:
        """Yield every place where the user may hold something: where it has a row or is the owner, and all below."""
        starts = {*self._owned.get(user, ()), *self.memberships.get(user, ())}
        if PLATFORM not in starts:
            yield PLATFORM  # of role:everyone
        waiting = [place for place in sorted(starts) if starts.isdisjoint(self.chain(place)[1:])]
        while waiting:
            place = waiting.pop()
            yield place
            waiting += self._below.get(place, ())

    def chain(self, place: PlaceKey) -> list[PlaceKey]:
        """Return the place and the places above it, the platform last."""
        found = [place]
        while found[-1] != PLATFORM:
            values = self.places[found[-1]]
            parent, organization = values.get("parent_workspace_id"), values.get("organization_id")
            if parent is not None:
                found.append(("workspace", parent))
            elif organization is not None:
                found.append(("organization", organization))
            else:
                found.append(PLATFORM)
        return found

    def state(self, place: PlaceKey) -> str:
        """Return the effective state in the word of policy.csv."""
        chain = [self.places[above] for above in self.chain(place)]
        if not all(values.get("is_active", True) for values in chain):
            return "inactive"
        return "suspended" if any(values.get("is_suspended", False) for values in chain) else "active"

    def modules(self, place: PlaceKey) -> set[str]:
        """Return the modules that the place has effectively, core among them."""
        lists = [self.places[above].get("modules") for above in self.chain(place)]
        narrowed = (set(own) for own in lists if own is not None)
        return functools.reduce(set[str].intersection, narrowed, set(self.catalog.modules)) | {terms.CORE}

    def _held(self, user: str, place: PlaceKey, module: str) -> set[str]:
        """Return what counts in the module here: what is given here, and what flows from above."""
        nodes: set[str] = set()
        for above in self.chain(place)[1:2]:
            source = self._held(user, above, module)
            nodes |= {gives for holds, gives in self._flows if holds in source}
        membership = self.memberships.get(user, {}).get(place)
        if membership is not None and self._counts(membership, module):
            permissions = (name for name in membership["permissions"] if name in self.catalog.permissions)
            nodes |= {terms.role(membership["role"]), *map(terms.permission, permissions)}
        if self.catalog.ownership_role is not None and self.places[place].get("owner_user_id") == user:
            nodes.add(terms.role(self.catalog.ownership_role))
        while more := {inherited for heir, inherited in self._inherits if heir in nodes} - nodes:
            nodes |= more
        return nodes

    def _counts(self, membership: Mapping[str, Any], module: str) -> bool:
        expires_at, modules = membership["expires_at"], membership["modules"]
        return (
            membership["role"] in self.catalog.roles
            and membership["is_active"]
            and (expires_at is None or expires_at > self.now)
            and (module == terms.CORE or modules is None or module in modules)
        )

    def _read(self, policy_csv: str) -> None:
        """Read policy.csv; ``*`` and ``module:*`` become one rule for each resource type of the application."""
        application = [kind for kind in self.catalog.resources.values() if not kind.is_core]
        lines = (line for line in policy_csv.splitlines() if line.strip() and not line.lstrip().startswith("#"))
        for cells in csv.reader(lines, skipinitialspace=True):
            row = tuple(cell.strip() for cell in cells)
            if row[0] == "g":
                self._inherits.append((row[1], row[2]))
            elif row[0] == "g4":
                self._flows.append((row[1], row[2]))
            else:
                pattern, covered = row[3], [row[3]]
                if pattern == "*" or pattern.endswith(":*"):
                    covered = [f"{kind.name}/*" for kind in application if pattern in {"*", f"{kind.module}:*"}]
                self.rules.extend((*row[:3], resource, *row[4:]) for resource in covered)


def _held_in(membership: Mapping[str, Any]) -> PlaceKey:
    if membership["workspace_id"] is not None:
        return ("workspace", membership["workspace_id"])
    if membership["organization_id"] is not None:
        return ("organization", membership["organization_id"])
    return PLATFORM
