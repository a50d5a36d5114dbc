"""What is wrong with a state once the catalog, and the other records, are known."""

from collections.abc import Iterator, Mapping
from typing import Any

from wsauthz.model.places import MAX_DEPTH, PlaceKind
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.problems import Problem, meant
from wsauthz.policy.state_file import Record, State, by_depth

_KEYS: Mapping[str, tuple[str, ...]] = {
    "user": ("id",),
    "deleted_user": ("id",),
    "organization": ("id",),
    "workspace": ("id",),
    "membership": ("workspace_id", "organization_id", "user_id"),
    "removal": ("workspace_id", "organization_id", "user_id", "deleted_at"),
    "visit": ("user_id", "workspace_id"),
    "invitation": ("id",),
    "subscription": ("workspace_id",),
}
_PLACES: Mapping[str, str] = {
    "workspace_id": "workspace",
    "parent_workspace_id": "workspace",
    "default_workspace_id": "workspace",
    "organization_id": "organization",
}


def check(state: State, catalog: Catalog, *, is_complete: bool) -> list[Problem]:
    """Return every name that the catalog lacks, repeated record and impossible tree.

    A complete state must have each workspace and organization that it speaks of; another one may mean those that are
    in a database already.
    """
    found: list[Problem] = []
    for kind, records in state.records.items():
        seen: dict[tuple[Any, ...], int] = {}
        for record in records:
            texts = list(_names(record, catalog))
            key = tuple(record.given.get(name) for name in _KEYS[kind])
            if key in seen:
                texts.append(f"was there already, in line {seen[key]}")
            seen.setdefault(key, record.line)
            found += [Problem(file=state.file, line=record.line, text=f"{kind}: {text}") for text in texts]
    found += _tree(state)
    found += _ids_of_memberships(state)
    if is_complete:
        found += _references(state)
    return sorted(found)


def _names(record: Record, catalog: Catalog) -> Iterator[str]:
    """Yield what the catalog lacks, or does not allow here; what somebody had once may be anything."""
    given = record.given
    if record.kind == "removal":
        return
    role = given.get("role")
    if role is not None:
        yield from _role(record.kind, given, role, catalog)
    for key, known in (
        ("modules", catalog.modules),
        ("permissions", catalog.permissions),
        ("enabled_providers", catalog.providers or {}),
        ("module_settings", catalog.modules),
    ):
        for name in given.get(key) or ():
            if name not in known:
                yield f"{key}: the catalog has no {name!r}{meant(name, known)}"
    plan = given.get("plan")
    if plan is not None and catalog.plans and plan not in catalog.plans:
        yield f"plan: the catalog has no {plan!r}{meant(plan, catalog.plans)}"


def _role(kind: str, given: Mapping[str, Any], name: str, catalog: Catalog) -> Iterator[str]:
    role = catalog.roles.get(name)
    place: PlaceKind = "platform"
    if given.get("workspace_id") is not None:
        place = "workspace"
    elif given.get("organization_id") is not None:
        place = "organization"
    if role is None:
        fitting = [other.name for other in catalog.roles.values() if place in other.places]
        yield f"role: the catalog has no {name!r}{meant(name, fitting)}"
        return
    if place not in role.places:
        yield f"role: the places of {name!r} are {', '.join(sorted(role.places))}, not {place}"
    if given.get("is_derived") and (place != "organization" or not {"modules", "expires_at"} <= given.keys()):
        yield "is_derived: is for memberships of organizations, with modules and expires_at beside it"
    if role.owner_like:
        for key in ("modules", "expires_at" if kind == "membership" else "membership_expires_at"):
            if given.get(key) is not None:
                yield f"{key}: the role {name!r} is owner-like and takes none"


def _tree(state: State) -> Iterator[Problem]:
    """Yield circles, trees that are too deep, and children with another organization than their parent."""
    ordered, circles = by_depth(state.records["workspace"])
    for record in circles:
        yield _problem(state, record, "parent: is the workspace itself, or below it")
    depths: dict[str | None, int] = {}
    organizations: dict[str | None, str | None] = {}
    for record in ordered:
        identifier, parent = record.given["id"], record.given.get("parent_workspace_id")
        depths[identifier] = depths.get(parent, 0) + 1
        if depths[identifier] > MAX_DEPTH:
            yield _problem(state, record, f"parent: lies deeper than {MAX_DEPTH} workspaces")
        own = record.given.get("organization_id")
        above = organizations.get(parent)
        if parent in organizations and own is not None and own != above:
            yield _problem(state, record, "organization: a child has its parent's")
        organizations[identifier] = own if own is not None or parent is None else above


def _ids_of_memberships(state: State) -> Iterator[Problem]:
    """Yield ids that two memberships have, be it one that was removed."""
    first: dict[str, Record] = {}
    for record in (*state.records["membership"], *state.records["removal"]):
        identifier = record.given.get("id")
        if identifier is not None and first.setdefault(identifier, record) is not record:
            yield _problem(state, record, f"id: line {first[identifier].line} has the same")


def _references(state: State) -> Iterator[Problem]:
    known = {kind: {record.given["id"] for record in state.records[kind]} for kind in ("workspace", "organization")}
    for records in state.records.values():
        for record in records:
            for key, kind in _PLACES.items():
                identifier = record.given.get(key)
                if identifier is not None and identifier not in known[kind]:
                    yield _problem(state, record, f"there is no {kind} {identifier!r}{meant(identifier, known[kind])}")


def _problem(state: State, record: Record, text: str) -> Problem:
    return Problem(file=state.file, line=record.line, text=f"{record.kind}: {text}")
