"""State files written straight into the store, for servers that start on data.

Nothing of the product's own import is used, so what a server answers about the data is not tested with itself; the
import has tests of its own.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import insert

from tests.store.samples import add_many
from wsauthz.model.invitations import Invitation
from wsauthz.model.memberships import Membership
from wsauthz.model.organizations import Organization
from wsauthz.model.subscriptions import Subscription, SubscriptionStatus
from wsauthz.model.users import User, UserKind
from wsauthz.model.workspaces import Branding, Workspace, WorkspaceSettings
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.state_file import State, by_depth, read_state
from wsauthz.store import invite_codes, subscriptions, tables
from wsauthz.store.database import Connection, Database

_NOW: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_FAR: Final = datetime(2999, 1, 2, 3, 4, 5, tzinfo=UTC)
_TIMES: Final = {"created_at": _NOW, "updated_at": _NOW}
_TEXTS: Final = ("domain", "description", "image_url", "website", "phone", "notes", "suspended_reason")
_SITES: Final = ("x", "facebook", "linkedin", "instagram", "github")


def state_of(records: Mapping[str, Any]) -> State:
    """Return the state that plain lists and mappings describe, as a state file does (formats.md C)."""
    lines = [
        json.dumps({"kind": kind.removesuffix("s"), **_user_kind(kind, record)}, default=str)
        for kind, found in records.items()
        for record in found
    ]
    return read_state("\n".join(lines), "jsonl")  # YAML would take seconds for a thousand records


def _user_kind(kind: str, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the record with the kind of a user under the name that it has in JSON Lines."""
    return {"user_kind" if (kind, key) == ("users", "kind") else key: value for key, value in record.items()}


def token_of(invitation_id: str) -> str:
    """Return the token of a filled-in invitation."""
    return hashlib.sha256(invitation_id.encode()).hexdigest()


def fill(database_url: str, state: State, catalog: Catalog) -> None:
    """Write a state into an empty, migrated database."""
    database = Database(database_url)
    try:
        with database.write() as connection:
            _fill(connection, state, catalog)
    finally:
        database.close()


def _fill(connection: Connection, state: State, catalog: Catalog) -> None:
    found, of_workspaces = state.records, by_depth(state.records["workspace"])[0]
    add_many(connection, tables.organizations, (_organization(record.given) for record in found["organization"]))
    add_many(connection, tables.workspaces, _workspaces([record.given for record in of_workspaces], catalog))
    for record in of_workspaces:
        if "invite_code" in record.given:
            invite_codes.put(connection, record.given["id"], record.given["invite_code"], is_enabled=True, now=_NOW)
    add_many(connection, tables.users, (_user(record.given) for record in found["user"]))
    given = enumerate(record.given for record in found["membership"])
    add_many(connection, tables.memberships, (_membership(number, values) for number, values in given))
    for record in found["subscription"]:
        usual = {"plan_type": catalog.plans[record.given["plan"]].type, "status": SubscriptionStatus.ACTIVE}
        subscriptions.add(connection, Subscription(**{**usual, "plan_changed_at": _NOW, **record.given, **_TIMES}))
    sent = [_invitation(record.given, catalog) for record in found["invitation"]]
    add_many(connection, tables.invitations, sent)
    hashes = [
        {"invitation_id": each.id, "token_hash": hashlib.sha256(token_of(each.id).encode()).hexdigest()}
        for each in sent
    ]
    if hashes:
        connection.execute(insert(tables.invitation_tokens), hashes)


def _organization(given: Mapping[str, Any]) -> Organization:
    usual: dict[str, Any] = {"name": given["id"], "slug": given["id"], "is_suspended": False}
    return Organization(**{**usual, **given, **_TIMES, "deleted_at": None})


def _user(given: Mapping[str, Any]) -> User:
    usual: dict[str, Any] = {"kind": UserKind.HUMAN, "is_active": True, "email": None, "email_verified": False}
    return User(**{**usual, "name": "", "image_url": "", "default_workspace_id": None, **given, **_TIMES})


def _membership(number: int, given: Mapping[str, Any]) -> Membership:
    usual = {"permissions": (), "modules": None, "is_active": True, "expires_at": None, "joined_at": _NOW}
    return Membership(**{"id": f"member_{number}", **usual, **given, **_TIMES, "deleted_at": None})


def _invitation(given: Mapping[str, Any], catalog: Catalog) -> Invitation:
    usual = {"role": catalog.default_workspace_role, "modules": None, "invited_by": "nobody", "expires_at": _FAR}
    unset: dict[str, Any] = dict.fromkeys(("accepted_at", "accepted_by", "revoked_at"))
    return Invitation(**{**usual, **unset, **given, **_TIMES})


def _workspaces(given: Sequence[Mapping[str, Any]], catalog: Catalog) -> Iterator[Workspace]:
    """Yield workspaces, parents first; a child is in the organization of its parent, as everywhere."""
    organizations: dict[str | None, str | None] = {}
    for values in given:
        above = organizations.get(values.get("parent_workspace_id"), values.get("organization_id"))
        organizations[values["id"]] = above
        yield _workspace({**values, "organization_id": above}, catalog)


def _workspace(given: Mapping[str, Any], catalog: Catalog) -> Workspace:
    usual = {
        "organization_id": None,
        "parent_workspace_id": None,
        "owner_user_id": "nobody",
        "name": given["id"],
        "slug": given["id"],
        **dict.fromkeys(_TEXTS, ""),
        **{f"social_{site}": "" for site in _SITES},
        "is_active": True,
        "is_suspended": False,
        "suspended_at": None,
        "suspended_by": None,
        "modules": tuple(catalog.modules),
        "enabled_providers": None,
        "schedule": None,
        "analysis_epoch": 0,
    }
    given = {name: value for name, value in given.items() if name != "invite_code"}
    settings = given.get("settings", {})
    both = WorkspaceSettings(
        branding=Branding(**settings.get("branding", {})), features=dict(settings.get("features", {}))
    )
    return Workspace(**{**usual, **given, "settings": both, **_TIMES, "deleted_at": None})
