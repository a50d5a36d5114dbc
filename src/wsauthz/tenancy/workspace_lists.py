"""Lists of workspaces, as switchers show them: who is where comes from the facts, names from the database."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from wsauthz.model.organizations import Organization
from wsauthz.model.places import PLATFORM, PlaceKey, State
from wsauthz.model.workspaces import Workspace
from wsauthz.policy.access import highest_role
from wsauthz.policy.decision import decide, held
from wsauthz.policy.facts import Facts, Place
from wsauthz.policy.lookup import reachable
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import organizations as organization_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy.transaction import Reading

_AT_ONCE: Final = 1_000

Choose = Callable[[Facts, Ruleset, float, str], Iterable[Place]]
"""The workspaces of a list with an id after the given one, by id; called on the loop, read no further than needed."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Switcher:
    """A page of the actor's workspaces, and what else a switcher shows."""

    workspaces: tuple[Item, ...]
    has_more: bool
    current_workspace: Item | None
    can_create_workspace: bool
    can_create_child_workspace: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Workspaces of one organization; None: stand-alone ones."""

    organization: Organization | None
    workspaces: tuple[Item, ...]


Position = tuple[str, str, str, str]
"""Where a grouped list goes on: name and id of the last one's organization (empty: none), its own name and id."""


def of_user(
    reading: Reading,
    *,
    query: str = "",
    current: str = "",
    manageable_only: bool = False,
    include_inherited: bool = False,
    after: str = "",
    limit: int,
) -> Switcher:
    """Return up to ``limit`` workspaces that the actor is a member or the primary owner of, by id, after an id.

    ``query`` is part of the name or slug, in any case. ``current`` is marked, and returned if the actor may view it.
    ``manageable_only`` takes those that the actor may update, ``include_inherited`` also those that a role of its flows
    down to.
    """
    actor = reading.actor

    def choose(facts: Facts, rules: Ruleset, now: float, after: str) -> Iterator[Place]:
        found = reachable(facts, actor, after) if include_inherited else own(facts, actor, after)
        for place in found:
            counts = _is_own(facts, actor, place) or held(facts, rules, now, actor, place, None)
            if counts and (not manageable_only or _may(facts, rules, now, "update", actor=actor, place=place.key)):
                yield place

    items, has_more = _page(reading, choose, query=query, current=current, after=after, limit=limit)
    viewable, create, create_child = reading.on_loop(
        lambda facts, rules, now: (
            _may(facts, rules, now, "view", actor=actor, place=("workspace", current)),
            _may(facts, rules, now, "create", actor=actor, place=PLATFORM),
            _may(facts, rules, now, "create_child", actor=actor, place=("workspace", current)),
        )
    )
    shown = _items(reading, [current], current) if viewable else []
    return Switcher(
        workspaces=tuple(items),
        has_more=has_more,
        current_workspace=shown[0] if shown else None,
        can_create_workspace=create,
        can_create_child_workspace=create_child,
    )


def of_organization(reading: Reading, *, organization_id: str, after: str = "", limit: int) -> tuple[list[Item], bool]:
    """Return up to ``limit`` workspaces of an organization, by id, after an id, and whether there are more.

    They are the actor's own, or all if it may list them. An unknown organization has none.
    """
    actor = reading.actor
    place: PlaceKey = ("organization", organization_id)

    def choose(facts: Facts, rules: Ruleset, now: float, after: str) -> Iterable[Place]:
        roof = facts.places.get(place)
        if roof is None:
            return []
        asked = decide(facts, rules, now, subject=actor, place=place, resource="organization", action="list_workspaces")
        if asked.allowed:
            return _sorted((each for each in roof.below() if each is not roof), after)
        return [each for each in own(facts, actor, after) if roof in each.chain]

    return _page(reading, choose, after=after, limit=limit)


