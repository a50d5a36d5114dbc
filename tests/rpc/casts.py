"""Worlds for generated tests: one organization, three workspaces one below the other, and some of the people.

A world is written down once and read twice: as rows for the server's database, and as the state of the plain reading.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from tests.oracle.plain_grants import Ground
from tests.oracle.plain_state import PLATFORM, Case, PlaceKey, Policy, State
from tests.rpc.people import ROOMS, Person, Seat, kind_of

NEWCOMER: Final = "newcomer"
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(eq=False)
class World:
    """An organization with its workspaces, and some of the people; ids begin with the world's name."""

    name: str
    rules: Policy
    people: Mapping[str, Person]
    users: dict[str, str] = field(default_factory=dict)
    """User id -> who of the people it is."""
    records: list[dict[str, Any]] = field(default_factory=list)
    state: State = field(default_factory=State)

    def __post_init__(self) -> None:
        self.state.put("user", {"id": NEWCOMER, "is_active": True})  # as whom attempts are judged before they are made
        modules = list(self.rules.catalog["modules"])
        self._record("organization", id=self.id("organization"))
        above: dict[str, Any] = {"organization": self.id("organization")}
        for room in ROOMS[1:]:
            fewer = modules[:-1] if room == "child" and len(modules) > 1 else modules
            self._workspace(room, above, fewer)
            above = {"parent": self.id(room)}
        for name in self.people:
            self.seat(name)

    def id(self, room: str) -> str:
        """Return the id of a room."""
        return f"{self.name}.{room}"

    def place(self, room: str) -> PlaceKey:
        """Return a room as a place."""
        if room == "platform":
            return PLATFORM
        return (kind_of(room), self.id(room))

    def user(self, name: str) -> str:
        """Return the id of a person."""
        return f"{self.name}.{name}".replace("+", ".")

    def code(self, room: str) -> str:
        """Return the invite code of a workspace."""
        digest = hashlib.sha256(self.id(room).encode()).digest()
        return "".join(_CROCKFORD[byte % 32] for byte in digest[:20])

    def mark(self, room: str, **flags: bool) -> None:
        """Set flags of a room, such as ``is_suspended``."""
        for record in self.records:
            if record["kind"] in {"organization", "workspace"} and record["id"] == self.id(room):
                record.update(flags)
                self.state.put(record["kind"], _plain(record["kind"], record))

    def subscribe(self, room: str, plan: str) -> None:
        """Put a workspace, and so those below it, on a plan."""
        self.records.append({"kind": "subscription", "workspace": self.id(room), "plan": plan, "status": "active"})
        self.state.put("subscription", {"workspace_id": self.id(room), "plan": plan, "status": 1})

    def invite(self, user: str, role: str, *, sender: str) -> str:
        """Have somebody invited to the workspace and return the invitation's id."""
        invitation = f"{self.name}.invitation.{user.removeprefix(self.name)}"
        terms = {"workspace": self.id("workspace"), "role": role, "invited_by": sender}
        self.records.append({"kind": "invitation", "id": invitation, "email": email(user), **terms})
        return invitation

    def case(self) -> Case:
        """Return the world for the plain reading."""
        return Case(self.state, self.rules, time.time())

    @cached_property
    def ground(self) -> Ground:
        """The world to be asked about, which must be as it is to stay: what somebody holds is remembered."""
        return Ground(self.case())

    def seat(self, name: str, number: int = 0) -> str:
        """Bring a person in, or one more of the same kind, and return the user id."""
        person = self.people[name]
        user = f"{self.user(name)}.{number}" if number else self.user(name)
        self.users[user] = name
        if person.is_known:
            self._record("user", id=user, email=email(user), email_verified=True, is_active=person.is_active)
        for seat in person.seats:
            self._membership(user, seat)
        return user

    def newcomer(self, number: int) -> str:
        """Return a user who is nowhere yet."""
        user = f"{self.name}.newcomer.{number}"
        self._record("user", id=user, email=email(user), email_verified=True, is_active=True)
        return user

    def _workspace(self, room: str, above: Mapping[str, Any], modules: Iterable[str]) -> None:
        owner = next((self.user(name) for name, person in self.people.items() if person.owns == room), "nobody")
        code = self.code(room)
        self._record("workspace", id=self.id(room), owner=owner, modules=[*modules], invite_code=code, **above)

    def _membership(self, user: str, seat: Seat) -> None:
        kind, identifier = self.place(seat.room)
        where: dict[str, Any] = {"platform": True} if kind == "platform" else {kind: identifier}
        values: dict[str, Any] = {"permissions": [*seat.permissions], "is_active": seat.is_active}
        if seat.modules is not None:
            values["modules"] = [*seat.modules]
        if seat.expires_at:
            values["expires_at"] = seat.expires_at
        self._record("membership", user=user, role=seat.role, **where, **values)

    def _record(self, kind: str, **values: Any) -> None:
        self.records.append({"kind": kind, **values})
        self.state.put(kind, _plain(kind, values))


def email(user: str) -> str:
    """Return the address of a user of a world."""
    return f"{user.lower()}@example.com"


def lines(worlds: Iterable[World]) -> str:
    """Return worlds as a state file in JSON Lines."""
    return "\n".join(json.dumps(record) for world in worlds for record in world.records)


def _plain(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of a state file as the row of the plain reading."""
    if kind == "workspace":
        return {
            "id": values["id"],
            "organization_id": values.get("organization"),
            "parent_workspace_id": values.get("parent"),
            "owner_user_id": values["owner"],
            "modules": tuple(values["modules"]),
            "is_active": values.get("is_active", True),
            "is_suspended": values.get("is_suspended", False),
        }
    if kind == "membership":
        modules = values.get("modules")
        return {
            "workspace_id": values.get("workspace"),
            "organization_id": values.get("organization"),
            "user_id": values["user"],
            "role": values["role"],
            "permissions": tuple(values["permissions"]),
            "modules": None if modules is None else tuple(modules),
            "is_active": values["is_active"],
            "expires_at": _seconds(values["expires_at"]) if "expires_at" in values else None,
        }
    return {"is_suspended": False, **values}


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
