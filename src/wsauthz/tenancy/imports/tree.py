"""Workspaces of a state file as nouns, with their place in the tree and their invite codes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wsauthz.model.invite_codes import new_invite_code
from wsauthz.model.places import MAX_DEPTH, PlaceKey
from wsauthz.model.workspaces import Workspace, WorkspaceSettings
from wsauthz.policy.state_fields import BESIDE_WORKSPACES
from wsauthz.policy.state_file import Record, by_depth
from wsauthz.store import bulk
from wsauthz.tenancy import places
from wsauthz.tenancy.imports.work import Work
from wsauthz.tenancy.slugs import choose
from wsauthz.tenancy.workspace_creation import UNSET

_WHILE_SUSPENDED: Mapping[str, Any] = {"suspended_reason": "", "suspended_at": None, "suspended_by": None}


def place_workspaces(work: Work) -> None:
    """Find out, for every workspace of the file, which organization it is in and how deep it lies."""
    ordered, circles = by_depth(work.records("workspace"))
    for record in (*ordered, *circles):
        identifier, parent = record.given["id"], record.given.get("parent_workspace_id")
        at = work.tx.facts.places.get(("workspace", identifier))
        if at is not None:
            work.organizations[identifier] = places.organization_of(at)
            work.depths[identifier] = places.depth(at)
        elif parent is not None and work.has(("workspace", parent)):
            work.organizations[identifier] = work.organization_of(parent)
            work.depths[identifier] = _depth(work, parent) + 1
        else:
            work.organizations[identifier] = record.given.get("organization_id")
            work.depths[identifier] = 1


def import_workspaces(work: Work) -> None:
    """Merge the workspaces with those in the database, parents first."""
    records = by_depth(work.records("workspace"))[0]
    if not records:
        return
    found = bulk.find(work.tx.connection, Workspace, work.organizations)
    roofs = sorted({roof for roof in work.organizations.values() if roof is not None})
    held = bulk.workspace_slugs(work.tx.connection, roofs)
    taken: dict[str | None, set[str]] = {}
    for organization_id, slug in held:
        taken.setdefault(organization_id, set()).add(slug)
    for record in records:
        taken.setdefault(work.organizations[record.given["id"]], set()).add(record.given.get("slug", ""))
    final: list[tuple[Record, str, tuple[str, str] | None]] = []
    for record in records:
        before = found.get(record.given["id"])
        if before is not None and before.deleted_at is not None:
            work.refuse(record, "id: is that of a deleted one")
            continue
        if "owner_user_id" in record.given:
            work.check_user(record, "owner", record.given["owner_user_id"])
        after = _new(work, record, taken) if before is None else _merged(work, record, before)
        roof = after.organization_id
        final.append((record, after.id, None if roof is None else (roof, after.slug)))
        work.keep("workspace", before, after)
    work.settle("workspace", "slug", final, held)
    _codes(work, records)


def _new(work: Work, record: Record, taken: Mapping[str | None, set[str]]) -> Workspace:
    given = _of_noun(record)
    identifier, parent = given["id"], given.get("parent_workspace_id")
    roof = work.organizations[identifier]
    if parent is not None and not work.has(("workspace", parent)):
        work.refuse(record, f"parent: there is no workspace {parent!r}")
    elif parent is not None and given.get("organization_id") not in {None, roof}:
        work.refuse(record, "organization: a child has its parent's")
    if parent is None and roof is not None and not work.has(("organization", roof)):
        work.refuse(record, f"organization: there is no organization {roof!r}")
    if work.depths[identifier] > MAX_DEPTH:
        work.refuse(record, f"parent: lies deeper than {MAX_DEPTH} workspaces")
    if "owner_user_id" not in given:
        work.refuse(record, "owner is missing")
    name = given.get("name", identifier)
    slug = given.get("slug") or choose("", name, "workspace", lambda _: taken[roof] if roof is not None else ())
    taken[roof].add(slug)
    values: dict[str, Any] = {
        **UNSET,
        "owner_user_id": "",
        "parent_workspace_id": None,
        "modules": tuple(work.tx.rules.catalog.modules),
        "created_at": work.tx.now,
        "updated_at": work.tx.now,
        **given,
        "name": name,
        "slug": slug,
        "organization_id": roof,
        "settings": _settings(WorkspaceSettings(), given),
    }
    if values["is_suspended"] and "suspended_at" not in given:
        values["suspended_at"] = work.tx.now
    return Workspace(**values)


def _merged(work: Work, record: Record, before: Workspace) -> Workspace:
    """Return the workspace with what the file lists, and with what follows from that as when an RPC changes it."""
    given = _of_noun(record)
    for key, name in (("parent", "parent_workspace_id"), ("organization", "organization_id")):
        value, stored = given.pop(name, None), getattr(before, name)
        if value is not None and value != stored:
            work.refuse(record, f"{key}: is fixed when a workspace is made, and is {stored or 'none'}")
    if "settings" in given:
        given["settings"] = _settings(before.settings, given)
    after: Workspace = replace(before, **given)
    derived: dict[str, Any] = {}
    if after.is_suspended and not before.is_suspended:
        derived = {"suspended_at": work.tx.now}
    elif before.is_suspended and not after.is_suspended:
        derived = dict(_WHILE_SUSPENDED)
    if (after.name, after.domain) != (before.name, before.domain):
        derived["analysis_epoch"] = before.analysis_epoch + 1  # what was analysed is about another name
    return replace(after, **{name: value for name, value in derived.items() if name not in given})


def _codes(work: Work, records: list[Record]) -> None:
    """Note the invite codes that the workspaces are to have; those that have none get one."""
    wanted = {record.given["id"]: record.given.get("invite_code") for record in records}
    has = bulk.codes(work.tx.connection, wanted, {code for code in wanted.values() if code is not None})
    holders = {code: identifier for identifier, code in has.items()}
    first: dict[str, Record] = {}
    for record in records:
        identifier, code = record.given["id"], record.given.get("invite_code")
        if code is None and identifier not in has:
            work.codes[identifier] = new_invite_code()
        if code is None or code == has.get(identifier):
            continue
        holder = holders.get(code)
        if first.setdefault(code, record) is not record:
            work.refuse(record, f"invite_code: line {first[code].line} has the same")
        elif holder is not None and wanted.get(holder) in {None, code}:
            work.refuse(record, "invite_code: another workspace has it")
        work.codes[identifier] = code
    work.coded = set(has)


def _settings(before: WorkspaceSettings, given: Mapping[str, Any]) -> WorkspaceSettings:
    parts = given.get("settings", {})
    features = {**before.features, **parts.get("features", {})}
    return WorkspaceSettings(
        branding=replace(before.branding, **parts.get("branding", {})),
        features={name: features[name] for name in sorted(features)},
    )


def _of_noun(record: Record) -> dict[str, Any]:
    return {name: value for name, value in record.given.items() if name not in BESIDE_WORKSPACES}


def _depth(work: Work, workspace_id: str) -> int:
    if workspace_id in work.depths:
        return work.depths[workspace_id]
    place: PlaceKey = ("workspace", workspace_id)
    return places.depth(work.tx.facts.places[place])
