"""Check, BatchCheck, GetAccess, LookupWorkspaces and LookupSubjects, as messages, against the plain reading."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.oracle import bundles, worlds
from tests.oracle.agreement import load
from tests.oracle.plain_reading import Answer, answer
from tests.oracle.plain_state import PLATFORM, PlaceKey, Question, exists
from tests.oracle.worlds import World
from tests.policy.test_corners import member, workspace, world
from wsauthz.metrics import Metrics
from wsauthz.policy.current import CurrentPolicy
from wsauthz.policy.decision import decide
from wsauthz.replica.replica import Replica
from wsauthz.rpc.access import AccessQueries
from wsauthz.rpc.authorization import AuthorizationService
from wsauthz.rpc.batches import Batches
from wsauthz.rpc.decisions import DecisionIds
from wsauthz.rpc.denials import Denials
from wsauthz.rpc.pages import Pages
from wsauthz.store.database import Database
from wsauthz.tenancy.transaction import Caller
from wsauthz.v1 import authorization_pb2 as pb

PER_WORLD = 50
BY = Caller(caller="test", actor="", method="Check")
GETS = {"workspace": "workspace_id", "organization": "organization_id"}
BUNDLES = [None, *bundles.shipped()]


class Services:
    """The two servicers over a replica whose facts and clock are a world's."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.replica = Replica(database, CurrentPolicy(directory, bundles.core()), Metrics())
        self.replica.now = lambda: worlds.NOW  # type: ignore[method-assign]  # the worlds have a clock of their own
        metrics, ids = Metrics(), DecisionIds()
        self.checks = AuthorizationService(self.replica, metrics, ids)
        self.batches = Batches(self.replica, metrics, ids)
        self.queries = AccessQueries(self.replica, metrics, Pages(b"secret"), ids)

    def check(self, question: Question) -> pb.CheckResponse:
        """Ask Check, and once more, when it remembers."""
        subject, place, resource, action, module = question
        request = pb.CheckRequest(
            subject=subject, resource=resource, action=action, required_module=module, **named(place)
        )
        first, again = self.checks.Check(request, BY), self.checks.Check(request, BY)
        assert first.decision_id != again.decision_id
        again.decision_id = first.decision_id
        assert first == again
        return first

    def batch(self, questions: list[Question]) -> list[pb.BatchCheckAnswer]:
        """Ask BatchCheck, one item for each question."""
        items = [
            pb.BatchCheckItem(
                subject=subject, resource=resource, actions=[action], required_module=module, **named(place)
            )
            for subject, place, resource, action, module in questions
        ]
        return list(self.batches.BatchCheck(pb.BatchCheckRequest(items=items), BY).answers)

    def workspaces(self, question: Question, page_size: int) -> list[str]:
        """Ask LookupWorkspaces, page by page."""
        request = pb.LookupWorkspacesRequest(
            subject=question.subject,
            resource=question.resource,
            action=question.action,
            required_module=question.required_module,
            page_size=page_size,
        )
        return _pages(request, self.queries.LookupWorkspaces, "workspace_ids")

    def subjects(self, question: Question, page_size: int) -> list[str]:
        """Ask LookupSubjects, page by page."""
        request = pb.LookupSubjectsRequest(
            resource=question.resource,
            action=question.action,
            required_module=question.required_module,
            page_size=page_size,
            **named(question.place),
        )
        return _pages(request, self.queries.LookupSubjects, "user_ids")

    def actions(self, subject: str, place: PlaceKey) -> dict[str, list[str]]:
        """Ask GetAccess what is allowed."""
        found = self.queries.GetAccess(pb.GetAccessRequest(subject=subject, **named(place)), BY)
        return {kind: list(allowed.actions) for kind, allowed in found.allowed.items()}


def named(place: PlaceKey | None) -> dict[str, Any]:
    """Return the place as the fields of a request."""
    if place is None:
        return {}
    return {"platform": True} if place == PLATFORM else {GETS[place[0]]: place[1]}


def _pages(request: Any, ask: Callable[[Any, Caller], Any], field: str) -> list[str]:
    found: list[str] = []
    while True:
        response = ask(request, BY)
        found += getattr(response, field)
        request.page_token = response.next_page_token
        if not request.page_token:
            return found


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    found = Database(sqlite_url)
    yield found
    found.close()


