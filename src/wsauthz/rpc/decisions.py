"""Decisions as messages."""

import itertools
import secrets
from collections.abc import Iterable
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from wsauthz.model.identifiers import is_id
from wsauthz.model.places import PlaceKey
from wsauthz.policy.access import Held
from wsauthz.policy.bundle import Bundle
from wsauthz.policy.catalog import Answer
from wsauthz.policy.decision import OF_THE_SUBJECT, Decision
from wsauthz.policy.explain import Step
from wsauthz.policy.facts import Facts
from wsauthz.policy.question import is_unknown
from wsauthz.policy.remedy import Remedy, remedy
from wsauthz.policy.ruleset import Compiled, Ruleset
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import places_pb2

_MOST_DENIALS: Final = 10_000
_MOST_REMEMBERED: Final = 4_096
_LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999; a Timestamp holds no later one."""

Asked = tuple[str, str, str, str, str]
"""Subject, workspace, resource, action and required module, as they were sent."""


def place(key: PlaceKey) -> places_pb2.Place:
    """Return a place as a message."""
    message = places_pb2.Place()
    name_place(message, key)
    return message


def name_place(message: places_pb2.Place, key: PlaceKey) -> None:
    """Fill in the message of a place."""
    kind, identifier = key
    if kind == "workspace":
        message.workspace_id = identifier
    elif kind == "organization":
        message.organization_id = identifier
    else:
        message.platform = True


class DecisionIds:
    """Ids that no other decision of any process has; a counter behind a random prefix."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._counter = itertools.count(1)

    def next(self) -> str:
        """Return a new one."""
        return f"{self._prefix}-{next(self._counter)}"


class Remembered(NamedTuple):
    """An answer but for its decision id, and the first reason by which it is counted."""

    response: pb.CheckResponse
    reason: str


class Answers:
    """Answers of Check that are given again while nothing has changed: an application asks the same for a whole page.

    They hold under one revision of the facts and one bundle; under any other there are none (docs/decisions/0018).
    """

    def __init__(self) -> None:
        self._under: tuple[Facts | None, Bundle | None, str] = (None, None, "")
        self._answers: dict[Asked, Remembered] = {}

    def under(self, facts: Facts, bundle: Bundle, token: str) -> dict[Asked, Remembered]:
        """Return the answers that are true now; what is added must not depend on time."""
        had_facts, had_bundle, had_token = self._under
        if (
            had_token != token
            or had_facts is not facts
            or had_bundle is not bundle
            or len(self._answers) >= _MOST_REMEMBERED
        ):
            self._under, self._answers = (facts, bundle, token), {}
        return self._answers


class Denials:
    """Denials as messages, made once for each kind: most of a denial's cost is finding out what would fix it.

    What is wrong with a subject is said in the same words everywhere, with the id of the place filled in; what is wrong
    with a place is remembered for each place. Nothing is kept that names what a caller invented.
    """

    def __init__(self) -> None:
        self._rules: Ruleset | None = None
        self._made: dict[tuple[object, ...], pb.Denial] = {}

    def write(
        self, to: pb.Denial, rules: Ruleset, decision: Decision, *, resource: str, action: str, required_module: str
    ) -> None:
        """Fill in the message of a denial."""
        at, (asked, object_id) = decision.place, rules.action(resource, action)

        def make() -> pb.Denial:
            fix = remedy(rules, decision, resource=resource, action=action, required_module=required_module)
            return denial(decision, rules.catalog.answer(decision.reasons[0]), remedy_message(fix))

        if is_unknown(rules, required_module) or (asked.is_particular and object_id):
            to.CopyFrom(make())
            return
        if rules is not self._rules or len(self._made) >= _MOST_DENIALS:
            self._rules, self._made = rules, {}
        is_shared = at is not None and decision.reasons[0] in OF_THE_SUBJECT and not asked.is_particular
        about = at.key[0] if is_shared and at is not None else _about(decision)
        key = (decision.reasons, asked, required_module, about)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = make()
        to.CopyFrom(made)
        if is_shared and at is not None:
            name_place(to.remedy.place, at.key)
            if to.redirect_to:
                to.redirect_to = _redirect(rules.catalog.answer(decision.reasons[0]).redirect, at.key[1])


def _about(decision: Decision) -> tuple[object, ...]:
    """Return what a denial depends on that is not shared with other places."""
    at, rule, blocked_by = decision.place, decision.rule, decision.blocked_by
    return (
        at.key if at else None,
        at.modules if at else None,  # the remedy names the module that is missing
        blocked_by.key if blocked_by else None,
        rule.line if rule else 0,
    )


def denial(decision: Decision, answer: Answer, fix: pb.Remedy, guard: str = "", workspace_id: str = "") -> pb.Denial:
    """Return a denial with the answer a frontend gives; ``workspace_id`` is what a route named, known or not."""
    at = decision.place
    return pb.Denial(
        reason=decision.reasons[0],
        reasons=decision.reasons,
        message=answer.message,
        http_status=answer.status,
        redirect_to=_redirect(answer.redirect, at.key[1] if at else workspace_id),
        guard=guard,
        blocked_by=place(decision.blocked_by.key) if decision.blocked_by else None,
        remedy=fix,
    )


def _redirect(template: str, identifier: str) -> str:
    """Return the path with the id in it; the root if there is none: ``//`` would lead to another host."""
    if "{id}" in template and not is_id(identifier):
        return "/"
    return template.replace("{id}", identifier)


def remedy_message(fix: Remedy, user_ids: Iterable[str] = ()) -> pb.Remedy:
    """Return a remedy as a message."""
    return pb.Remedy(
        message=fix.message,
        method=fix.method,
        place=place(fix.place.key) if fix.place else None,
        role=fix.role,
        module=fix.module,
        user_ids=user_ids,
    )


def held_role(held: Held) -> pb.HeldRole:
    """Return a role with its provenance as a message."""
    modules = None if held.modules is None else places_pb2.ModuleList(modules=sorted(held.modules))
    return pb.HeldRole(
        role=held.node.removeprefix("role:"),
        held_in=place(held.held_in.key),
        source=held.source,
        from_role=held.from_node.removeprefix("role:"),
        modules=modules,
    )


def trace(roles: Iterable[Held], rows: Iterable[Compiled]) -> pb.Trace:
    """Return how a decision came about as a message."""
    return pb.Trace(
        roles=[held_role(held) for held in roles],
        rules=[
            pb.MatchedRule(
                rule=row.rule.text,
                line=row.rule.line,
                effect="allow" if row.allows else "deny",
                role=row.node.removeprefix("role:"),
            )
            for row in rows
        ],
    )


def step(taken: Step) -> pb.ExplainStep:
    """Return one step of an explanation as a message."""
    fix = remedy_message(taken.remedy) if taken.remedy else None
    return pb.ExplainStep(step=taken.name, passed=taken.passed, detail=taken.detail, remedy=fix)


def timestamp(seconds: float) -> Timestamp:
    """Return Unix seconds as a message."""
    message = Timestamp()
    message.FromMicroseconds(round(min(seconds, _LAST_SECOND) * 1_000_000))
    return message
