"""Questions about a data set, allowed and denied ones apart, as strings that nobody has looked at before."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from bench.dataset import NOW, SEED, Values
from wsauthz.model.places import PlaceKind
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.decision import Decision, decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.v1 import authorization_pb2 as pb


class Asked(NamedTuple):
    """One question."""

    subject: str
    kind: PlaceKind
    place_id: str
    resource: str
    action: str


CHECK: Final = "wsauthz.v1.AuthorizationService/Check"


def ours(asked: Asked) -> pb.CheckRequest:
    """Return the question as our message, for the method CHECK."""
    return pb.CheckRequest(
        subject=asked.subject, workspace_id=asked.place_id, resource=asked.resource, action=asked.action
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Questions by their answer."""

    allowed: list[Asked]
    denied: list[Asked]
    reasons: Counter[str]
    """First reason -> how many of the denied ones."""


def draw(catalog: Catalog, memberships: Sequence[Values], places: Sequence[str], seed: int = SEED) -> Iterator[Asked]:
    """Yield random questions without end.

    The subject is that of a random membership. Two of three ask where the membership is, the others in one of the
    workspaces ``places``. What is asked is any action on any resource of the application, half of them with an id.
    """
    chance = Random(seed)
    actions = [
        (kind.name, action) for kind in catalog.resources.values() if not kind.is_core for action in kind.actions
    ]
    while True:
        values = chance.choice(memberships)
        kind: PlaceKind = "workspace"
        place_id = values["workspace_id"]
        if place_id is None or chance.random() < 1 / 3:
            place_id = chance.choice(places)
        resource, action = chance.choice(actions)
        if chance.random() < 0.5:
            resource = f"{resource}/{chance.randrange(100_000)}"
        yield Asked(values["user_id"], kind, place_id, resource, action)


def sort(questions: Iterable[Asked], facts: Facts, rules: Ruleset, count: int) -> Sorted:
    """Return so many allowed and so many denied questions, in the order they are drawn."""
    found = Sorted(allowed=[], denied=[], reasons=Counter())
    for asked in questions:
        decision = answer(asked, facts, rules)
        if decision.allowed and len(found.allowed) < count:
            found.allowed.append(asked)
        elif not decision.allowed and len(found.denied) < count:
            found.denied.append(asked)
            found.reasons[decision.reasons[0]] += 1
        if len(found.allowed) == len(found.denied) == count:
            break
    return found


def answer(asked: Asked, facts: Facts, rules: Ruleset) -> Decision:
    """Return the engine's answer."""
    subject, kind, place_id, resource, action = asked
    return decide(facts, rules, NOW, subject=subject, place=(kind, place_id), resource=resource, action=action)


def fresh(questions: Iterable[Asked]) -> list[Asked]:
    """Return the questions in new strings: a string that was hashed before is looked up faster than one off the wire."""
    return [Asked(*(text.encode().decode() for text in asked)) for asked in questions]  # type: ignore[arg-type]  # kinds
