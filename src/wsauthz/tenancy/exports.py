"""The database as the records of a state file (formats.md C): everything that an import takes, and no secret."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

from wsauthz.model.workspaces import WorkspaceSettings
from wsauthz.policy.state_fields import FIELDS, SOURCE_VERSION
from wsauthz.store import bulk, rows
from wsauthz.store import organizations as organization_rows
from wsauthz.store import users as user_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.store.database import Connection

_LEFT_OUT: Final = frozenset({"invite_code", "kind", SOURCE_VERSION})
"""A secret; a user's kind, whose key in both forms of a state file is ``user_kind``; a field that no noun has."""
_PLACES: Final = ("workspace", "organization", "platform")


def export_state(connection: Connection) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every record as (kind, values by the keys of a state file), streamed, in an order that is always the same.

    Every key is there, so that importing the file restores every field of every record in it; of a membership's three
    places only the one that it is in. Deleted nouns, and invitations accepted or revoked, are left out. Values are
    what JSON can hold.
    """
    names = _names("user")
    for some in rows.batches(user_rows.every(connection)):
        versions = user_rows.source_versions(connection, (user.id for user in some))
        for user in some:
            yield "user", {**_record(user, names), SOURCE_VERSION: versions.get(user.id)}
    for user_id, version in user_rows.source_versions_of_deleted(connection):
        yield "deleted_user", {"id": user_id, SOURCE_VERSION: version}
    for kind, nouns in (
        ("organization", organization_rows.every(connection)),
        ("workspace", workspace_rows.every(connection)),
        ("subscription", bulk.live_subscriptions(connection)),
        ("membership", bulk.memberships_by_place(connection)),
        ("invitation", bulk.open_invitations(connection)),
    ):
        names = _names(kind)
        for noun in nouns:
            yield kind, _membership(noun, names) if kind == "membership" else _record(noun, names)


def _names(kind: str) -> dict[str, str]:
    """Return the fields of a noun that its records have, by their keys."""
    return {key: field.name for key, field in FIELDS[kind].items() if key not in _LEFT_OUT}


def _record(noun: Any, names: Mapping[str, str]) -> dict[str, Any]:
    return {key: _plain(getattr(noun, name)) for key, name in names.items()}


def _membership(noun: Any, names: Mapping[str, str]) -> dict[str, Any]:
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
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, WorkspaceSettings):
        branding = {"logo": value.branding.logo, "primary_color": value.branding.primary_color}
        return {"branding": branding, "features": value.features}
    return value
