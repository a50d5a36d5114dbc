"""Check gives an answer again without deciding: only what is still true, and only to the same question."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.oracle import bundles, worlds
from tests.oracle.agreement import load
from tests.rpc.conftest import serving, sqlite_database
from tests.rpc.tenants import STATE, Tenants
from wsauthz.metrics import Metrics
from wsauthz.policy.bundle import Bundle
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.rpc import decisions
from wsauthz.rpc.authorization import AuthorizationService
from wsauthz.rpc.decisions import Answers, Remembered
from wsauthz.rpc.denials import Denials
from wsauthz.tenancy.transaction import Caller
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import memberships_pb2

ALLOW, DENY = pb.DECISION_ALLOW, pb.DECISION_DENY
WORLD: dict[str, Any] = {
    "users": [*STATE["users"], {"id": "owen"}, {"id": "ada"}, {"id": "stranger"}],
    "workspaces": [{"id": "hq", "owner": "owen"}, {"id": "eu", "parent": "hq", "owner": "owen"}],
    "memberships": [*STATE["memberships"], {"workspace": "hq", "user": "ada", "role": "admin"}],
}


@pytest.fixture
def server(sqlite_template: Path) -> Iterator[Tenants]:
    with serving(sqlite_database(sqlite_template), "default", WORLD) as tenants:
        yield tenants


def service(server: Tenants) -> AuthorizationService:
    """Return a servicer over the server's replica, to be asked without the transport."""
    return AuthorizationService(server.server.server.replica, Metrics(), decisions.DecisionIds())


def ask(found: AuthorizationService, **fields: Any) -> pb.CheckResponse:
    """Ask on the thread of the caller; nothing is written meanwhile."""
    usual = {"subject": "ada", "workspace_id": "hq", "resource": "workspace", "action": "view"}
    return found.Check(pb.CheckRequest(**{**usual, **fields}), None)  # type: ignore[arg-type]  # nobody asks


def test_the_second_answer_is_the_first_but_for_its_id(server: Tenants) -> None:
    found = service(server)
    for fields in ({}, {"subject": "stranger"}, {"required_module": "warp"}):
        first, second = ask(found, **fields), ask(found, **fields)
        assert first.decision_id != second.decision_id
        second.decision_id = first.decision_id
        assert first == second
    assert found.metrics.decisions == {"": 2, "NOT_A_MEMBER": 2, "MODULE_NOT_ENABLED": 2}


def test_whoever_changes_an_answer_does_not_change_the_next(server: Tenants) -> None:
    found = service(server)
    ask(found).decision = DENY
    assert ask(found).decision == ALLOW


def test_every_field_of_the_question_counts(server: Tenants) -> None:
    found = service(server)
    fields = {
        "subject": ("ada", "owen", "stranger"),
        "workspace_id": ("hq", "eu", "nowhere"),
        "resource": ("workspace", "member"),
        "action": ("view",),
        "required_module": ("", "warp"),
    }
    questions = [dict(zip(fields, values, strict=True)) for values in itertools.product(*fields.values())]

    def plain(answer: pb.CheckResponse) -> pb.CheckResponse:
        answer.decision_id = ""
        return answer

    fresh = [plain(ask(service(server), **question)) for question in questions]
    for _ in range(2):
        assert [plain(ask(found, **question)) for question in questions] == fresh


def test_what_is_included_is_there_whatever_was_asked_before_and_not_in_what_is_asked_next(server: Tenants) -> None:
    found = service(server)
    for _ in range(2):
        plain = ask(found, subject="stranger")
        long = found.Check(
            pb.CheckRequest(
                subject="stranger",
                workspace_id="hq",
                resource="workspace",
                action="view",
                include_trace=True,
                include_remedy=True,
            ),
            Caller(caller="test", actor="ada", method="Check"),
        )
        assert not plain.HasField("trace")
        assert not plain.denial.remedy.user_ids
        assert long.HasField("trace")
        assert "ada" in long.denial.remedy.user_ids


def test_every_write_is_seen_by_the_next_check(server: Tenants) -> None:
    owen = server.client("owen").memberships
    for role, allowed in (("admin", True), ("barred", False), ("viewer", True)):
        server.check("ada", "hq", "workspace view")
        update = memberships_pb2.UpdateMemberRequest(workspace_id="hq", user_id="ada", role=role)
        update.update_mask.paths.append("role")
        owen.UpdateMember(update)
        for _ in range(2):
            assert (server.check("ada", "hq", "workspace view").decision == ALLOW) == allowed
    owen.RemoveMember(memberships_pb2.RemoveMemberRequest(workspace_id="hq", user_id="ada"))
    assert server.reason("ada", "hq", "workspace view") == "NOT_A_MEMBER"


