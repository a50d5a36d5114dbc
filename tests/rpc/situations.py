"""What places and people can be in, and who calls what then: the scenes of a bundle, in worlds of their own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from tests.oracle.plain_ranks import Reasons
from tests.oracle.plain_state import Policy
from tests.rpc.casts import World
from tests.rpc.mutations import MUTATIONS, Call
from tests.rpc.people import LONG_AGO, ROOMS, Person, Seat, assignable, highest, kind_of, lowest, people

FLAGS: Final[Mapping[str, tuple[str, Mapping[str, bool]]]] = {
    "the workspace is suspended": ("workspace", {"is_suspended": True}),
    "the workspace above is suspended": ("parent", {"is_suspended": True}),
    "the organization is suspended": ("organization", {"is_suspended": True}),
    "the workspace is inactive": ("workspace", {"is_active": False}),
    "the workspace above is inactive": ("parent", {"is_active": False}),
}
"""Situation -> the room that is in it, and how."""
SEATS: Final[Mapping[str, Mapping[str, Any]]] = {
    "the membership is inactive": {"is_active": False},
    "the membership is expired": {"expires_at": LONG_AGO},
}
"""Situation -> how every membership of whoever acts is."""
USER: Final = "the user is inactive"
NOTHING: Final = "nothing is the matter"
SITUATIONS: Final = (NOTHING, *FLAGS, *SEATS, USER)
_SPECIAL: Final = ("-off", "-late", "-until", "-first", "-none", "-gone", "-above", "-low")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Somebody calls something in a situation; by no reason to be refused: it must succeed."""

    mutation: str
    situation: str
    name: str
    call: Call
    expected: frozenset[str]

    def __str__(self) -> str:
        return f"{self.mutation} by {self.name} while {self.situation}, in {self.call.world.name}"


def actors(rules: Policy) -> dict[str, Person]:
    """Return who acts: every role in every place, owners, holders of explicit permissions, and a stranger."""
    found = people(rules)
    return {name: person for name, person in found.items() if not name.endswith(_SPECIAL)}


def bystanders(rules: Policy) -> dict[str, Person]:
    """Return who is acted on, and keeps things going: nothing is ever the matter with them."""
    roof = Seat(room="organization", role=rules.catalog["defaults"]["organization"])
    found = {
        "bystander": Person(seats=(roof, Seat(room="workspace", role=lowest(rules)))),
        "bystander-high": Person(seats=(roof, Seat(room="workspace", role=highest(rules)))),
        "bystander-operator": Person(seats=(Seat(room="platform", role=rules.catalog["operator_role"]),)),
    }
    for room in ROOMS:
        owners = [role for role in assignable(rules, kind_of(room)) if rules.catalog["roles"][role].get("owner_like")]
        for role in owners[:1]:
            seat = Seat(room=room, role=role)
            found[f"bystander-{room}"] = Person(seats=(seat,) if room == "organization" else (roof, seat))
    return found


def world_of(name: str, rules: Policy, cast: Mapping[str, Person], situation: str) -> World:
    """Return a world in a situation; what befalls people befalls everybody but the bystanders."""
    made = {who: _in_situation(person, situation) for who, person in cast.items()}
    world = World(name, rules, {**made, **bystanders(rules)})
    if situation in FLAGS:
        room, flags = FLAGS[situation]
        world.mark(room, **flags)
    for plan in [*rules.catalog.get("plans", ())][-1:]:
        world.subscribe("parent", plan)
    for who in [*made, "bystander"]:
        world.invite(world.user(who), lowest(rules), sender=world.user("bystander-operator"))
    return world


def _in_situation(person: Person, situation: str) -> Person:
    if situation == USER:
        return replace(person, is_active=False)
    changed: Mapping[str, Any] = SEATS.get(situation, {})
    return replace(person, seats=tuple(replace(seat, **changed) for seat in person.seats))


class Plan:
    """The scenes of one bundle. ``most``: how many legal and how many refused ones for each call and situation."""

    def __init__(self, rules: Policy, chance: Random, *, most: int) -> None:
        self.rules = rules
        self.actors = actors(rules)
        self.chance = chance
        self.most = most
        self.worlds: list[World] = []
        self._numbers = 0
        self._able: dict[str, set[str]] = {}
        self.scenes = {situation: [*self._in(situation)] for situation in SITUATIONS}

    def _in(self, situation: str) -> Iterator[Scene]:
        shared = self._world(self.actors, situation)
        for mutation in MUTATIONS:
            judged = {name: self._judged(mutation, shared, name) for name in self.actors}
            legal = [name for name, reasons in judged.items() if not reasons]
            able = self._able.setdefault(mutation, set(legal))  # of the first situation: when nothing is the matter
            for name in (*self._some(legal, able), *self._some([*judged.keys() - set(legal)], able)):
                yield self._scene(shared, name, mutation, situation, frozenset(judged[name]))

    def _some(self, names: list[str], able: set[str]) -> list[str]:
        """Choose people; of those who are refused rather the ones who are not when nothing is the matter."""
        found = sorted(names)
        self.chance.shuffle(found)
        return sorted(found, key=lambda name: name not in able)[: self.most]

    def _judged(self, mutation: str, world: World, name: str) -> Reasons:
        call = Call(world=world, actor=world.user(name), number=0)
        return MUTATIONS[mutation].refused(call)

    def _scene(self, world: World, name: str, mutation: str, situation: str, expected: frozenset[str]) -> Scene:
        self._numbers += 1
        if not expected and not MUTATIONS[mutation].is_harmless:
            keep = {who: person for who, person in self.actors.items() if who == name or person.owns}
            world = self._world(keep, situation)
        if mutation.startswith("AddMember"):
            world.newcomer(self._numbers)
        call = Call(world=world, actor=world.user(name), number=self._numbers)
        return Scene(mutation=mutation, situation=situation, name=name, call=call, expected=expected)

    def _world(self, cast: Mapping[str, Person], situation: str) -> World:
        world = world_of(f"w{len(self.worlds)}", self.rules, cast, situation)
        world.newcomer(0)  # as whom calls are judged before they are made
        self.worlds.append(world)
        return world


def is_in_vain(rules: Policy, asks: str) -> bool:
    """Tell whether no rule of a policy allows anybody what is asked."""
    resource, _, action = asks.partition(" ")
    return bool(asks) and not any(
        row.effect == "allow" and row.resource == f"{resource}/*" and row.action in {"*", action} for row in rules.rules
    )