def compare(database: Database, directory: Path, found: Any, count: int, seed: str) -> None:
    """Compare ``count`` questions over worlds of one bundle."""
    services = Services(database, directory)
    for number in range(0, count, PER_WORLD):
        chance = Random(f"{seed} {number}")
        world = worlds.random_world(chance, size=chance.choice([2, 6, 12]), bundle=found)
        services.replica.facts = load(world.state)
        questions = [worlds.random_question(chance, world) for _ in range(PER_WORLD)]
        # To the edge, a place without an id is none.
        questions = [q._replace(place=None) if q.place in {(kind, "") for kind in GETS} else q for q in questions]
        expected = [answer(world.at(), question) for question in questions]
        batch = services.batch(questions)
        for question, plain, batched in zip(questions, expected, batch, strict=True):
            compare_one(services, world, question, plain, batched)


def compare_one(
    services: Services, world: World, question: Question, plain: Answer, batched: pb.BatchCheckAnswer
) -> None:
    """Compare every way to ask one question with the plain reading."""
    found = services.check(question)
    assert (found.decision == pb.DECISION_ALLOW) == (batched.decision == pb.DECISION_ALLOW) == plain.allowed
    assert tuple(found.denial.reasons) == plain.reasons
    assert batched.reason == found.denial.reason == (plain.reasons[0] if plain.reasons else "")
    assert batched.http_status == found.denial.http_status
    of_remedies = {"UNKNOWN_USER", "ROLE_UNKNOWN"}
    assert tuple(each for each in found.warnings if each not in of_remedies) == plain.warnings
    assert found.HasField("valid_until") == (plain.valid_until is not None)
    if found.HasField("valid_until"):
        assert found.valid_until.ToMicroseconds() == round((plain.valid_until or 0) * 1_000_000)
    assert found.denial.HasField("blocked_by") == (plain.blocked_by is not None)
    if plain.blocked_by is not None:
        blocked_by = getattr(found.denial.blocked_by, GETS.get(plain.blocked_by[0], "platform"))
        assert blocked_by in {plain.blocked_by[1], True}
    place = question.place
    if place is None or not exists(world.state, place):
        return
    name = question.resource.partition("/")[0]
    if question.resource == name and not question.required_module:
        assert (question.action in services.actions(question.subject, place).get(name, [])) == plain.allowed
    assert (question.subject in services.subjects(question, 2)) == plain.allowed
    if place[0] == "workspace":
        assert (place[1] in services.workspaces(question, 3)) == plain.allowed


@pytest.mark.parametrize("directory", BUNDLES, ids=lambda found: found.name if found else "random")
def test_every_rpc_answers_as_the_plain_reading(database: Database, directory: Path | None, tmp_path: Path) -> None:
    compare_bundles(database, directory, tmp_path, drawn=2, count=100)


@pytest.mark.soak
@pytest.mark.parametrize("directory", BUNDLES, ids=lambda found: found.name if found else "random")
def test_every_rpc_answers_as_the_plain_reading_long(
    database: Database, directory: Path | None, tmp_path: Path
) -> None:
    compare_bundles(database, directory, tmp_path, drawn=200, count=200)


def compare_bundles(database: Database, directory: Path | None, tmp_path: Path, *, drawn: int, count: int) -> None:
    """Compare with the shipped bundle in the directory, or with bundles made at random."""
    if directory is not None:
        compare(database, directory, bundles.shipped_bundle(directory), drawn * count, "rpc")
        return
    for number in range(drawn):
        bundle = bundles.random_bundle(Random(f"rpc {number}"))
        folder = tmp_path / str(number) / "random"
        folder.mkdir(parents=True)
        for name, text in bundle[0].files.items():
            (folder if name != "model.conf" else folder.parent).joinpath(name).write_text(text, "utf-8")
        compare(database, folder, bundle, count, f"rpc {number}")


def test_a_denial_that_was_made_before_names_the_module_that_is_missing_now() -> None:
    def missing(modules: list[str]) -> str:
        case = world(workspace("c", modules=modules), member(("workspace", "c"), "admin"))
        asked = {"resource": "dam:asset", "action": "read", "required_module": "analytics"}
        facts = load(case.state)
        decision = decide(facts, rules, worlds.NOW, subject="ann", place=("workspace", "c"), **asked)
        made = pb.Denial()
        denials.write(made, facts, rules, worlds.NOW, decision, subject="ann", **asked)
        return made.remedy.module

    denials, rules = Denials(), world().bundle.rules
    assert missing([]) == "dam"
    assert missing(["dam"]) == "analytics"