@pytest.mark.parametrize(("role", "reason"), [("viewer", ""), ("barred", "DENIED_BY_RULE")])
def test_what_time_alone_changes_is_decided_anew(server: Tenants, role: str, reason: str) -> None:
    """A role that allows ends, and one that denies: above it ada is an admin, the other one nobody."""
    user, asked = ("ada", "member view") if role == "barred" else (server.user(), "workspace view")
    add = memberships_pb2.AddMemberRequest(workspace_id="eu", user_id=user, role=role)
    ends = time.time() + 1.5
    add.expires_at.FromMicroseconds(int(ends * 1e6))
    server.client("owen").memberships.AddMember(add)
    while time.time() < ends - 0.3:
        assert server.reason(user, "eu", asked) == reason
        time.sleep(0.1)
    time.sleep(max(0.0, ends + 0.3 - time.time()))
    assert server.reason(user, "eu", asked) == ("MEMBERSHIP_EXPIRED" if user != "ada" else "")


def test_no_more_is_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "_MOST_REMEMBERED", 10)
    answers, facts, bundle = Answers(), Facts(), object.__new__(Bundle)
    for number in range(100):
        found = answers.under(facts, bundle, "a.1")
        found[str(number), "w", "r", "a", ""] = Remembered(pb.CheckResponse(), "")
        assert len(found) <= 10


def test_other_facts_another_bundle_and_another_revision_begin_anew() -> None:
    answers, facts, other, bundle = Answers(), Facts(), Facts(), object.__new__(Bundle)
    under: list[tuple[Facts, Bundle, str]] = [  # each differs from the one before in one part
        (facts, bundle, "a.1"),
        (facts, bundle, "a.2"),
        (other, bundle, "a.2"),
        (other, object.__new__(Bundle), "a.2"),
    ]
    for each in under:
        found = answers.under(*each)
        assert found == {}
        found["u", "w", "r", "a", ""] = Remembered(pb.CheckResponse(), "")
        assert answers.under(*each) is found


def test_a_denial_says_nothing_of_what_another_caller_asked_for(server: Tenants) -> None:
    found = service(server)
    for module in ("acme-secret-project", "billing", "acme-secret-project"):
        for subject in ("ada", "owen"):
            remedy = ask(found, subject=subject, required_module=module).denial.remedy
            assert (remedy.module, remedy.message) == (module, f"This policy has no module {module!r}.")


def test_nothing_that_a_caller_invented_is_kept(server: Tenants) -> None:
    found = service(server)
    invented = {
        "subject": "secret-subject",
        "workspace_id": "secret-place",
        "resource": "workspace/secret-object",
        "required_module": "secret-module",
    }
    for field, value in invented.items():
        for action in ("view", "delete"):
            for subject in ("ada", "stranger"):
                ask(found, **{"subject": subject, "action": action, field: value})
    ask(found)
    assert len(found.answers._answers) == 1
    assert "secret" not in str([found.denials._made, found.answers._answers])


@pytest.mark.parametrize("directory", [None, *bundles.shipped()], ids=lambda found: found.name if found else "random")
def test_a_denial_that_was_kept_is_the_one_that_would_be_made_now(directory: Path | None) -> None:
    shipped = bundles.shipped_bundle(directory) if directory is not None else None
    for seed in range(4):
        chance = Random(f"kept {seed}")
        world = worlds.random_world(chance, size=8, bundle=shipped)
        facts, rules, kept = load(world.state), world.bundle.rules, Denials()
        for step in range(80):
            for kind, values in worlds.random_change(chance, world.policy, world.state):
                facts.apply(kind, values)
                world.state.put(kind, values)
            now = worlds.NOW + step
            for _ in range(5 if world.state.workspaces else 0):
                place: Any
                subject, place, *rest = worlds.random_question(chance, world)
                asked = dict(zip(("resource", "action", "required_module"), rest, strict=True))
                decision = decide(facts, rules, now, subject=subject, place=place, **asked)
                if not decision.allowed:
                    old, new = pb.Denial(), pb.Denial()
                    warnings = [
                        denials.write(message, facts, rules, now, decision, subject=subject, **asked)
                        for denials, message in ((kept, old), (Denials(), new))
                    ]
                    assert (old, warnings[0]) == (new, warnings[1])
