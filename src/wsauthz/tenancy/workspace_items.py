"""Workspaces as items of lists, page by page: who is where comes from the facts, names from the database."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from wsauthz.model.places import State
from wsauthz.model.workspaces import Workspace
from wsauthz.policy.access import highest_role
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.question import held
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy.transaction import Reading

_LEAST_AT_ONCE: Final = 100
_MOST_AT_ONCE: Final = 1_000

Find = Callable[[Facts, Ruleset, float, str], tuple[Iterable[Place], str]]
"""The next workspaces after an id that may be items of a list, by id, and the id to go on after, if any; called on the
loop, so it looks at a limited number of them."""

Keep = Callable[[Facts, Ruleset, float, Place], bool]
"""Whether a workspace found there is in the list; called on the loop, for as many as a page needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A workspace in a list, for one user. ``role`` is the highest that counts there; the flags are its own."""

    id: str
    name: str
    slug: str
    image_url: str
    plan: str
    role: str
    is_owner: bool
    is_active: bool
    is_suspended: bool
    state: State
    organization_id: str | None
    parent_workspace_id: str | None
    is_current: bool


def page(
    reading: Reading, find: Find, keep: Keep, *, query: str = "", current: str = "", after: str, limit: int
) -> tuple[list[Item], bool]:
    """Return the next items of a list, and whether there are more; takes as many steps as the query needs."""
    part = query.strip().casefold()

    found: list[Item] = []
    for some in _candidates(reading, find, after, _MOST_AT_ONCE if part else max(limit + 1, _LEAST_AT_ONCE)):
        kept = reading.on_loop(partial(_kept, keep, some))
        found += [item for item in show(reading, kept, current) if part in item.name.casefold() or part in item.slug]
        if len(found) > limit:
            break
    return found[:limit], len(found) > limit


def _candidates(reading: Reading, find: Find, after: str, size: int) -> Iterator[Sequence[str]]:
    """Yield ids of workspaces that may be in a list, by id, so many at a time."""

    def look(facts: Facts, rules: Ruleset, now: float) -> tuple[list[str], str]:
        places, following = find(facts, rules, now, after)
        return [place.key[1] for place in places], following

    while True:
        ids, following = reading.on_loop(look)
        yield from (ids[start : start + size] for start in range(0, len(ids), size))
        if not following:
            return
        after = following


def _kept(keep: Keep, ids: Sequence[str], facts: Facts, rules: Ruleset, now: float) -> list[str]:
    places = ((each, facts.places.get(("workspace", each))) for each in ids)
    return [each for each, place in places if place is not None and keep(facts, rules, now, place)]


def show(reading: Reading, ids: Sequence[str], current: str = "") -> list[Item]:
    """Return the workspaces as items, in the order given; those deleted meanwhile are left out."""
    found = workspace_rows.find_many(reading.connection, ids)
    actor = reading.actor

    def look(facts: Facts, rules: Ruleset, now: float) -> list[Item]:
        items = []
        for each in ids:
            at = facts.places.get(("workspace", each))
            if at is not None and each in found:
                role = highest_role(rules, held(facts, rules, now, actor, at, None))
                items.append(_item(found[each], at, role=role, is_owner=at.owner == actor, is_current=each == current))
        return items

    return reading.on_loop(look)


def _item(workspace: Workspace, at: Place, *, role: str, is_owner: bool, is_current: bool) -> Item:
    return Item(
        id=workspace.id,
        name=workspace.name,
        slug=workspace.slug,
        image_url=workspace.image_url,
        plan=at.subscription[0] if at.subscription else "",
        role=role,
        is_owner=is_owner,
        is_active=at.is_active,
        is_suspended=at.is_suspended,
        state=at.state,
        organization_id=workspace.organization_id,
        parent_workspace_id=workspace.parent_workspace_id,
        is_current=is_current,
    )
