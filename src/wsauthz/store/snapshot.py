"""Everything that decisions depend on, as one state of the database, in an order in which ``Facts.apply`` takes it."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Integer, Select, Text, cast, literal, select, type_coerce

from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.model.workspaces import CHILD_WORKSPACES
from wsauthz.store.tables import memberships, organizations, subscriptions, users, workspaces

_BATCH: Final = 5000


def load(connection: Connection) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every live organization, workspace (parents before children), subscription, user and membership.

    Kinds and values are those of ``store.changes``. Rows are streamed, some thousands at a time. What hangs on a
    deleted place is left out.
    """
    places: set[PlaceKey] = {PLATFORM}
    for values in _organizations(connection):
        places.add(("organization", values["id"]))
        yield "organization", values
    ids: dict[str, str] = {}  # each user's id once in memory, however many rows name it
    for values in _workspaces(connection):
        values["owner_user_id"] = ids.setdefault(values["owner_user_id"], values["owner_user_id"])
        places.add(("workspace", values["id"]))
        yield "workspace", values
    for values in _subscriptions(connection):
        if ("workspace", values["workspace_id"]) in places:
            yield "subscription", values
    # In their order, because that is how the facts keep them: putting each at its place would take three times as long.
    for id_, is_active in _stream(connection, select(users.c.id, users.c.is_active).order_by(users.c.id)):
        yield "user", {"id": ids.setdefault(id_, id_), "is_active": is_active}
    for place, values in _memberships(connection):
        if place in places:
            values["user_id"] = ids.setdefault(values["user_id"], values["user_id"])
            yield "membership", values


def _organizations(connection: Connection) -> Iterator[dict[str, Any]]:
    live = select(organizations.c.id, organizations.c.is_suspended).where(organizations.c.deleted_at.is_(None))
    for id_, is_suspended in _stream(connection, live):
        yield {"id": id_, "is_suspended": is_suspended}


def _workspaces(connection: Connection) -> Iterator[dict[str, Any]]:
    table, above = workspaces, organizations
    roots = (
        select(table.c.id, literal(1).label("depth"))
        .outerjoin(above, above.c.id == table.c.organization_id)
        .where(table.c.parent_workspace_id.is_(None), table.c.deleted_at.is_(None), above.c.deleted_at.is_(None))
    )
    tree = roots.cte("tree", recursive=True)
    tree = tree.union_all(
        select(table.c.id, tree.c.depth + 1)
        .join(tree, table.c.parent_workspace_id == tree.c.id)
        .where(table.c.deleted_at.is_(None))
    )
    query = select(
        table.c.id,
        table.c.organization_id,
        table.c.parent_workspace_id,
        table.c.owner_user_id,
        table.c.is_active,
        table.c.is_suspended,
        cast(table.c.modules, Text),
        table.c.settings,
    )
    for row in _stream(connection, query.join(tree, tree.c.id == table.c.id).order_by(tree.c.depth)):
        id_, organization_id, parent_workspace_id, owner_user_id, is_active, is_suspended, modules, settings = row
        yield {
            "id": id_,
            "organization_id": organization_id,
            "parent_workspace_id": parent_workspace_id,
            "owner_user_id": owner_user_id,
            "is_active": is_active,
            "is_suspended": is_suspended,
            "modules": _list(modules),
            "child_workspaces": settings.features.get(CHILD_WORKSPACES),
        }


def _subscriptions(connection: Connection) -> Iterator[dict[str, Any]]:
    every = select(subscriptions.c.workspace_id, subscriptions.c.plan, subscriptions.c.status)
    for workspace_id, plan, status in _stream(connection, every):
        yield {"workspace_id": workspace_id, "plan": plan, "status": int(status)}


def _memberships(connection: Connection) -> Iterator[tuple[PlaceKey, dict[str, Any]]]:
    table = memberships
    live = select(
        table.c.workspace_id,
        table.c.organization_id,
        table.c.user_id,
        table.c.role,
        cast(table.c.permissions, Text),
        cast(table.c.modules, Text),
        # As the driver gives them: converting what a million rows hardly ever have takes a tenth of a load.
        type_coerce(table.c.is_active, Integer),
        type_coerce(table.c.expires_at, Text),
    ).where(table.c.deleted_at.is_(None))
    for workspace_id, organization_id, user_id, role, permissions, modules, is_active, expires_at in _stream(
        connection, live
    ):
        place = PLATFORM
        if workspace_id is not None:
            place = ("workspace", workspace_id)
        elif organization_id is not None:
            place = ("organization", organization_id)
        yield (
            place,
            {
                "workspace_id": workspace_id,
                "organization_id": organization_id,
                "user_id": user_id,
                "role": role,
                "permissions": _list(permissions),
                "modules": None if modules is None else _list(modules),
                "is_active": bool(is_active),
                "expires_at": None if expires_at is None else _seconds(expires_at),
            },
        )


def _stream(connection: Connection, query: Select[Any]) -> Iterator[Any]:
    with connection.execute(query, execution_options={"yield_per": _BATCH}) as result:
        for some in result.partitions():  # row by row costs half as much again
            yield from some


def _seconds(moment: datetime | str) -> float:
    """Return a time in Unix seconds; SQLite's driver gives the text that ``types.Instant`` stores."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    return moment.timestamp()


@lru_cache(maxsize=4096)
def _list(text: str) -> list[str]:
    """Return the list a JSON text stands for; a million memberships have a handful of different ones."""
    values: list[str] = json.loads(text)
    return values
