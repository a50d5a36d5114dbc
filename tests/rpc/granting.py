"""Attempts to give somebody something, or to take it: everybody, everywhere, with whatever the catalog has to give."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from tests.rpc import casts
from tests.rpc.casts import World
from tests.rpc.moves import WAYS, Move
from tests.rpc.people import ROOMS, SOME_DAY, assignable, lowest

NEWCOMER: Final = ""
SOON: Final = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
WITH_IT: Final = datetime.fromisoformat(SOME_DAY)
"""When what temporary people hold expires, and so the latest expiry that they may give."""
AFTER_IT: Final = WITH_IT + timedelta(seconds=1)
UNABLE: Final = 3
"""Attempts of each kind by somebody whom the rules refuse whatever it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Somebody tries something on somebody in a room; ``values`` are terms of a membership, or a change of one."""

    path: str
    actor: str
    room: str
    target: str = NEWCOMER
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def touches(self) -> bool:
        """Whether somebody who is there already is changed by it, should it succeed."""
        return self.path in {"UpdateMember", "RemoveMember", "Leave", "TransferOwnership", "DeleteAccount"}

    def move(self, world: World, actor: str = "", target: str = "") -> Move:
        """Return it as a call in a world, by somebody and on somebody of the kinds, by default those who are there."""
        return Move(
            path=self.path,
            place=world.place(self.room),
            actor=actor or world.user(self.actor),
            target=target or (world.user(self.target) if self.target else casts.NEWCOMER),
            values=self.values,
            code="" if self.room == "organization" else world.code(self.room),
        )


# --- which there are --------------------------------------------------------------------------------------------------


def attempts(world: World, path: str, chance: Random) -> Iterator[Attempt]:
    """Yield every attempt of one kind by everybody; few by those who may do nothing of the kind."""
    for room in ROOMS if path in _IN_ORGANIZATIONS else ROOMS[1:]:
        made = [*_MADE[path](world, room)]
        for actor in world.people:
            found = [{**each, "target": actor} for each in made] if path in _ON_ONESELF else made
            asks, place = WAYS[path].asks, world.place(room)
            able = not asks or not world.ground.by_rule(world.user(actor), asks, place)
            for each in found if able else chance.sample(found, min(UNABLE, len(found))):
                if path in _ON_ONESELF or not (path in _WITH_TERMS and each.get("target") == actor):
                    yield Attempt(path=path, actor=actor, room=room, **each)


def offers(world: World, path: str, room: str) -> list[dict[str, Any]]:
    """Return what can be tried in a room, whoever tries it."""
    return [*_MADE[path](world, room)] if room != "organization" or path in _IN_ORGANIZATIONS else []


def _terms(world: World, kind: str) -> Iterator[dict[str, Any]]:
    """Yield what a new membership could say: each role, each permission, each list of modules."""
    roles = assignable(world.rules, kind)
    low, permissions = (
        roles[-1] if kind == "organization" else lowest(world.rules),
        [*world.rules.catalog["permissions"]],
    )
    yield {}
    for role in world.rules.catalog["roles"]:
        yield {"role": role}
    for role in roles:
        for names in _module_lists(world):
            yield {"role": role, "modules": names}
    for name in permissions:
        yield {"role": low, "permissions": (name,)}
        for names in _module_lists(world):
            yield {"role": low, "permissions": (name,), "modules": names}
    yield {"role": low, "permissions": tuple(permissions)}
    for role in (roles[0], low):
        for end in (SOON, WITH_IT, AFTER_IT):
            yield {"role": role, "expires_at": end.timestamp()}
    for name in permissions:
        yield {"role": low, "permissions": (name,), "expires_at": WITH_IT.timestamp()}


def _module_lists(world: World) -> list[tuple[str, ...]]:
    names = tuple(world.rules.catalog["modules"])
    return list(dict.fromkeys([(), names[:1], names[-1:], (names[0], names[-1]) if len(names) > 1 else ()]))


def _adding(world: World, room: str) -> Iterator[dict[str, Any]]:
    kind = world.place(room)[0]
    for terms in _terms(world, kind):
        yield {"values": terms}
    low = assignable(world.rules, kind)[-1] if kind == "organization" else lowest(world.rules)
    for target in world.people:
        for role in dict.fromkeys(
            (low, assignable(world.rules, kind)[-1])
        ):  # which may be one that rules deny things to
            yield {"target": target, "values": {"role": role}}


def _adding_by_email(world: World, room: str) -> Iterator[dict[str, Any]]:
    """Yield those with an address: one that leads nowhere is counted, and few are free."""
    for each in _adding(world, room):
        if "target" not in each or world.people[each["target"]].is_known:
            yield each


def _inviting(world: World, room: str) -> Iterator[dict[str, Any]]:
    for each in _adding(world, room):
        if "permissions" not in each["values"]:
            yield each


def _updating(world: World, room: str) -> Iterator[dict[str, Any]]:
    for target, person in world.people.items():
        seat = person.seat(room)
        old = {"role": "", "permissions": (), "modules": None, "is_active": True, "expires_at": None}
        if seat is not None:
            late = world.state.memberships[world.place(room), world.user(target)]["expires_at"]
            old |= {name: getattr(seat, name) for name in ("role", "permissions", "modules", "is_active")}
            old["expires_at"] = late
        for change in _changes(world, old, world.place(room)[0]) if seat else [{"is_active": False}]:
            if any(value != old[name] for name, value in change.items()):
                yield {"target": target, "values": change}


def _changes(world: World, old: Mapping[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    """Yield what could become of a membership."""
    roles, permissions = assignable(world.rules, kind), tuple(world.rules.catalog["permissions"])
    for role in world.rules.catalog["roles"]:
        yield {"role": role}
    for name in permissions:
        yield {"permissions": tuple(dict.fromkeys([*old["permissions"], name]))}
    yield {"permissions": ()}
    for names in (None, *_module_lists(world)):
        yield {"modules": names}
    yield {"is_active": not old["is_active"]}
    for end in (SOON, WITH_IT, AFTER_IT):
        yield {"expires_at": end.timestamp()}
        for role in roles[:2]:
            yield {"role": role, "expires_at": end.timestamp()}
    yield {"expires_at": None}
    yield {"role": roles[-1], "permissions": permissions}
    yield {"role": roles[0], "is_active": True, "modules": None, "expires_at": None}


def _others(world: World, room: str) -> Iterator[dict[str, Any]]:
    """Yield everybody as the target."""
    for target, person in world.people.items():
        if person.seat(room) or "stranger" in target:
            yield {"target": target}


def _anybody(world: World, room: str) -> Iterator[dict[str, Any]]:
    if room == "organization":
        yield from ({"target": target} for target in world.people)


def _alone(world: World, room: str) -> Iterator[dict[str, Any]]:
    yield {}


def _siblings(world: World, room: str) -> Iterator[dict[str, Any]]:
    if room == "organization":
        yield from _children(world, room)


def _children(world: World, room: str) -> Iterator[dict[str, Any]]:
    for names in (None, *_module_lists(world)):
        yield {"values": {"modules": names}}


_MADE: Final[Mapping[str, Callable[[World, str], Iterator[dict[str, Any]]]]] = {
    "AddMember": _adding,
    "AddMemberByEmail": _adding_by_email,
    "UpdateMember": _updating,
    "RemoveMember": _others,
    "Leave": _alone,
    "CreateInvitation": _inviting,
    "JoinByCode": _alone,
    "GetInviteCode": _alone,
    "RotateInviteCode": _alone,
    "TransferOwnership": _others,
    "CreateChildWorkspace": _children,
    "CreateWorkspace": _siblings,
    "DeleteAccount": _anybody,
}
_IN_ORGANIZATIONS: Final = {
    "AddMember",
    "AddMemberByEmail",
    "UpdateMember",
    "RemoveMember",
    "Leave",
    "CreateWorkspace",
    "DeleteAccount",
}


_WITH_TERMS: Final = {"AddMember", "AddMemberByEmail", "CreateInvitation"}
_ON_ONESELF: Final = {"Leave", "JoinByCode"}
