"""Attempts played on a server, and what is true afterwards whatever was tried."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.oracle.plain_grants import UNLISTED
from tests.oracle.plain_ranks import NO_RANK
from tests.oracle.plain_rules import closure
from tests.oracle.plain_state import PlaceKey
from tests.rpc.casts import lines
from tests.rpc.filling import fill
from tests.rpc.people import ROOMS
from tests.rpc.scenes import Plan, Scene
from tests.rpc.tenants import Tenants
from tests.serving import BUNDLES, Refusal, Serving, attempt
from wsauthz.policy.bundle import read_bundle
from wsauthz.policy.state_file import read_state
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.v1 import authorization_pb2, invitations_pb2, memberships_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What somebody holds in a place, as the server says: by module, "core" and one that no list names among them."""

    ranks: Mapping[str, int]
    permissions: Mapping[str, frozenset[str]]
    is_owner: bool

    @property
    def rank(self) -> int:
        """The rank that counts in whatever module."""
        return max(self.ranks.values())


class Stage:
    """A server with the worlds of a plan."""

    def __init__(self, plan: Plan, tenants: Tenants) -> None:
        self.rules = plan.rules
        self.scenes = plan.scenes
        self.losses = plan.losses
        self.plot = plan.plot
        self.is_long = plan.is_long
        self.tenants = tenants
        self._ranks = {name: role["rank"] for name, role in plan.rules.catalog["roles"].items()}
        self._modules = ("core", *plan.rules.catalog["modules"], UNLISTED)
        self._shared = plan.shared
        self._before = self._everybody()

    def play(self, scene: Scene) -> list[str]:
        """Make the attempt and return what is wrong with its outcome."""
        before = {} if scene.expected else self._standings(scene, self._known(scene), ROOMS)
        revision = self.tenants.revision
        made = scene.move.make(self.tenants)
        if isinstance(made, Refusal):
            return [f"{scene}: {problem}" for problem in self._refused(scene, made, revision)]
        if scene.expected:
            return [f"{scene}: succeeded, though {sorted(scene.expected)}"]
        problems = [*self._follow_up(scene, made)]
        after = self._standings(scene, {}, (scene.tried.room,))
        return [f"{scene}: {problem}" for problem in (*problems, *self._risen(scene, before, after))]

    def _standings(
        self, scene: Scene, known: Mapping[tuple[str, str], Standing], rooms: Iterable[str]
    ) -> dict[tuple[str, str], Standing]:
        """Return what the target holds everywhere, and what the actor holds in the rooms."""
        whom = {(scene.target, room) for room in ROOMS} | {(scene.actor, room) for room in rooms}
        return {key: known[key] if key in known else self.standing(key[0], scene.world.place(key[1])) for key in whom}

    def _known(self, scene: Scene) -> dict[tuple[str, str], Standing]:
        """Return what is known before an attempt in a shared world: newcomers hold nothing, the others are as ever."""
        if scene.world not in self._shared:
            return {}
        found = {(scene.actor, room): self._before[scene.world.user(scene.tried.actor), room] for room in ROOMS}
        original = scene.world.user(scene.tried.target or "stranger")
        return {**found, **{(scene.target, room): self._before[original, room] for room in ROOMS}}

    def standing(self, user: str, place: PlaceKey) -> Standing:
        """Return what the server says that somebody holds."""
        where: dict[str, Any] = {f"{place[0]}_id": place[1]}
        request = authorization_pb2.GetAccessRequest(subject=user, **where)
        access = attempt(self.tenants.client().authorization.GetAccess, request)
        if isinstance(access, Refusal):
            assert access.reason.endswith("_NOT_FOUND"), access
            access = authorization_pb2.GetAccessResponse()
        ranks = dict.fromkeys(self._modules, NO_RANK)
        permissions: dict[str, set[str]] = {module: set() for module in self._modules}
        for held in access.roles:
            listed = {"core", *held.modules.modules} if held.HasField("modules") else {*self._modules}
            for module in listed & {*self._modules}:
                if held.role.startswith("perm:"):
                    permissions[module].add(held.role.removeprefix("perm:"))
                else:
                    ranks[module] = max(ranks[module], self._ranks.get(held.role, NO_RANK))
        frozen = {module: frozenset(names) for module, names in permissions.items()}
        return Standing(ranks=ranks, permissions=frozen, is_owner=access.is_owner)

    def changed(self) -> list[tuple[str, str]]:
        """Return who of those that nothing was done to is not as before, and where."""
        now = self._everybody()
        return [key for key, standing in self._before.items() if now[key] != standing]

    def _everybody(self) -> dict[tuple[str, str], Standing]:
        found = {}
        for world in self._shared:
            for name in world.people:
                for room in ROOMS:
                    found[world.user(name), room] = self.standing(world.user(name), world.place(room))
        return found

    def _refused(self, scene: Scene, refusal: Refusal, revision: str) -> Iterator[str]:
        if not scene.expected:
            yield f"was refused: {refusal.reason} {refusal.message}"
        elif not {refusal.reason, refusal.code.name} & scene.expected:
            yield f"was refused for {refusal.reason}, not for {sorted(scene.expected)}"
        if self.tenants.revision != revision:
            yield "was refused, but something was written"

    def _follow_up(self, scene: Scene, made: Any) -> Iterator[str]:
        """Have an invitation accepted; yield what is not as it was asked for."""
        values, path = scene.tried.values, scene.tried.path
        kind = scene.move.place[0]
        if path == "CreateInvitation":
            request = invitations_pb2.AcceptInvitationRequest(token=made.token)
            made = attempt(self.tenants.client(scene.target).invitations.AcceptInvitation, request)
            expected = scene.world.ground.accepting(scene.target, scene.move.place)
            reasons = {made.reason} if isinstance(made, Refusal) else set()
            if reasons != expected:
                yield f"was sent; accepting was refused for {reasons}, not for {sorted(expected)}"
            if reasons:
                return
        if path in {"AddMember", "AddMemberByEmail", "CreateInvitation"}:
            yield from self._not_as_offered(values, made, kind)
        if path == "UpdateMember" and "role" in values and made.membership.role != values["role"]:
            yield f"made {made.membership.role}"
        if path == "TransferOwnership" and not self.standing(scene.target, scene.move.place).is_owner:
            yield "made nobody the owner"
        if path in {"RemoveMember", "Leave"}:
            where: dict[str, Any] = scene.move.where
            asked = memberships_pb2.GetMemberRequest(user_id=scene.target, **where)
            operator = next(name for name in scene.world.people if name.startswith("platform-"))
            left = attempt(self.tenants.client(scene.world.user(operator)).memberships.GetMember, asked)
            if not (isinstance(left, Refusal) and left.reason == "MEMBER_NOT_FOUND"):
                yield "left the member there"

    def _not_as_offered(self, values: Mapping[str, Any], made: Any, kind: str) -> Iterator[str]:
        """Yield what a new membership says that was not asked for."""
        if (
            getattr(made, "outcome", memberships_pb2.ADD_MEMBER_OUTCOME_ADDED)
            != memberships_pb2.ADD_MEMBER_OUTCOME_ADDED
        ):
            return
        wanted = values.get("role") or self.rules.catalog["defaults"][kind]
        given = made.membership
        if (given.role, tuple(given.permissions)) != (wanted, values.get("permissions", ())):
            yield f"gave {given.role} {given.permissions}"
        if given.expires_at.seconds != values.get("expires_at", 0):
            yield f"gave it until {given.expires_at}"

    def _risen(
        self, scene: Scene, before: Mapping[tuple[str, str], Standing], after: Mapping[tuple[str, str], Standing]
    ) -> Iterator[str]:
        """Yield who has more than they or their benefactor had, and who was touched from below."""
        gives_ownership = scene.tried.path == "TransferOwnership"
        for (user, room), now in after.items():
            then, giver = before[user, room], before[scene.actor, room]
            allowance = self._default(room) if room == "organization" or scene.tried.path == "JoinByCode" else NO_RANK
            for module in self._modules:
                most = max(then.ranks[module], giver.ranks[module], allowance)
                if now.ranks[module] > most and not (gives_ownership and user == scene.target):
                    yield f"{user} has rank {now.ranks[module]} in {room} for {module}, above {most}"
                more = now.permissions[module] - then.permissions[module] - self._grantable(giver, module, room)
                if more and not (gives_ownership and user == scene.target):
                    yield f"{user} has {sorted(more)} in {room} for {module}"
        touched, actor = before[scene.target, scene.tried.room], before[scene.actor, scene.tried.room]
        is_asked = scene.tried.path == "CreateInvitation"  # and came in by accepting it
        if touched.rank > actor.rank and not is_asked and any(before[key] != now for key, now in after.items()):
            yield "somebody above the actor is not as before"

    def _default(self, room: str) -> int:
        """Return the rank that everybody gets who comes in by the catalog's default."""
        return int(
            self._ranks[self.rules.catalog["defaults"]["organization" if room == "organization" else "workspace"]]
        )

    def _grantable(self, giver: Standing, module: str, room: str) -> frozenset[str]:
        """Return the permissions that somebody holds, or that come with a role that it may give."""
        kind = "organization" if room == "organization" else "workspace"
        roles = self.rules.catalog["roles"]
        given = {name for name, role in roles.items() if kind in role["places"] and role["rank"] <= giver.ranks[module]}
        implied = closure(self.rules, {f"role:{name}" for name in given})
        return giver.permissions[module] | {node.removeprefix("perm:") for node in implied if node.startswith("perm:")}


@contextmanager
def staging(url: str, bundle: str, *, is_long: bool) -> Iterator[Stage]:
    """Serve a shipped bundle on the worlds of a plan, for the block."""
    plan = Plan(bundle, is_long=is_long)
    catalog = read_bundle(BUNDLES / bundle, core_vocabulary()).catalog
    fill(url, read_state(lines(plan.worlds), "jsonl"), catalog)
    with Serving(url, BUNDLES / bundle) as server:
        yield Stage(plan, Tenants(server))
