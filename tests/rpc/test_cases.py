"""Every question of tests/cases, asked of the engine in process and of a server by gRPC."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from tests.rpc.bundles import copy_bundle
from tests.rpc.filling import fill, state_of
from tests.serving import Serving, refusal
from wsauthz.model.errors import InvalidArgument
from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.policy.bundle import Bundle, read_bundle
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.guards import check_route
from wsauthz.policy.state_file import State
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import places_pb2

CASES = Path(__file__).parents[1] / "cases"
Case = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One file of cases."""

    bundle: str
    append: tuple[str, ...]
    state: State
    cases: tuple[Case, ...]
    routes: tuple[Case, ...]


def _read(path: Path) -> World:
    given = yaml.safe_load(path.read_text())
    return World(
        bundle=given["bundle"],
        append=tuple(given.get("append", ())),
        state=state_of(given["state"]),
        cases=tuple(given["cases"]),
        routes=tuple(given.get("routes", ())),
    )


WORLDS = {path.stem: _read(path) for path in sorted(CASES.glob("*.yaml"))}


def _for_the_engine(case: Case) -> bool:
    """Tell whether the engine itself must see what is wrong; malformed ids are refused before they reach it."""
    return case.get("invalid", "resource") in {"resource", "action", "guards"} and "dam:asset/" not in case.get(
        "check", ""
    )


def _parameters(kind: str, wanted: Callable[[Case], bool] = lambda _: True) -> list[Any]:
    return [
        pytest.param(name, case, id=f"{name}: {case['name']}", marks=[pytest.mark.req(*case.get("req", ()))])
        for name, world in WORLDS.items()
        for case in getattr(world, kind)
        if wanted(case)
    ]


class Worlds:
    """The worlds' bundles, facts and servers, each made when it is first needed."""

    def __init__(self, folder: Path, template: Path) -> None:
        self._folder = folder
        self._template = template
        self._stack = ExitStack()
        self._engines: dict[str, tuple[Facts, Bundle]] = {}
        self._servers: dict[str, Serving] = {}

    def close(self) -> None:
        self._stack.close()

    def engine(self, name: str) -> tuple[Facts, Bundle]:
        """Return the facts and the bundle of a world."""
        if name not in self._engines:
            world, facts = WORLDS[name], Facts()
            bundle = read_bundle(
                copy_bundle(world.bundle, self._folder / name, rows=list(world.append)), core_vocabulary()
            )
            world.state.apply_to(facts, bundle.catalog, time.time())
            self._engines[name] = facts, bundle
        return self._engines[name]

    def server(self, name: str) -> Serving:
        """Return a server on the data of a world."""
        if name not in self._servers:
            _, bundle = self.engine(name)
            path = self._folder / name / "wsauthz.db"
            path.write_bytes(self._template.read_bytes())
            fill(f"sqlite:///{path}", WORLDS[name].state, bundle.catalog)
            directory = self._folder / name / "policies" / WORLDS[name].bundle
            self._servers[name] = self._stack.enter_context(Serving(f"sqlite:///{path}", directory))
        return self._servers[name]


@pytest.fixture(scope="module")
def worlds(sqlite_template: Path) -> Iterator[Worlds]:
    with tempfile.TemporaryDirectory(prefix="wsauthz-cases-") as folder:
        found = Worlds(Path(folder), sqlite_template)
        yield found
        found.close()


# --- asking -----------------------------------------------------------------------------------------------------------


def _question(case: Case) -> tuple[str, str]:
    if "action" in case:
        return case["check"], case["action"]
    resource, _, action = case["check"].partition(" ")
    return resource, action


def _place(case: Case) -> PlaceKey | None:
    if case.get("platform"):
        return PLATFORM
    if case.get("workspace"):
        return ("workspace", case["workspace"])
    return ("organization", case["organization"]) if case.get("organization") else None


def _place_fields(case: Case) -> dict[str, Any]:
    names = {"workspace": "workspace_id", "organization": "organization_id", "platform": "platform"}
    return {field: case[key] for key, field in names.items() if key in case}


def _check_request(case: Case) -> pb.CheckRequest:
    resource, action = _question(case)
    place, module = _place_fields(case), case.get("module", "")
    return pb.CheckRequest(subject=case["subject"], resource=resource, action=action, required_module=module, **place)


def _route_request(case: Case) -> pb.CheckRouteRequest:
    return pb.CheckRouteRequest(
        subject=case["subject"],
        workspace_id=case["workspace"],
        guards=case.get("guards", ()),
        required_module=case.get("module", ""),
        parent_workspace_id=case.get("parent", ""),
    )


def _name(place: places_pb2.Place) -> str:
    kind = place.WhichOneof("kind")
    return {
        "workspace_id": f"workspace:{place.workspace_id}",
        "organization_id": f"organization:{place.organization_id}",
    }.get(kind or "", kind or "")


# --- comparing --------------------------------------------------------------------------------------------------------


def _assert_answer(case: Case, answer: pb.CheckResponse | pb.CheckRouteResponse) -> None:
    assert list(answer.warnings) == case.get("warnings", [])
    assert answer.decision_id
    assert answer.policy_version
    assert answer.revision
    if case.get("allow"):
        assert answer.decision == pb.DECISION_ALLOW, answer.denial
        assert not answer.HasField("denial")
        return
    denial = answer.denial
    found = {
        "reason": denial.reason,
        "reasons": list(denial.reasons),
        "blocked_by": _name(denial.blocked_by),
        "status": denial.http_status,
        "message": denial.message,
        "redirect": denial.redirect_to,
        "guard": denial.guard,
        "remedy_role": denial.remedy.role,
        "remedy_method": denial.remedy.method,
        "remedy_module": denial.remedy.module,
    }
    assert answer.decision == pb.DECISION_DENY
    assert found == {**found, **{key: case[key] for key in found if key in case}}
    _assert_complete(denial)


