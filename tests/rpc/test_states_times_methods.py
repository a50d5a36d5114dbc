"""Every RPC that writes, while a place is suspended or inactive, or the actor's membership or account is switched off.

What may go through is read from the ``state`` column of policy.csv and from product.md, without the engine
(mutations.py, oracle/plain_grants.py). What is refused writes nothing; what was switched off comes back exactly.

Every call meets every situation, made by an actor who may make it and by one who may not, preferably one who may when
nothing is the matter; on PostgreSQL with another bundle than on SQLite, and there every other situation only;
``--soak`` has every actor make all of them on both, with either bundle.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from tests.rpc.casts import World, lines
from tests.rpc.conftest import database_for
from tests.rpc.dumps import Dump, dump
from tests.rpc.filling import fill
from tests.rpc.mutations import MUTATIONS
from tests.rpc.people import ROOMS, highest, policy
from tests.rpc.situations import FLAGS, NOTHING, SITUATIONS, Plan, Scene, is_in_vain, world_of
from tests.rpc.tenants import Tenants, modules
from tests.serving import BUNDLES, Refusal, Serving, attempt
from wsauthz.policy.bundle import read_bundle
from wsauthz.policy.state_file import read_state
from wsauthz.rpc.methods import core_vocabulary, methods
from wsauthz.v1 import authorization_pb2, memberships_pb2, organizations_pb2, users_pb2, workspace_states_pb2

pytestmark = pytest.mark.usefixtures("refusals_are_free")

EVERYBODY = 1000
METHODS = {method.name: method for method in methods().values() if method.writes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A server with the worlds of a plan, and a world for what comes and goes."""

    plan: Plan
    tenants: Tenants
    world: World

    def call(self, scene: Scene) -> Any:
        """Return the answer, or the refusal."""
        method = METHODS[scene.mutation.partition("/")[0]]
        mutation = MUTATIONS[scene.mutation]
        client = self.tenants.client(scene.call.actor if mutation.needs_actor else None)
        request = ParseDict({**mutation.fields(scene.call)}, method.request())
        return attempt(lambda message: client.call(method.full_name, message, method.answer), request)

    def answers(self) -> dict[tuple[str, str], bytes]:
        """Return what GetAccess says of everybody everywhere, as it goes over the wire."""
        found = {}
        for user in self.world.users:
            for room in ROOMS:
                kind, identifier = self.world.place(room)
                where: dict[str, Any] = {f"{kind}_id": identifier}
                request = authorization_pb2.GetAccessRequest(subject=user, **where)
                access = self.tenants.client().authorization.GetAccess(request)
                access.ClearField("revision")
                found[user, room] = access.SerializeToString(deterministic=True)
        return found


STAGES = ("sqlite-dam", "postgresql-oneglanse", "sqlite-oneglanse", "postgresql-dam")
SHORT = STAGES[:2]


def staged(situations: Iterable[str]) -> pytest.MarkDecorator:
    """Have a test meet each situation on the first stage, every other one on the second; with ``--soak`` on all."""
    return pytest.mark.parametrize(
        ("stage", "situation"),
        [
            pytest.param(stage, situation, marks=() if stage in SHORT[: 2 - number % 2] else pytest.mark.soak)
            for number, situation in enumerate(situations)
            for stage in STAGES
        ],
        indirect=["stage"],
    )


@pytest.fixture(scope="module")
def stages(request: pytest.FixtureRequest, transport: str) -> Iterator[Callable[[str], Stage]]:
    """Return what gives the stage of a name, made when it is asked for first."""
    with ExitStack() as stack:
        yield functools.cache(lambda name: stack.enter_context(staging(request, name)))


@pytest.fixture(params=[pytest.param(name, marks=() if name in SHORT else pytest.mark.soak) for name in STAGES])
def stage(request: pytest.FixtureRequest, stages: Callable[[str], Stage]) -> Stage:
    return stages(str(request.param))


@contextmanager
def staging(request: pytest.FixtureRequest, name: str) -> Iterator[Stage]:
    """Serve a bundle on a kind of database, by the names of both."""
    database, _, bundle = name.partition("-")
    most = EVERYBODY if request.config.getoption("--soak") else 1
    rules = policy(bundle)
    plan = Plan(rules, Random(f"states {bundle}"), most=most)
    world = world_of("returning", rules, plan.actors, NOTHING)
    with database_for(request, database) as url:
        catalog = read_bundle(BUNDLES / bundle, core_vocabulary()).catalog
        fill(url, read_state(lines([*plan.worlds, world]), "jsonl"), catalog)
        with Serving(url, BUNDLES / bundle) as server:
            yield Stage(plan=plan, tenants=Tenants(server), world=world)


def test_every_method_that_writes_is_called() -> None:
    assert {name.partition("/")[0] for name in MUTATIONS} == set(METHODS)


