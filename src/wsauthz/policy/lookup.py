"""The reverse questions: where may a user do something, and who may do it here. Always equal to asking one by one."""

from bisect import bisect_right
from collections.abc import Iterator
from heapq import merge

from wsauthz.model.places import PlaceKey
from wsauthz.policy.decision import Question, allowing
from wsauthz.policy.facts import Facts, Place
from wsauthz.policy.ruleset import Ruleset


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
) -> tuple[list[str], bool]:
    """Return up to ``limit`` workspace ids after ``after``, sorted, and whether there are more.

    Raises:
        UnknownResource, UnknownAction: as in a decision.

    """
    kind, object_id = rules.type_of(resource, action)
    if facts.users.get(subject) is False:
        return [], False
    found: list[str] = []
    for place in reachable(facts, subject, after):
        if allowing(facts, rules, now, Question(subject, place, kind, action, object_id, required_module)) is None:
            continue
        if len(found) == limit:
            return found, True
        found.append(place.key[1])
    return found, False


def reachable(facts: Facts, subject: str, after: str = "") -> list[Place]:
    """Return every workspace where the subject might hold a role, with an id after ``after``, by id."""
    roots = {*facts.grants.get(subject, ()), *facts.owned.get(subject, ())}
    tops = [root for root in roots if not any(above in roots for above in root.chain[1:])]
    places = (place for top in tops for place in top.below())
    return sorted((p for p in places if p.key[0] == "workspace" and p.key[1] > after), key=lambda place: place.key[1])


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
) -> tuple[list[str], bool]:
    """Return up to ``limit`` user ids after ``after``, sorted, and whether there are more; none for an unknown place.

    Raises:
        UnknownResource, UnknownAction: as in a decision.

    """
    kind, object_id = rules.type_of(resource, action)
    at = facts.places.get(place)
    found: list[str] = []
    if at is None:
        return found, False
    for user in candidates(facts, at, after):
        if facts.users.get(user) is False:
            continue
        if allowing(facts, rules, now, Question(user, at, kind, action, object_id, required_module)) is None:
            continue
        if len(found) == limit:
            return found, True
        found.append(user)
    return found, False


def candidates(facts: Facts, at: Place, after: str = "") -> Iterator[str]:
    """Yield, sorted and once each, every user who might hold a role in the place, after ``after``."""
    sources: list[Iterator[str]] = [
        iter(place.members[bisect_right(place.members, after) :]) for place in at.chain if place.members
    ]
    sources.append(iter(sorted({place.owner for place in at.chain if place.owner is not None and place.owner > after})))
    if at is facts.platform:  # everybody holds role:everyone there
        sources.append(facts.users.irange(after, inclusive=(False, False)))
    last = after
    for user in merge(*sources):
        if user != last:
            last = user
            yield user