def _assert_complete(denial: pb.Denial) -> None:
    """Whatever the reason, a denial says enough (product.md section 5)."""
    assert denial.reasons[0] == denial.reason
    assert denial.message or denial.redirect_to
    assert denial.http_status == 302 or 400 <= denial.http_status < 500
    assert denial.redirect_to or denial.http_status != 302
    assert denial.redirect_to == "" or (denial.redirect_to[0] == "/" and denial.redirect_to[:2] != "//")
    assert denial.remedy.message
    assert not denial.remedy.user_ids, "people are named on request only"
    if denial.reason in {"WORKSPACE_SUSPENDED", "WORKSPACE_INACTIVE", "MODULE_NOT_ENABLED"}:
        assert denial.HasField("blocked_by") or denial.reason == "MODULE_NOT_ENABLED"


# --- the tests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "case"), _parameters("cases", _for_the_engine))
def test_the_engine_decides_as_written(worlds: Worlds, name: str, case: Case) -> None:
    facts, bundle = worlds.engine(name)
    resource, action = _question(case)
    asked = {"subject": case["subject"], "place": _place(case), "resource": resource, "action": action}
    if "invalid" in case:
        with pytest.raises(InvalidArgument) as refused:
            decide(facts, bundle.rules, time.time(), **asked)
        assert refused.value.field == case["invalid"]
        return
    decision = decide(facts, bundle.rules, time.time(), **asked, required_module=case.get("module", ""))
    assert decision.allowed == case.get("allow", False), decision.reasons
    assert (decision.rule is not None) or not decision.allowed
    reasons = [str(reason) for reason in decision.reasons]
    assert reasons[:1] == ([] if case.get("allow") else [case["reason"]])
    assert reasons == case.get("reasons", reasons)
    if "blocked_by" in case:
        assert decision.blocked_by is not None
        assert ":".join(decision.blocked_by.key) == case["blocked_by"]


@pytest.mark.parametrize(("name", "case"), _parameters("routes"))
def test_the_guards_decide_as_written(worlds: Worlds, name: str, case: Case) -> None:
    facts, bundle = worlds.engine(name)
    asked: dict[str, Any] = {
        "subject": case["subject"],
        "workspace_id": case["workspace"],
        "guards": case.get("guards", ()),
        "required_module": case.get("module", ""),
        "parent_workspace_id": case.get("parent", ""),
    }
    if "invalid" in case:
        with pytest.raises(InvalidArgument) as refused:
            check_route(facts, bundle.rules, time.time(), **asked)
        assert refused.value.field == case["invalid"]
        return
    route = check_route(facts, bundle.rules, time.time(), **asked)
    assert route.decision.allowed == case.get("allow", False)
    assert [str(reason) for reason in route.decision.reasons[:1]] == ([case["reason"]] if "reason" in case else [])
    assert route.guard == case.get("guard", route.guard)


@pytest.mark.parametrize(("name", "case"), _parameters("cases"))
def test_check_answers_as_written(worlds: Worlds, name: str, case: Case) -> None:
    check = worlds.server(name).client().authorization.Check
    if "invalid" in case:
        refused = refusal(check, _check_request(case))
        assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (case["invalid"],))
        assert (refused.domain, refused.kind) == ("wsauthz", "ValidationError")
        return
    _assert_answer(case, check(_check_request(case)))


@pytest.mark.parametrize(("name", "case"), _parameters("routes"))
def test_check_route_answers_as_written(worlds: Worlds, name: str, case: Case) -> None:
    check_page = worlds.server(name).client().authorization.CheckRoute
    if "invalid" in case:
        refused = refusal(check_page, _route_request(case))
        assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (case["invalid"],))
        return
    _assert_answer(case, check_page(_route_request(case)))


@pytest.mark.parametrize("name", WORLDS)
def test_a_batch_answers_as_one_check_after_the_other(worlds: Worlds, name: str) -> None:
    cases = WORLDS[name].cases
    items = []
    for case in cases:
        resource, action = _question(case)
        fields: dict[str, Any] = {**_place_fields(case), "required_module": case.get("module", "")}
        items.append(pb.BatchCheckItem(subject=case["subject"], resource=resource, actions=[action], **fields))
    batch = worlds.server(name).client().authorization.BatchCheck(pb.BatchCheckRequest(items=items))
    assert len(batch.answers) == len(cases)
    for case, answer in zip(cases, batch.answers, strict=True):
        if "invalid" in case:
            assert answer.decision == pb.DECISION_UNSPECIFIED, case["name"]
            assert case["invalid"] in answer.error, case["name"]
            continue
        assert not answer.error, case["name"]
        assert answer.reason == case.get("reason", ""), case["name"]
        assert (answer.decision == pb.DECISION_ALLOW) == case.get("allow", False), case["name"]
        if "status" in case:
            assert answer.http_status == case["status"], case["name"]


@pytest.mark.parametrize("name", WORLDS)
def test_every_case_is_named_once(name: str) -> None:
    for cases in (WORLDS[name].cases, WORLDS[name].routes):
        names = [case["name"] for case in cases]
        assert len(names) == len(set(names))
        assert all(("allow" in case) + ("reason" in case) + ("invalid" in case) == 1 for case in cases)