@staged(SITUATIONS)
@pytest.mark.timeout(3600)
@pytest.mark.req("REQ-074", "REQ-089")
def test_what_the_situation_forbids_is_refused_and_writes_nothing(stage: Stage, situation: str) -> None:
    scenes = [scene for scene in stage.plan.scenes[situation] if scene.expected]
    assert scenes
    before = dump(stage.tenants)
    complaints = [complaint for scene in scenes for complaint in refused(stage, scene)]
    assert not complaints, f"{len(complaints)} complaints about {len(scenes)} calls:\n" + "\n".join(complaints[:20])
    assert written(before, dump(stage.tenants)) == {}


def refused(stage: Stage, scene: Scene) -> Iterator[str]:
    """Make a call that must be refused, and yield what is wrong with it."""
    made = stage.call(scene)
    if not isinstance(made, Refusal):
        yield f"{scene}: went through, though {sorted(scene.expected)}"
    elif not {made.reason, made.code.name} & scene.expected:
        yield f"{scene}: refused for {made.reason}, not for {sorted(scene.expected)}"


def written(before: Dump, after: Dump) -> dict[str, Any]:
    """Return the rows that are new or other ones, by table."""
    return {
        table: sorted(set(map(repr, rows)) ^ set(map(repr, before[table])))[:5]
        for table, rows in after.items()
        if rows != before[table]
    }


@staged(SITUATIONS)
@pytest.mark.timeout(3600)
def test_what_the_situation_allows_goes_through(stage: Stage, situation: str) -> None:
    scenes = [scene for scene in stage.plan.scenes[situation] if not scene.expected]
    assert scenes
    complaints = []
    for scene in scenes:
        made = stage.call(scene)
        if isinstance(made, Refusal):
            complaints.append(f"{scene}: refused: {made.reason} {made.message}")
    assert not complaints, f"{len(complaints)} complaints about {len(scenes)} calls:\n" + "\n".join(complaints[:20])


def test_when_nothing_is_the_matter_somebody_may_make_every_call_that_the_policy_speaks_of(stage: Stage) -> None:
    made = {scene.mutation for scene in stage.plan.scenes[NOTHING] if not scene.expected}
    for name in MUTATIONS.keys() - made:
        assert is_in_vain(stage.plan.rules, MUTATIONS[name].asks), name


# --- coming back ------------------------------------------------------------------------------------------------------


def switch(stage: Stage, situation: str, *, is_on: bool) -> None:
    """Bring a situation about, or end it, through the API."""
    world, client = stage.world, stage.tenants.client(stage.world.user("bystander-operator"))
    if situation in FLAGS:
        room, flags = FLAGS[situation]
        kind, identifier = world.place(room)
        verbs = ("Suspend", "Reinstate") if "is_suspended" in flags else ("Deactivate", "Activate")
        verb = verbs[0] if is_on else verbs[1]
        messages: Any = organizations_pb2 if kind == "organization" else workspace_states_pb2
        service: Any = client.organizations if kind == "organization" else client.states
        request = getattr(messages, f"{verb}{kind.title()}Request")(**{f"{kind}_id": identifier})
        getattr(service, f"{verb}{kind.title()}")(request)
    elif situation == "a member is inactive":
        update = memberships_pb2.UpdateMemberRequest(workspace_id=world.id("workspace"), is_active=not is_on)
        update.user_id = world.user("bystander-high")
        update.update_mask.paths.append("is_active")
        client.memberships.UpdateMember(update)
    elif situation == "a member of the workspace above is limited to no module":
        update = memberships_pb2.UpdateMemberRequest(workspace_id=world.id("parent"), user_id=limited(stage))
        if is_on:
            update.modules.CopyFrom(modules())
        update.update_mask.paths.append("modules")
        client.memberships.UpdateMember(update)
    else:
        user = users_pb2.UpsertUserRequest(user_id=world.user("workspace-primary"), is_active=not is_on)
        stage.tenants.client().users.UpsertUser(user)


def limited(stage: Stage) -> str:
    """Return a member of the workspace above who is no owner."""
    return stage.world.user(f"parent-{highest(stage.plan.rules)}")


SWITCHES = (
    *FLAGS,
    "a member is inactive",
    "a member of the workspace above is limited to no module",
    "a user is inactive",
)


@staged(SWITCHES)
def test_what_was_switched_off_comes_back_exactly(stage: Stage, situation: str) -> None:
    before = stage.answers()
    switch(stage, situation, is_on=True)
    assert stage.answers() != before
    switch(stage, situation, is_on=False)
    assert stage.answers() == before


@pytest.mark.timeout(3600)
def test_what_holds_depends_on_what_is_switched_off_not_on_how_that_came(stage: Stage) -> None:
    is_long = stage.plan.most == EVERYBODY
    chance = Random(11)
    off: set[str] = set()
    seen = {frozenset(off): stage.answers()}
    for _ in range(300 if is_long else 12):
        situation = chance.choice(SWITCHES[:4])
        switch(stage, situation, is_on=situation not in off)
        off ^= {situation}
        answers = stage.answers()
        assert seen.setdefault(frozenset(off), answers) == answers, sorted(off)
    for situation in sorted(off):
        switch(stage, situation, is_on=False)
    assert stage.answers() == seen[frozenset()]
