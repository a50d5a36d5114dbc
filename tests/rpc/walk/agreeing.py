"""Every way to ask, for everybody and everywhere, against the plain reading of the dictionaries."""

from collections.abc import Iterator
from typing import Any

from tests.oracle.plain_state import PLATFORM, PlaceKey
from tests.rpc.walk.choosing import FIELDS, STRANGER
from tests.rpc.walk.walk import Walk
from wsauthz.v1 import authorization_pb2 as pb

QUESTIONS = {
    "dam": (
        "workspace/view",
        "workspace/update",
        "workspace/create_child",
        "workspace/customize_branding",
        "member/add",
        "invitation/create",
        "dam:asset/read",
        "dam:asset/download",
        "dam:brand/edit",
    ),
    "oneglanse": (
        "workspace/view",
        "workspace/create",
        "workspace/transfer",
        "member/add",
        "provider/set",
        "join/view",
        "prompt/create",
        "analysis:report/run",
    ),
}
MOST_ITEMS = 1_000


def disagreements(walk: Walk) -> Iterator[str]:
    """Yield, in words, every answer of the server that is not that of the plain reading."""
    model = walk.model
    users = sorted({*model.users, *(who for _, who in model.memberships), STRANGER})
    places: list[PlaceKey] = [PLATFORM, *(("organization", key) for key in model.organizations)]
    places += [("workspace", key) for key in model.workspaces]
    questions = QUESTIONS[walk.shipped.catalog.name]
    plain = {
        (user, place, question): model.ask(user, place, question)
        for user in users
        for place in places
        for question in questions
    }
    yield from _one_by_one(walk, plain)
    yield from _in_batches(walk, plain)
    allowed = {asked for asked, answer in plain.items() if answer.allowed}
    yield from _at_once(walk, allowed, users, places, questions)
    yield from _the_other_way_round(walk, allowed, users, places, questions)


def _one_by_one(walk: Walk, plain: dict[Any, Any]) -> Iterator[str]:
    for (user, place, question), answer in plain.items():
        resource, _, action = question.rpartition("/")
        request = pb.CheckRequest(subject=user, resource=resource, action=action, **_named(place))
        found = walk.send("", "authorization.Check", request)
        if (found.decision == pb.DECISION_ALLOW, tuple(found.denial.reasons)) != (answer.allowed, answer.reasons):
            yield f"Check {user} {place} {question}: {found}\nplain {answer}"


def _in_batches(walk: Walk, plain: dict[Any, Any]) -> Iterator[str]:
    asked = list(plain.items())
    for start in range(0, len(asked), MOST_ITEMS):
        some = asked[start : start + MOST_ITEMS]
        items = [
            pb.BatchCheckItem(
                subject=user,
                resource=question.rpartition("/")[0],
                actions=[question.rpartition("/")[2]],
                **_named(place),
            )
            for (user, place, question), _ in some
        ]
        answers = walk.send("", "authorization.BatchCheck", pb.BatchCheckRequest(items=items)).answers
        for (key, answer), found in zip(some, answers, strict=True):
            reason = answer.reasons[0] if answer.reasons else ""
            if (found.decision == pb.DECISION_ALLOW, found.reason) != (answer.allowed, reason):
                yield f"BatchCheck {key}: {found}\nplain {answer}"


def _at_once(walk: Walk, allowed: set[Any], users: Any, places: Any, questions: Any) -> Iterator[str]:
    for user in users:
        for place in places:
            found = walk.send("", "authorization.GetAccess", pb.GetAccessRequest(subject=user, **_named(place)))
            for question in questions:
                resource, _, action = question.rpartition("/")
                told = resource in found.allowed and action in found.allowed[resource].actions
                if told != ((user, place, question) in allowed):
                    yield f"GetAccess {user} {place} {question}: {told}"


def _the_other_way_round(walk: Walk, allowed: set[Any], users: Any, places: Any, questions: Any) -> Iterator[str]:
    for question in questions:
        resource, _, action = question.rpartition("/")
        asked: dict[str, Any] = {"resource": resource, "action": action, "page_size": 1_000}
        for user in users:
            listed = walk.send("", "authorization.LookupWorkspaces", pb.LookupWorkspacesRequest(subject=user, **asked))
            told = set(listed.workspace_ids)
            should = {place[1] for place in places if place[0] == "workspace" and (user, place, question) in allowed}
            if told != should:
                yield f"LookupWorkspaces {user} {question}: {told}, should be {should}"
        for place in places:
            listed = walk.send("", "authorization.LookupSubjects", pb.LookupSubjectsRequest(**asked, **_named(place)))
            told = set(listed.user_ids)
            should = {user for user in users if (user, place, question) in allowed}
            if told != should:
                yield f"LookupSubjects {place} {question}: {told}, should be {should}"


def _named(place: PlaceKey) -> dict[str, Any]:
    return {"platform": True} if place == PLATFORM else {FIELDS[place[0]]: place[1]}
