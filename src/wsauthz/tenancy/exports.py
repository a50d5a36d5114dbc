"""The database as the records of a state file (formats.md C): everything that an import takes, and no secret."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

from wsauthz.model.moments import rfc3339
from wsauthz.model.workspaces import WorkspaceSettings
from wsauthz.policy.state_fields import BESIDE_WORKSPACES, FIELDS, SOURCE_VERSION
from wsauthz.store import bulk, rows
from wsauthz.store import entries as entry_rows
from wsauthz.store import invite_codes as invite_code_rows
from wsauthz.store import module_settings as setting_rows
from wsauthz.store import organizations as organization_rows
from wsauthz.store import users as user_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.store.database import Connection

NOT_EXPORTED: Final = (
    "invite codes: an import makes new ones",
    "tokens of invitations: invite again; accepted and revoked invitations",
    "the audit, and when things were changed last",
    "revisions, changes and answers kept for request_id: clients forget their tokens, Watch starts anew",
    "deleted organizations and workspaces; of removed members all but the latest removal from each place",
    "keys of applications; jobs of pg_cron: set the schedules again",
)
"""What no state file holds, and what to do about it."""
_LEFT_OUT: Final = frozenset({"kind", SOURCE_VERSION, *BESIDE_WORKSPACES})
"""A user's kind, whose key in both forms of a state file is ``user_kind``, and fields that no noun has."""
_PLACES: Final = ("workspace", "organization", "platform")


def export_state(connection: Connection) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every record as (kind, values by the keys of a state file), streamed, in an order that is always the same.

    Every key is there, so that importing the file restores every field of every record in it; of a membership's three
    places only the one that it is in. Decisions, rules and limits depend on nothing else, nor does ``plan_changed``;
    what is left out is in ``NOT_EXPORTED``. Values are what JSON can hold.
    """
    names = _names("user")
    for some in rows.batches(user_rows.every(connection)):
        versions = user_rows.source_versions(connection, (user.id for user in some))
        for user in some:
            yield "user", {**_record(user, names), SOURCE_VERSION: versions.get(user.id)}
    for user_id, version in user_rows.source_versions_of_deleted(connection):
        yield "deleted_user", {"id": user_id, SOURCE_VERSION: version}
    for organization in organization_rows.every(connection):
        yield "organization", _record(organization, _names("organization"))
    yield from _workspaces(connection)
    for kind, nouns in (
        ("subscription", bulk.live_subscriptions(connection)),
        ("membership", bulk.memberships_by_place(connection)),
        ("removal", bulk.latest_removals(connection)),
        ("visit", entry_rows.every(connection)),
        ("invitation", bulk.open_invitations(connection)),
    ):
        names = _names(kind)
        for noun in nouns:
            yield kind, _in_place(noun, names) if kind in {"membership", "removal"} else _record(noun, names)


def _workspaces(connection: Connection) -> Iterator[tuple[str, Mapping[str, Any]]]:
    names = _names("workspace")
    for some in rows.batches(workspace_rows.every(connection)):
        ids = [workspace.id for workspace in some]
        closed = invite_code_rows.switched_off(connection, ids)
        settings: dict[str, dict[str, Any]] = {}
        for (workspace_id, module), found in setting_rows.of_workspaces(connection, ids).items():
            settings.setdefault(workspace_id, {})[module] = found.settings
        for workspace in some:
            beside = {"is_joinable": workspace.id not in closed, "module_settings": settings.get(workspace.id, {})}
            yield "workspace", {**_record(workspace, names), **beside}


def _names(kind: str) -> dict[str, str]:
    """Return the fields of a noun that its records have, by their keys."""
    return {key: field.name for key, field in FIELDS[kind].items() if key not in _LEFT_OUT}


def _record(noun: Any, names: Mapping[str, str]) -> dict[str, Any]:
    return {key: _plain(getattr(noun, name)) for key, name in names.items()}


def _in_place(noun: Any, names: Mapping[str, str]) -> dict[str, Any]:
    kind, identifier = noun.place
    rest = {key: name for key, name in names.items() if key not in _PLACES}
    return {kind: identifier or True, **_record(noun, rest)}


def _plain(value: Any) -> Any:
    """Return a value as a state file has it."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, WorkspaceSettings):
        branding = {"logo": value.branding.logo, "primary_color": value.branding.primary_color}
        return {"branding": branding, "features": value.features}
    return value
