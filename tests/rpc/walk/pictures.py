"""What is the case, as values to compare: by the dictionaries, and by the rows of the database."""

import time
from typing import Any

from sqlalchemy import Connection, Table, select

from tests.oracle.plain_state import PlaceKey, place_of
from tests.oracle.tenancy_model import Tenancy
from wsauthz.store import tables
from wsauthz.store.database import Database

Picture = dict[str, dict[Any, tuple[Any, ...]]]
"""Kind -> key -> what is so."""


def of_model(model: Tenancy) -> Picture:
    """Return what should be so."""
    now = time.time()
    live = model.memberships
    return {
        "users": {
            key: (row["is_active"], row["email"], row["email_verified"], row["default_workspace_id"])
            for key, row in model.users.items()
        },
        "organizations": {key: (row["slug"], row["is_suspended"]) for key, row in model.organizations.items()},
        "workspaces": {key: _workspace(row) for key, row in model.workspaces.items()},
        "memberships": {
            key: (count, *(_membership(live[key]) if key in live else ("gone",))) for key, count in model.ever.items()
        },
        "invitations": {key: _invitation(row, now) for key, row in model.invitations.items()},
        "codes": dict(model.codes),
        "subscriptions": {key: (row["plan"], row["status"]) for key, row in model.subscriptions.items()},
        "module settings": {key: (settings,) for key, settings in model.module_settings.items()},
    }


def _workspace(row: dict[str, Any]) -> tuple[Any, ...]:
    names = ("organization_id", "parent_workspace_id", "owner_user_id", "name", "domain", "slug", "is_active")
    flags = ("is_suspended", "child_workspaces", "color", "schedule", "epoch")
    providers = None if row["providers"] is None else tuple(row["providers"])
    return (*(row[name] for name in (*names, *flags)), tuple(row["modules"]), providers)


def _membership(row: dict[str, Any]) -> tuple[Any, ...]:
    modules = None if row["modules"] is None else tuple(row["modules"])
    said = (row["role"], tuple(row["permissions"]), modules, row["is_active"], row["expires_at"])
    return (*said, row["is_derived"], row["added_by"])


def _invitation(row: dict[str, Any], now: float) -> tuple[Any, ...]:
    status = "dead" if row["status"] == "open" and row["expires_at"] <= now else row["status"]
    modules = None if row["modules"] is None else tuple(row["modules"])
    terms = (row["role"], modules, row["membership_expires_at"])
    return (row["workspace_id"], row["email"], *terms, row["invited_by"], status, row["accepted_by"])


# --- the database -----------------------------------------------------------------------------------------------------


class Stored:
    """The rows of a database at one moment."""

    def __init__(self, connection: Connection) -> None:
        def rows(table: Table) -> list[Any]:
            return list(connection.execute(select(table)).mappings())

        self.users = rows(tables.users)
        self.organizations = rows(tables.organizations)
        self.workspaces = rows(tables.workspaces)
        self.memberships = rows(tables.memberships)
        self.invitations = rows(tables.invitations)
        self.tokens = {row["invitation_id"] for row in rows(tables.invitation_tokens)}
        self.codes = rows(tables.invite_codes)
        self.subscriptions = rows(tables.subscriptions)
        self.module_settings = rows(tables.module_settings)
        revision = rows(tables.revision)[0]
        self.revision: int = revision["value"]
        digest = f".{revision['history'][:8]}" if revision["value"] else ""
        self.token = f"{revision['epoch']}.{revision['value']}{digest}"

    def live(self, kind: str) -> list[Any]:
        """Return the rows of a kind that are not deleted."""
        return [row for row in getattr(self, kind) if row["deleted_at"] is None]


def stored(database: Database) -> Stored:
    """Return the rows of a database."""
    with database.read() as connection:
        return Stored(connection)


def of_database(found: Stored) -> Picture:
    """Return what is so by the rows of the database, with the names of the dictionaries."""
    now = time.time()
    there = {row["id"] for row in found.live("workspaces")}
    live = {(place_of(row), row["user_id"]): row for row in found.live("memberships")}
    counts: dict[tuple[PlaceKey, str], int] = {}
    for row in found.memberships:
        key = (place_of(row), row["user_id"])
        counts[key] = counts.get(key, 0) + 1
    return {
        "users": {
            row["id"]: (row["is_active"], row["email"], row["email_verified"], row["default_workspace_id"])
            for row in found.users
        },
        "organizations": {row["id"]: (row["slug"], row["is_suspended"]) for row in found.live("organizations")},
        "workspaces": {row["id"]: _workspace(_plain(row)) for row in found.live("workspaces")},
        "memberships": {
            key: (count, *(_membership(_timed(live[key])) if key in live else ("gone",)))
            for key, count in counts.items()
        },
        "invitations": {row["id"]: _invitation(_status(row, found.tokens), now) for row in found.invitations},
        "codes": {
            row["workspace_id"]: (row["code"] if row["is_enabled"] else "", row["is_enabled"]) for row in found.codes
        },
        "subscriptions": {
            row["workspace_id"]: (row["plan"], int(row["status"]))
            for row in found.subscriptions
            if row["workspace_id"] in there
        },
        "module settings": {
            (row["workspace_id"], row["module"]): (row["settings"],)
            for row in found.module_settings
            if row["workspace_id"] in there
        },
    }


def _plain(row: Any) -> dict[str, Any]:
    settings = row["settings"]
    return {
        **row,
        "child_workspaces": settings.features.get("child_workspaces"),
        "color": settings.branding.primary_color,
        "providers": row["enabled_providers"],
        "epoch": row["analysis_epoch"],
    }


def _timed(row: Any) -> dict[str, Any]:
    times = {name: row[name] for name in ("expires_at", "membership_expires_at") if name in row}
    return {**row, **{name: None if time is None else time.timestamp() for name, time in times.items()}}


def _status(row: Any, tokens: set[str]) -> dict[str, Any]:
    """Say in one word what became of an invitation; one whose token is forgotten is as good as revoked."""
    status = "open" if row["revoked_at"] is None and row["id"] in tokens else "dead"
    return {
        **_timed(row),
        "status": "accepted" if row["accepted_at"] is not None else status,
    }


def differences(should: Picture, found: Picture) -> list[str]:
    """Return, in words, where two pictures differ."""
    return [
        f"{kind} {key}\n  should be {ones.get(key)}\n  is        {found[kind].get(key)}"
        for kind, ones in should.items()
        for key in ones.keys() | found[kind].keys()
        if ones.get(key) != found[kind].get(key)
    ]
