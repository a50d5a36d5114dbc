"""Who and what comes into question for a reverse look-up, by id and some at a time: an event loop asks for them.

Whatever is left out could not be allowed. Whatever is given still has to be decided.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain, islice
from typing import Final

from wsauthz.policy.catalog import Reason
from wsauthz.policy.decision import obstacles
from wsauthz.policy.facts import Facts, Grant
from wsauthz.policy.place import Place
from wsauthz.policy.question import Question
from wsauthz.policy.ruleset import Nodes, Ruleset
from wsauthz.policy.terms import EVERYONE

MOST_PLACES: Final = 2_000
"""Looked at in one go, which takes about two milliseconds."""

_OF_THE_PLACE: Final = frozenset(
    {Reason.MODULE_NOT_ENABLED, Reason.PLAN_FEATURE_MISSING, Reason.CHILD_WORKSPACES_NOT_ALLOWED}
)
"""Obstacles that are the same for every subject, and that no rule takes away."""

_NOBODY: Final[Nodes] = frozenset()


def workspaces_below(facts: Facts, tops: Collection[Place], after: str) -> tuple[Iterable[Place], str]:
    """Return the workspaces at and below the tops with ids after ``after``, by id, and the id to go on after.

    Few are returned all at once. Of many those are found, as they are asked for, that are among the next
    :data:`MOST_PLACES` workspaces of all; an empty id says that there are no more.
    """
    most = MOST_PLACES
    is_everywhere = facts.platform in tops and len(facts.workspaces) > most
    if not is_everywhere and len(tops) <= most:
        roofs = (top for top in tops if not any(above in tops for above in top.chain[1:]))
        few = list(islice(chain.from_iterable(roof.below() for roof in roofs), most + 1))
        if len(few) <= most:
            found = [place for place in few if place.key[0] == "workspace" and place.key[1] > after]
            return sorted(found, key=lambda place: place.key[1]), ""
    ids = list(islice(facts.workspaces.irange(after, inclusive=(False, False)), most))
    places = (facts.places["workspace", each] for each in ids)
    chosen = frozenset(tops)
    wanted = (place for place in places if not chosen.isdisjoint(place.chain))
    return wanted, ids[-1] if len(ids) == most else ""


class Subjects:
    """The users who might be allowed something in a place: whoever holds a role there or above that could allow it."""

    def __init__(self, facts: Facts, rules: Ruleset, now: float, question: Question) -> None:
        """Find out which roles those are; the subject of the question is nobody's matter."""
        self._facts = facts
        at = question.at
        nodes = _NOBODY
        if _OF_THE_PLACE.isdisjoint(obstacles(facts, rules, now, question)):
            nodes = _allowing(question)
        self._members = [
            (place, _giving(rules, nodes, distance))
            for distance, place in enumerate(at.chain)
            if place.members and _may_give(rules, nodes, distance)
        ]
        self._owners = {
            place.owner
            for distance, place in enumerate(at.chain)
            if place.owner is not None and not nodes.isdisjoint(rules.owned(distance))
        }
        self._is_everybody = at is facts.platform and EVERYONE in nodes

    def after(self, after: str, most: int) -> tuple[list[str], str]:
        """Return those of the next users after ``after``, by id, looking at no more than about ``most``.

        The second value is the id to go on after; an empty one says that there are no more.
        """
        sources = len(self._members) + self._is_everybody
        share = max(1, most // max(1, sources))
        found = {owner for owner in self._owners if owner > after}
        ends: list[str] = []

        def take(some: Sequence[str], useful: Iterable[str]) -> None:
            if len(some) == share:
                ends.append(some[-1])
            found.update(useful)

        grants, users = self._facts.grants, self._facts.users
        for place, gives in self._members:
            start = bisect_right(place.members, after)
            some = place.members[start : start + share]
            take(some, (user for user in some if gives(grants[user][place])))
        if self._is_everybody:
            some = list(islice(users.irange(after, inclusive=(False, False)), share))
            take(some, (user for user in some if users[user]))
        if not ends:
            return sorted(found), ""
        end = min(ends)
        return sorted(user for user in found if user <= end), end


def _allowing(question: Question) -> Nodes:
    """Return the roles and permissions to which a rule allows what is asked."""
    at = question.at
    keys = {place.key for place in at.chain}
    return frozenset(
        node
        for node, found in question.action.cells[at.state].by_node.items()
        if any(
            row.allows and row.place in {None, *keys} and row.object_id in {None, question.object_id} for row in found
        )
    )


def _may_give(rules: Ruleset, nodes: Nodes, distance: int) -> bool:
    """Tell whether some membership could give one of the nodes so many levels below."""
    permissions = tuple(rules.catalog.permissions)
    return any(not nodes.isdisjoint(rules.given(role, permissions, distance)) for role in rules.catalog.roles)


def _giving(rules: Ruleset, nodes: Nodes, distance: int) -> Callable[[Grant], bool]:
    """Return what tells whether a membership, were it in force, would give one of the nodes so many levels below."""
    known: dict[tuple[str, tuple[str, ...]], bool] = {}

    def gives(grant: Grant) -> bool:
        key = grant[:2]
        found = known.get(key)
        if found is None:
            found = known[key] = not nodes.isdisjoint(rules.given(*key, distance))
        return found

    return gives
