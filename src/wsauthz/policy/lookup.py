"""The reverse questions: where may a user do something, and who may do it here. Always equal to asking one by one.

One call looks at a limited number of candidates, a few milliseconds' worth, so that it never holds the event loop for
longer; a page may therefore have fewer items than were asked for, even none, although there are more.
"""

from collections.abc import Collection
from typing import Final

from wsauthz.model.places import PlaceKey
from wsauthz.policy.candidates import Subjects, workspaces_below
from wsauthz.policy.decision import allowing
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.question import Question
from wsauthz.policy.ruleset import Action, Ruleset

Page = tuple[list[str], str]
"""Ids, sorted, and the id to go on after; an empty one says that there are no more."""

MOST_DECIDED: Final = 1_001
"""Decisions in one call: one more than the largest page has items, to know whether another page follows."""
_MOST_LOOKED_AT: Final = 4_000
"""Users looked at in one call; to look at one is much less than to decide."""
_AT_ONCE: Final = 500
_DEEPEST: Final = 17
"""How far above a place a role can be held: sixteen workspaces, an organization and the platform are at most so far."""


def workspaces(
    facts: Facts,
    rules: Ruleset,
    now: float,
    *,
    subject: str,
    resource: str,
    action: str,
    required_module: str = "",
    after: str = "",
    limit: int,
) -> Page:
    """Return up to ``limit`` ids of workspaces after ``after``.

    Raises:
        UnknownResource, UnknownAction: as in a decision.

    """
    asked, object_id = rules.action(resource, action)
    if facts.users.get(subject) is False:
        return [], ""
    places, following = workspaces_below(facts, _useful(facts, rules, subject, asked), after)

    def is_allowed(place: Place) -> bool:
        return allowing(facts, rules, now, Question(subject, place, asked, object_id, required_module)) is not None

    found: list[str] = []
    for decided, place in enumerate(places):
        if decided == MOST_DECIDED:
            return found, after
        after = place.key[1]
        if is_allowed(place):
            if len(found) == limit:
                return found, found[-1]
            found.append(after)
    return found, following


def subjects(
    facts: Facts,
    rules: Ruleset,
    now: float,
    *,
    place: PlaceKey,
    resource: str,
    action: str,
    required_module: str = "",
    after: str = "",
    limit: int,
) -> Page:
    """Return up to ``limit`` ids of users after ``after``; none for an unknown place.

    Raises:
        UnknownResource, UnknownAction: as in a decision.

    """
    asked, object_id = rules.action(resource, action)
    at = facts.places.get(place)
    if at is None:
        return [], ""

    def question(subject: str) -> Question:
        return Question(subject, at, asked, object_id, required_module)

    candidates = Subjects(facts, rules, now, question(""))
    found: list[str] = []
    decided = 0
    for _ in range(_MOST_LOOKED_AT // _AT_ONCE):
        some, following = candidates.after(after, _AT_ONCE)
        for user in some:
            if decided == MOST_DECIDED:
                return found, after
            decided += 1
            after = user
            if facts.users.get(user) is False or allowing(facts, rules, now, question(user)) is None:
                continue
            if len(found) == limit:
                return found, found[-1]
            found.append(user)
        after = following
        if not following:
            break
    return found, after


def _useful(facts: Facts, rules: Ruleset, subject: str, asked: Action) -> Collection[Place]:
    """Return where the subject holds what could allow the action, there or somewhere below."""
    cells = asked.cells.values()
    nodes = {node for cell in cells for node, rows in cell.by_node.items() if any(row.allows for row in rows)}
    known: dict[tuple[str, tuple[str, ...]], bool] = {}

    def gives(role: str, permissions: tuple[str, ...]) -> bool:
        key = (role, permissions)
        if key not in known:
            known[key] = any(not nodes.isdisjoint(rules.given(*key, distance)) for distance in range(_DEEPEST + 1))
        return known[key]

    places = {place for place, grant in facts.grants.get(subject, {}).items() if gives(grant.role, grant.permissions)}
    role = rules.catalog.ownership_role
    return places | facts.owned.get(subject, set()) if role is not None and gives(role, ()) else places
