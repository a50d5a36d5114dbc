"""A shipped bundle on a state: what is decided, and what a frontend is told."""

import functools
from typing import Final, NamedTuple

from tests.policy.jury import POLICIES
from wsauthz.model.places import PlaceKey
from wsauthz.policy.bundle import Bundle, read_bundle
from wsauthz.policy.decision import Decision, decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.guards import RouteDecision, check_route
from wsauthz.policy.state_file import read_state
from wsauthz.rpc.methods import core_vocabulary

NOW: Final = 1_760_000_000.0
ALLOW: Final = "allow"


class Answer(NamedTuple):
    """What a route guard tells a frontend."""

    status: int
    message: str
    redirect: str


LET_IN: Final = Answer(200, "", "")


class World:
    """A bundle on a state."""

    def __init__(self, name: str, state: str) -> None:
        self.bundle = load(name)
        self.facts = Facts()
        read_state(state, "yaml").apply_to(self.facts, self.bundle.catalog, NOW)

    def ask(self, subject: str, place: str, question: str) -> str:
        """Return ``allow``, or the first reason of the denial; ``place`` is a workspace unless it names its kind."""
        kind, _, identifier = place.rpartition(":")
        key: PlaceKey = ("organization", identifier) if kind == "organization" else ("workspace", identifier)
        decision = self._decide(subject, key, question)
        return ALLOW if decision.allowed else str(decision.reasons[0])

    def allowed(self, subject: str, place: str, *questions: str) -> list[str]:
        """Return those of the questions that are allowed."""
        return [question for question in questions if self.ask(subject, place, question) == ALLOW]

    def route(self, subject: str, workspace: str, *guards: str, module: str = "", parent: str = "") -> Answer:
        """Return what a frontend is told about a page."""
        found: RouteDecision = check_route(
            self.facts,
            self.bundle.rules,
            NOW,
            subject=subject,
            workspace_id=workspace,
            guards=guards,
            required_module=module,
            parent_workspace_id=parent,
        )
        answer = found.answer
        return LET_IN if answer is None else Answer(answer.status, answer.message, answer.redirect)

    def _decide(self, subject: str, place: PlaceKey, question: str) -> Decision:
        resource, action = question.split()
        return decide(
            self.facts, self.bundle.rules, NOW, subject=subject, place=place, resource=resource, action=action
        )


@functools.cache
def load(name: str) -> Bundle:
    return read_bundle(POLICIES / name, core_vocabulary())