def children(reading: Reading, *, workspace_id: str, after: str = "", limit: int) -> tuple[list[Item], bool]:
    """Return up to ``limit`` children that the actor may view, by id, after an id, and whether there are more."""
    actor = reading.actor

    def choose(facts: Facts, rules: Ruleset, now: float, after: str) -> Iterator[Place]:
        parent = facts.places.get(("workspace", workspace_id))
        for child in _sorted(parent.children if parent else (), after):
            if _may(facts, rules, now, "view", actor=actor, place=child.key):
                yield child

    return _page(reading, choose, after=after, limit=limit)


def grouped(reading: Reading, *, after: Position | None, limit: int) -> tuple[list[Group], Position | None]:
    """Return up to ``limit`` of the actor's workspaces by organization, and the position to go on from; None: the end.

    They are ordered by name and id of the organization, then of the workspace; stand-alone ones come last.
    """
    actor = reading.actor
    ids = reading.on_loop(lambda facts, _rules, _now: [place.key[1] for place in own(facts, actor)])
    found = workspace_rows.find_many(reading.connection, ids)
    roofs = {workspace.organization_id for workspace in found.values() if workspace.organization_id is not None}
    organizations = organization_rows.find_many(reading.connection, roofs)

    def position(workspace: Workspace) -> tuple[bool, Position]:
        roof = organizations.get(workspace.organization_id or "")
        return roof is None, (roof.name if roof else "", roof.id if roof else "", workspace.name, workspace.id)

    last = (not after[1], after) if after is not None else None
    left = sorted((each for each in found.values() if last is None or position(each) > last), key=position)
    items = {item.id: item for item in _items(reading, [each.id for each in left[:limit]])}
    groups: dict[str, list[Item]] = {}
    for workspace in left[:limit]:
        if workspace.id in items:
            groups.setdefault(position(workspace)[1][1], []).append(items[workspace.id])
    goes_on = position(left[limit - 1])[1] if len(left) > limit else None
    return [Group(organization=organizations.get(roof), workspaces=tuple(each)) for roof, each in groups.items()], goes_on


def is_first_workspace(facts: Facts, user: str) -> bool:
    """Tell whether the user has no live workspace membership, be it a deactivated or expired one."""
    return all(place.key[0] != "workspace" for place in facts.grants.get(user, ()))


def own(facts: Facts, user: str, after: str = "") -> list[Place]:
    """Return the workspaces that the user is a member or the primary owner of, with an id after ``after``, by id."""
    return _sorted({*facts.grants.get(user, ()), *facts.owned.get(user, ())}, after)


def _is_own(facts: Facts, user: str, place: Place) -> bool:
    return place in facts.grants.get(user, ()) or place.owner == user


def _sorted(places: Iterable[Place], after: str) -> list[Place]:
    found = (place for place in places if place.key[0] == "workspace" and place.key[1] > after)
    return sorted(found, key=lambda place: place.key[1])


def _may(facts: Facts, rules: Ruleset, now: float, action: str, *, actor: str, place: PlaceKey) -> bool:
    return decide(facts, rules, now, subject=actor, place=place, resource="workspace", action=action).allowed


def _page(
    reading: Reading, choose: Choose, *, query: str = "", current: str = "", after: str, limit: int
) -> tuple[list[Item], bool]:
    """Return the next items of a list, and whether there are more; takes as many steps as the query needs."""
    part = query.strip().casefold()
    size = _AT_ONCE if part else limit + 1
    found: list[Item] = []

    def step(facts: Facts, rules: Ruleset, now: float) -> list[str]:
        return [place.key[1] for place, _ in zip(choose(facts, rules, now, after), range(size), strict=False)]

    while len(found) <= limit:
        ids = reading.on_loop(step)
        items = _items(reading, ids, current)
        found += [item for item in items if part in item.name.casefold() or part in item.slug]
        if len(ids) < size:
            break
        after = ids[-1]
    return found[:limit], len(found) > limit


def _items(reading: Reading, ids: Sequence[str], current: str = "") -> list[Item]:
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
