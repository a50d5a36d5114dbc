"""Workspaces by their slugs: in an organization that is named, or among those that a user has a part in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Final

from wsauthz.model.errors import SlugAmbiguous, WorkspaceNotFound
from wsauthz.model.identifiers import is_slug
from wsauthz.model.places import PlaceKey
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.question import held
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import organizations as organization_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy.places import organization_of
from wsauthz.tenancy.transaction import Reading

_MOST: Final = 2_000
"""Stand-alone workspaces looked at: they may share a slug with any number of others."""


@dataclass(frozen=True, slots=True)
class _Reach:
    """Where workspaces of a user can be: in organizations, or among stand-alone ones (None: too many to name)."""

    organizations: frozenset[str]
    alone: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Route:
    """The workspace of a page, and the one above it; each is as the route has it where no workspace has the slug."""

    workspace_id: str
    parent_workspace_id: str


def resolve(reading: Reading, *, organization: str, slug: str) -> str:
    """Return the id of the workspace that the actor means by a slug, in an organization if one is named.

    Raises:
        WorkspaceNotFound: there is none that the actor may view. SlugAmbiguous: several have it, and none is named.

    """
    actor = reading.actor
    place: PlaceKey = ("workspace", _one(_with_slug(reading, actor, organization, slug)))

    def may_view(facts: Facts, rules: Ruleset, now: float) -> bool:
        return decide(facts, rules, now, subject=actor, place=place, resource="workspace", action="view").allowed

    if not reading.on_loop(may_view):
        raise WorkspaceNotFound
    return place[1]


def route(reading: Reading, *, user: str, organization: str, wanted: Route) -> Route:
    """Return the ids of the workspaces that a route names by id or slug, of which an id wins.

    Raises:
        SlugAmbiguous: the slug of the workspace is that of several.

    """
    text, above = wanted.workspace_id, wanted.parent_workspace_id
    found = [text] if _exists(reading, text) else _with_slug(reading, user, organization, text)
    parents = reading.on_loop(lambda facts, _rules, _now: {each: _parent(facts, each) for each in found})
    named = {above}
    if is_slug(above) and not _exists(reading, above):
        those = workspace_rows.find_many(reading.connection, parents.values())
        named = {each for each, workspace in those.items() if workspace.slug == above}
    if above:
        found = [each for each in found if parents[each] in named] or found
    meant = _one(found)
    parent = parents.get(meant, "")
    return Route(meant or text, parent if above and parent in named else above)


def _one(found: Sequence[str]) -> str:
    if len(found) > 1:
        raise SlugAmbiguous
    return found[0] if found else ""


def _exists(reading: Reading, workspace_id: str) -> bool:
    return reading.on_loop(lambda facts, _rules, _now: ("workspace", workspace_id) in facts.places)


def _parent(facts: Facts, workspace_id: str) -> str:
    """Return the id of the workspace right above; empty: there is none."""
    at = facts.places.get(("workspace", workspace_id))
    return at.parent.key[1] if at is not None and at.parent is not None and at.parent.key[0] == "workspace" else ""


def _with_slug(reading: Reading, user: str, organization: str, slug: str) -> list[str]:
    """Return the ids of the workspaces that may be meant by a slug.

    They are in the organization, named by id or slug, of which an id wins; empty: they are those where the user holds a
    role, though not one from the platform, or else those where it has a membership that does not count.
    """
    if not is_slug(slug):
        return []
    if organization:
        identifier = _organization(reading, organization)
        found = workspace_rows.find_by_slug(reading.connection, identifier, slug) if identifier else None
        return [] if found is None else [found]
    reach = reading.on_loop(partial(_reach, user))
    ids = set(workspace_rows.with_slug(reading.connection, slug, reach.organizations))
    if reach.alone is None:
        ids.update(workspace_rows.alone_with_slug(reading.connection, slug, _MOST))
    else:
        ids.update(workspace_rows.those_with_slug(reading.connection, slug, reach.alone))
    return reading.on_loop(partial(_near, user, ids))


def _organization(reading: Reading, text: str) -> str:
    """Return the id of the organization with the id, else of the one with the slug; empty: there is none."""
    if reading.on_loop(lambda facts, _rules, _now: ("organization", text) in facts.places):
        return text
    organization = organization_rows.find_by_slug(reading.connection, text) if is_slug(text) else None
    return organization.id if organization else ""


def _reach(user: str, facts: Facts, _rules: Ruleset, _now: float) -> _Reach:
    tops = {*facts.grants.get(user, ()), *facts.owned.get(user, ())} - {facts.platform}
    inside = {top: organization_of(top) for top in tops}
    alone = (top.below() for top, organization in inside.items() if organization is None)
    few = list(islice(chain.from_iterable(alone), _MOST + 1))
    return _Reach(
        organizations=frozenset(each for each in inside.values() if each is not None),
        alone=None if len(few) > _MOST else tuple(place.key[1] for place in few),
    )


def _near(user: str, ids: Iterable[str], facts: Facts, rules: Ruleset, now: float) -> list[str]:
    """Return those of the workspaces where the user holds a role, else those where it has a membership."""
    places = [place for each in sorted(ids) if (place := facts.places.get(("workspace", each))) is not None]
    tops = {*facts.grants.get(user, ()), *facts.owned.get(user, ())} - {facts.platform}
    near = [place for place in places if not tops.isdisjoint(place.chain)]
    open_: list[Place] = [place for place in near if held(facts, rules, now, user, place, None)]
    return [place.key[1] for place in open_ or [place for place in near if place in tops]]
