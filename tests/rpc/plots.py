"""People who conspire: everybody below an administrator tries at random what could get one of them further."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any, Final

from tests.rpc.casts import World
from tests.rpc.granting import Attempt, offers
from tests.rpc.people import ROOMS, highest
from tests.rpc.stages import Stage, Standing
from tests.serving import Refusal, attempt
from wsauthz.v1 import invitations_pb2

WAYS: Final = (
    *("AddMember", "UpdateMember", "RemoveMember", "CreateInvitation", "JoinByCode", "GetInviteCode") * 2,
    *("AddMemberByEmail", "Leave", "RotateInviteCode", "TransferOwnership", "CreateChildWorkspace", "CreateWorkspace"),
)


class Plot:
    """Some of the people of a world, what they hold together, and what they have learned."""

    def __init__(self, stage: Stage, world: World, group: list[str], chance: Random) -> None:
        self.stage = stage
        self.world = world
        self.group = group
        self.chance = chance
        self.tokens: list[tuple[str, str]] = []
        self.codes: dict[str, str] = {}
        self.successes = 0
        self.others = {name: self._everywhere(name) for name in world.people if name not in group}
        held = [self._everywhere(name) for name in group]
        self.most = {
            (room, module): max(each[room].ranks[module] for each in held)
            for room in ROOMS
            for module in held[0][room].ranks
        }
        default = world.rules.catalog["roles"][world.rules.catalog["defaults"]["organization"]]["rank"]
        for room, module in self.most:
            if room == "organization":  # whoever gets into a workspace gets this, too
                self.most[room, module] = max(self.most[room, module], default)

    def try_something(self) -> Iterator[str]:
        """Make one attempt, or use what an earlier one gave, and yield what went too far."""
        if self.tokens and self.chance.random() < 0.2:
            token, name = self.tokens.pop(self.chance.randrange(len(self.tokens)))
            request = invitations_pb2.AcceptInvitationRequest(token=token)
            self._count(attempt(self.stage.tenants.client(self.world.user(name)).invitations.AcceptInvitation, request))
            yield from self._risen([name], "accepting")
            return
        path, actor = self.chance.choice(WAYS), self.chance.choice(self.group)
        room = self.chance.choice(ROOMS)
        made = [each for each in offers(self.world, path, room) if each.get("target", "") in {"", *self.group}]
        if not made:
            return
        tried = Attempt(**{"path": path, "actor": actor, "room": room, **self.chance.choice(made)})
        target = tried.target or self.chance.choice(self.group)
        if path == "JoinByCode" and room not in self.codes:
            return
        move = tried.move(self.world, target=self.world.user(target))
        found = replace(move, code=self.codes.get(room, "")).make(self.stage.tenants)
        self._count(found)
        if isinstance(found, Refusal):
            return
        if path == "CreateInvitation":
            self.tokens.append((found.token, target))
        elif path in {"GetInviteCode", "RotateInviteCode"}:
            self.codes[room] = found.code
        yield from self._risen([actor, target], str(tried))

    def outcome(self) -> Iterator[str]:
        """Yield who of all got further, and who of those above them is not as before."""
        yield from self._risen(self.group, "in the end")
        for name, before in self.others.items():
            now = self._everywhere(name)
            above = [room for room in ROOMS if before[room].rank > max(self._of(room))]
            changed = [room for room in above if now[room] != before[room]]
            if changed:
                yield f"{name} is not as before in {changed}"

    def _of(self, room: str) -> list[int]:
        return [rank for (where, _), rank in self.most.items() if where == room]

    def _everywhere(self, name: str) -> dict[str, Standing]:
        return {room: self.stage.standing(self.world.user(name), self.world.place(room)) for room in ROOMS}

    def _risen(self, names: list[str], after: str) -> Iterator[str]:
        for name in dict.fromkeys(names):
            for room, standing in self._everywhere(name).items():
                for module, rank in standing.ranks.items():
                    if rank > self.most[room, module]:
                        yield f"{name} has rank {rank} in {room} for {module} after {after}"

    def _count(self, found: Any) -> None:
        self.successes += not isinstance(found, Refusal)


def low_people(stage: Stage, world: World) -> list[str]:
    """Return everybody who ranks below an administrator in every room, and those who are one only for some modules."""
    top = stage.rules.catalog["roles"][highest(stage.rules)]["rank"]
    ground = world.ground

    def unlimited(name: str, room: str) -> int:
        return ground.rank(world.user(name), world.place(room), "*")

    return [name for name in world.people if all(unlimited(name, room) < top for room in ROOMS)]
