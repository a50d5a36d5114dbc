"""BatchCheck: many questions, answered in one step on the event loop and so at one revision."""

from collections.abc import Sequence
from typing import Final

from wsauthz.metrics import Metrics
from wsauthz.model.errors import InvalidArgument, Refused
from wsauthz.policy.catalog import Reason
from wsauthz.policy.decision import decide
from wsauthz.replica.replica import Replica
from wsauthz.rpc.authorization import check_asked, place_of
from wsauthz.rpc.decisions import DecisionIds, timestamp
from wsauthz.rpc.running import on_loop
from wsauthz.tenancy.transaction import Caller
from wsauthz.v1 import authorization_pb2 as pb

MOST_DECISIONS: Final = 1_000
"""Decisions in one BatchCheck: items times actions."""


class Batches:
    """The method of AuthorizationService that answers many questions."""

    def __init__(self, replica: Replica, metrics: Metrics, ids: DecisionIds) -> None:
        self.replica = replica
        self.metrics = metrics
        self.ids = ids

    @on_loop
    def BatchCheck(self, request: pb.BatchCheckRequest, by: Caller) -> pb.BatchCheckResponse:  # noqa: ARG002 - uniform
        """Answer many questions at one revision."""
        items = list(request.items)
        actions = [item.actions for item in items]
        count = max(len(actions), sum(map(len, actions)))
        if count > MOST_DECISIONS:
            raise InvalidArgument("items", f"ask for {count} decisions; at most {MOST_DECISIONS} are answered at once")
        batch = _Batch(self.replica, self.metrics)
        for item, asked in zip(items, actions, strict=True):
            batch.answer(item, asked)
        return pb.BatchCheckResponse(
            answers=batch.answers,
            revision=self.replica.token,
            policy_version=self.replica.policy.bundle.version,
            decision_id=self.ids.next(),
        )


class _Batch:
    """What all questions of a batch have in common; answers that are alike are one message."""

    def __init__(self, replica: Replica, metrics: Metrics) -> None:
        self._facts, self._rules, self._now = replica.facts, replica.rules, replica.now()
        self._counted = metrics.decisions
        self._made: dict[Reason | None, pb.BatchCheckAnswer] = {}
        self.answers: list[pb.BatchCheckAnswer] = []

    def answer(self, item: pb.BatchCheckItem, actions: Sequence[str]) -> None:
        """Answer each action of an item; what is wrong with it is an answer, too."""
        facts, rules = self._facts, self._rules
        subject, resource, required_module = item.subject, item.resource, item.required_module
        try:
            check_asked(facts, rules, subject, resource, required_module)
            place = place_of(item, facts.places)
        except Refused as refused:
            self.answers += (pb.BatchCheckAnswer(error=str(refused)) for _ in actions)
            return
        for action in actions:
            try:
                decision = decide(
                    facts,
                    rules,
                    self._now,
                    subject=subject,
                    place=place,
                    resource=resource,
                    action=action,
                    required_module=required_module,
                )
            except Refused as refused:
                self.answers.append(pb.BatchCheckAnswer(error=str(refused)))
                continue
            reasons = decision.reasons
            reason = reasons[0] if reasons else None
            self._counted[reason or ""] += 1
            answer = self._made.get(reason) or self._make(reason)
            if decision.valid_until is not None:
                answer = pb.BatchCheckAnswer(decision=answer.decision, valid_until=timestamp(decision.valid_until))
            self.answers.append(answer)

    def _make(self, reason: Reason | None) -> pb.BatchCheckAnswer:
        answer = pb.BatchCheckAnswer(decision=pb.DECISION_ALLOW)
        if reason is not None:
            status = self._rules.catalog.answer(reason).status
            answer = pb.BatchCheckAnswer(decision=pb.DECISION_DENY, reason=reason, http_status=status)
        self._made[reason] = answer
        return answer
