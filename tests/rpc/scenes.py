"""Which attempts are made on a bundle, in which worlds, and what must come of each."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from tests.oracle.plain_ranks import Reasons
from tests.oracle.plain_state import Policy
from tests.rpc.casts import World
from tests.rpc.granting import NEWCOMER, Attempt, attempts
from tests.rpc.losses import losses
from tests.rpc.moves import WAYS, Move
from tests.rpc.people import is_an_owner, people, policy

MANY: Final = {"AddMember": 24, "UpdateMember": 40, "RemoveMember": 24}
SOME: Final = 12
"""Attempts of a kind in a run that is not long."""
ALL: Final = 10_000
LOOKED_AT: Final = 1500
"""Attempts of a kind that those are chosen from."""
_ALONE: Final = ("TransferOwnership", "RotateInviteCode", "CreateChildWorkspace", "CreateWorkspace")
"""What leaves traces in a world that others would meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An attempt with its actor, its target, and why it must be refused; by no reason: it must succeed."""

    tried: Attempt
    world: World
    move: Move
    expected: frozenset[str]

    @property
    def actor(self) -> str:
        """Who tries it."""
        return self.move.actor

    @property
    def target(self) -> str:
        """On whom: somebody of the world, a newcomer, or the actor."""
        return self.move.target

    def __str__(self) -> str:
        target = self.tried.target or "a newcomer"
        return f"{self.tried.path} in {self.move.place[1]} by {self.tried.actor} on {target}: {dict(self.tried.values)}"


class Plan:
    """The scenes for one bundle, and the worlds that they need."""

    def __init__(self, bundle: str, *, is_long: bool) -> None:
        self.rules = policy(bundle)
        self.chance = Random(f"escalation {bundle}")
        everybody = people(self.rules)
        few = {name: each for name, each in everybody.items() if name in _solo(self.rules, everybody)}
        self.shared = (World("many", self.rules, everybody), World("few", self.rules, few))
        self.worlds = [*self.shared]
        self._numbers = 0
        self.is_long = is_long
        self.scenes = {path: [*self._scenes(path)] for path in WAYS}
        self.losses = losses(self.rules, self.chance, ALL if is_long else SOME)
        self.plot = World("plot", self.rules, everybody)
        self.worlds += [*(loss.world for loss in self.losses), self.plot]

    def _scenes(self, path: str) -> Iterator[Scene]:
        for world in self.shared:
            found = [*attempts(world, path, self.chance)]
            if world is not self.shared[0]:
                owners = {name for name, person in world.people.items() if is_an_owner(self.rules, person)}
                found = [tried for tried in found if tried.target in owners and tried.touches]
            if not self.is_long:
                found = self.chance.sample(found, min(LOOKED_AT, len(found)))
            judged = [(tried, tried.move(world).reasons(world.ground)) for tried in found]
            most = MANY.get(path, SOME) if world is self.shared[0] else SOME // 2
            for tried, expected in judged if self.is_long else self._chosen(judged, most):
                yield self._scene(tried, world, expected)

    def _chosen(self, judged: list[tuple[Attempt, Reasons]], most: int) -> Iterator[tuple[Attempt, Reasons]]:
        """Yield attempts that differ in who makes them and in what comes of them, as many legal ones as can be."""
        self.chance.shuffle(judged)
        kinds = {
            (tried.actor, tried.room, tried.actor == tried.target, frozenset(expected)): (tried, expected)
            for tried, expected in judged
        }
        legal = [each for each in kinds.values() if not each[1]][: most * 2 // 3]
        illegal: dict[Any, list[tuple[Attempt, Reasons]]] = defaultdict(list)
        for (*_, is_self, reasons), each in kinds.items():
            if reasons:
                illegal[is_self, reasons].append(each)
        yield from legal
        left = most - len(legal)
        while left > 0 and any(illegal.values()):
            for some in illegal.values():
                if some and left > 0:
                    yield some.pop()
                    left -= 1

    def _scene(self, tried: Attempt, world: World, expected: Reasons) -> Scene:
        self._numbers += 1
        target = actor = ""
        if not expected and self._needs_a_world(tried):
            kept = world.people.items()
            names = {name for name, person in kept if is_an_owner(self.rules, person) or person.seat("platform")}
            names |= {tried.actor, tried.target} - {NEWCOMER}
            world = World(f"own{self._numbers}", self.rules, {name: world.people[name] for name in sorted(names)})
            self.worlds.append(world)
        elif tried.target != NEWCOMER and not is_an_owner(self.rules, world.people[tried.target]):
            target = world.seat(tried.target, self._numbers)
            actor = target if tried.actor == tried.target else ""
        if tried.target == NEWCOMER:
            target = world.newcomer(self._numbers)
        move = tried.move(world, actor, target)
        assert not expected or world in self.shared
        return Scene(tried=tried, world=world, move=move, expected=frozenset(expected))

    def _needs_a_world(self, tried: Attempt) -> bool:
        """Tell whether what succeeds would change what the next attempt in a shared world meets."""
        target = self.shared[0].people.get(tried.target)
        makes_owner = self.rules.catalog["roles"].get(tried.values.get("role"), {}).get("owner_like", False)
        return tried.path in _ALONE or makes_owner or (target is not None and is_an_owner(self.rules, target))


def _solo(rules: Policy, everybody: Mapping[str, Any]) -> set[str]:
    """Return the people of a world in which no place has a second owner."""
    roles = rules.catalog["roles"]
    top = {seat.role for person in everybody.values() for seat in person.seats if roles[seat.role].get("owner_like")}
    found = set()
    for name, person in everybody.items():
        is_second = any(seat.role in top and seat.room != "organization" for seat in person.seats) and not person.owns
        if not is_second and not any(mark in name for mark in ("-off", "-late", "-until", "-first", "-none", "+")):
            found.add(name)
    return found
