"""Lists of workspaces, as switchers show them."""

from collections.abc import Iterable
from dataclasses import dataclass

from wsauthz.model.organizations import Organization
from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.model.workspaces import Workspace
from wsauthz.policy.candidates import MOST_PLACES, workspaces_below
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.question import held
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import organizations as organization_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy.transaction import Reading
from wsauthz.tenancy.workspace_items import Item, page, show


@dataclass(frozen=True, slots=True, kw_only=True)
class Switcher:
    """A page of the actor's workspaces, and what else a switcher shows."""

    workspaces: tuple[Item, ...]
    has_more: bool
    current_workspace: Item | None
    can_create_workspace: bool
    can_create_child_workspace: bool
    can_create_organization: bool


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
    include_inherited: bool | None = None,
    include_without_access: bool = False,
    after: str = "",
    limit: int,
) -> Switcher:
    """Return up to ``limit`` workspaces that the actor may switch to, by id, after an id.

    ``query`` is part of the name or slug, in any case. ``current`` is marked, and returned if the actor may view it.
    ``manageable_only`` takes those that the actor may update. ``include_inherited`` decides on those that the actor may
    view by a role from above: None takes those from organizations and workspaces, True also those from the platform,
    False none. ``include_without_access`` adds those of memberships that are deactivated or have expired.
    """
    actor = reading.actor

    def find(facts: Facts, _rules: Ruleset, _now: float, after: str) -> tuple[Iterable[Place], str]:
        if include_inherited is False:
            return _after(own(facts, actor), after)
        tops = {*facts.grants.get(actor, ()), *facts.owned.get(actor, ())}
        return workspaces_below(facts, tops if include_inherited else tops - {facts.platform}, after)

    def keep(facts: Facts, rules: Ruleset, now: float, place: Place) -> bool:
        if _is_own(facts, actor, place):
            counts = include_without_access or bool(held(facts, rules, now, actor, place, None))
        else:
            counts = _may(facts, rules, now, "view", actor=actor, place=place.key)
        return counts and (not manageable_only or _may(facts, rules, now, "update", actor=actor, place=place.key))

    items, has_more = page(reading, find, keep, query=query, current=current, after=after, limit=limit)
    viewable, create, create_child, create_organization = reading.on_loop(
        lambda facts, rules, now: (
            _may(facts, rules, now, "view", actor=actor, place=("workspace", current)),
            _may(facts, rules, now, "create", actor=actor, place=PLATFORM),
            _may(facts, rules, now, "create_child", actor=actor, place=("workspace", current)),
            decide(facts, rules, now, subject=actor, place=PLATFORM, resource="organization", action="create").allowed,
        )
    )
    shown = show(reading, [current], current) if viewable else []
    return Switcher(
        workspaces=tuple(items),
        has_more=has_more,
        current_workspace=shown[0] if shown else None,
        can_create_workspace=create,
        can_create_child_workspace=create_child,
        can_create_organization=create_organization,
    )


def of_organization(reading: Reading, *, organization_id: str, after: str = "", limit: int) -> tuple[list[Item], bool]:
    """Return up to ``limit`` workspaces of an organization, by id, after an id, and whether there are more.

    They are the actor's own, or all if it may list them. An unknown organization has none.
    """
    actor = reading.actor
    place: PlaceKey = ("organization", organization_id)

    def find(facts: Facts, rules: Ruleset, now: float, after: str) -> tuple[Iterable[Place], str]:
        roof = facts.places.get(place)
        if roof is None:
            return [], ""
        asked = decide(facts, rules, now, subject=actor, place=place, resource="organization", action="list_workspaces")
        if asked.allowed:
            return workspaces_below(facts, [roof], after)
        return _after((each for each in _open(facts, rules, now, actor) if roof in each.chain), after)

    return page(reading, find, _keep_all, after=after, limit=limit)


def children(reading: Reading, *, workspace_id: str, after: str = "", limit: int) -> tuple[list[Item], bool]:
    """Return up to ``limit`` children that the actor may view, by id, after an id, and whether there are more."""
    actor = reading.actor

    def find(facts: Facts, _rules: Ruleset, _now: float, after: str) -> tuple[Iterable[Place], str]:
        parent = facts.places.get(("workspace", workspace_id))
        if parent is None:
            return [], ""
        if len(parent.children) <= MOST_PLACES:
            return _after(parent.children, after)
        below, following = workspaces_below(facts, [parent], after)
        return [place for place in below if place.parent is parent], following

    def keep(facts: Facts, rules: Ruleset, now: float, place: Place) -> bool:
        return _may(facts, rules, now, "view", actor=actor, place=place.key)

    return page(reading, find, keep, after=after, limit=limit)


def grouped(reading: Reading, *, after: Position | None, limit: int) -> tuple[list[Group], Position | None]:
    """Return up to ``limit`` of the actor's workspaces by organization, and the position to go on from; None: the end.

    They are ordered by name and id of the organization, then of the workspace; stand-alone ones come last.
    """
    actor = reading.actor
    ids = reading.on_loop(lambda facts, rules, now: [place.key[1] for place in _open(facts, rules, now, actor)])
    found = workspace_rows.find_many(reading.connection, ids)
    roofs = {workspace.organization_id for workspace in found.values() if workspace.organization_id is not None}
    organizations = organization_rows.find_many(reading.connection, roofs)

    def position(workspace: Workspace) -> tuple[bool, Position]:
        roof = organizations.get(workspace.organization_id or "")
        return roof is None, (roof.name if roof else "", roof.id if roof else "", workspace.name, workspace.id)

    last = (not after[1], after) if after is not None else None
    left = sorted((each for each in found.values() if last is None or position(each) > last), key=position)
    items = {item.id: item for item in show(reading, [each.id for each in left[:limit]])}
    groups: dict[str, list[Item]] = {}
    for workspace in left[:limit]:
        if workspace.id in items:
            groups.setdefault(position(workspace)[1][1], []).append(items[workspace.id])
    goes_on = position(left[limit - 1])[1] if len(left) > limit else None
    listed = [Group(organization=organizations.get(roof), workspaces=tuple(each)) for roof, each in groups.items()]
    return listed, goes_on


def is_first_workspace(facts: Facts, user: str) -> bool:
    """Tell whether the user has no live workspace membership, be it a deactivated or expired one."""
    return all(place.key[0] != "workspace" for place in facts.grants.get(user, ()))


def own(facts: Facts, user: str) -> set[Place]:
    """Return the workspaces that the user is a member or the primary owner of."""
    found = {*facts.grants.get(user, ()), *facts.owned.get(user, ())}
    return {place for place in found if place.key[0] == "workspace"}


def _open(facts: Facts, rules: Ruleset, now: float, user: str) -> list[Place]:
    """Return those of the user's own workspaces where some role of its counts."""
    return [place for place in own(facts, user) if held(facts, rules, now, user, place, None)]


def _after(places: Iterable[Place], after: str) -> tuple[Iterable[Place], str]:
    """Return those with ids after ``after``, by id, all of them at once."""
    return sorted((place for place in places if place.key[1] > after), key=lambda place: place.key[1]), ""


def _is_own(facts: Facts, user: str, place: Place) -> bool:
    return place in facts.grants.get(user, ()) or place.owner == user


def _keep_all(_facts: Facts, _rules: Ruleset, _now: float, _place: Place) -> bool:
    return True


def _may(facts: Facts, rules: Ruleset, now: float, action: str, *, actor: str, place: PlaceKey) -> bool:
    return decide(facts, rules, now, subject=actor, place=place, resource="workspace", action=action).allowed
