"""The database as the records of a state file (formats.md C): everything that an import takes, and no secret."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

from wsauthz.model.workspaces import WorkspaceSettings
from wsauthz.policy.state_fields import FIELDS
from wsauthz.store import bulk
from wsauthz.store import organizations as organization_rows
from wsauthz.store import users as user_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.store.database import Connection

_LEFT_OUT: Final = frozenset({"invite_code", "kind"})
"""A secret, and a user's kind: it goes by the name that both forms of a state file have for it, ``user_kind``."""
_PLACES: Final = ("workspace", "organization", "platform")


def export_state(connection: Connection) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every record as (kind, values by the keys of a state file), streamed, in an order that is always the same.

    Every key is there, so that importing the file restores every field of every record in it; of a membership's three
    places only the one that it is in. Deleted nouns, and invitations accepted or revoked, are left out. Values are
    what JSON can hold.
    """
    for kind, nouns in (
        ("user", user_rows.every(connection)),
        ("organization", organization_rows.every(connection)),
        ("workspace", workspace_rows.every(connection)),
        ("subscription", bulk.live_subscriptions(connection)),
        ("membership", bulk.memberships_by_place(connection)),
        ("invitation", bulk.open_invitations(connection)),
    ):
        names = {key: field.name for key, field in FIELDS[kind].items() if key not in _LEFT_OUT}
        for noun in nouns:
            yield kind, _membership(noun, names) if kind == "membership" else _record(noun, names)


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
