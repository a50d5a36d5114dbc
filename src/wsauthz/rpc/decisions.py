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
from wsauthz.policy.decision import Decision
from wsauthz.policy.explain import Step
from wsauthz.policy.facts import Facts
from wsauthz.policy.remedy import Remedy
from wsauthz.policy.ruleset import Compiled
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import places_pb2

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


def denial(decision: Decision, answer: Answer, fix: pb.Remedy, guard: str = "", workspace_id: str = "") -> pb.Denial:
    """Return a denial with the answer a frontend gives; ``workspace_id`` is what a route named, known or not."""
    at = decision.place
    return pb.Denial(
        reason=decision.reasons[0],
        reasons=decision.reasons,
        message=answer.message,
        http_status=answer.status,
        redirect_to=redirect(answer.redirect, at.key[1] if at else workspace_id),
        guard=guard,
        blocked_by=place(decision.blocked_by.key) if decision.blocked_by else None,
        remedy=fix,
    )


def redirect(template: str, identifier: str) -> str:
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
        permission=fix.permission,
        plan=fix.plan,
        fields=fix.fields,
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
