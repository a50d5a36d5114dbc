"""Queries about workspaces. Deleted ones are not found."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, select
from sqlalchemy import update as update_rows

from wsauthz.model.workspaces import Workspace
from wsauthz.store import rows
from wsauthz.store.tables import users, workspaces

_LIVE = workspaces.c.deleted_at.is_(None)


def add(connection: Connection, workspace: Workspace) -> None:
    """Store a new workspace.

    Raises:
        SlugTaken: a live one of the organization has the slug. IdTaken: there is, or was, one with the id.

    """
    rows.add(connection, workspaces, workspace)


def update(connection: Connection, workspace_id: str, values: Mapping[str, Any]) -> None:
    """Change fields of a workspace.

    Raises:
        SlugTaken: another live one of the organization has the slug.

    """
    rows.update(connection, workspaces, workspaces.c.id == workspace_id, values)


def delete(connection: Connection, workspace_ids: Iterable[str], *, now: datetime) -> None:
    """Mark workspaces as deleted, and clear what points to them as somebody's default."""
    for ids in rows.batches(workspace_ids):
        gone = {"deleted_at": now, "updated_at": now}
        connection.execute(update_rows(workspaces).where(workspaces.c.id.in_(ids), _LIVE).values(gone))
        cleared = {"default_workspace_id": None, "updated_at": now}
        rows.update_many(connection, users, users.c.default_workspace_id.in_(ids), cleared)


def pass_on(connection: Connection, workspace_id: str, *, owner: str, to: str, now: datetime) -> bool:
    """Make another user the primary owner; False: ``owner`` is not the primary owner any more."""
    its_owner = (workspaces.c.id == workspace_id) & (workspaces.c.owner_user_id == owner) & _LIVE
    passed = update_rows(workspaces).where(its_owner).values(owner_user_id=to, updated_at=now)
    return connection.execute(passed).rowcount == 1


def find(connection: Connection, workspace_id: str) -> Workspace | None:
    """Return the live workspace; None: there is none."""
    return rows.find(connection, Workspace, select(workspaces).where(workspaces.c.id == workspace_id, _LIVE))


def find_by_slug(connection: Connection, organization_id: str, slug: str) -> str | None:
    """Return the id of the organization's live workspace with the slug; None: there is none."""
    having = select(workspaces.c.id).where(
        workspaces.c.organization_id == organization_id, workspaces.c.slug == slug, _LIVE
    )
    return connection.execute(having).scalar_one_or_none()


def with_slug(connection: Connection, slug: str, organization_ids: Iterable[str]) -> list[str]:
    """Return the ids of the organizations' live workspaces with the slug."""
    return _with_slug(connection, slug, workspaces.c.organization_id, organization_ids)


def those_with_slug(connection: Connection, slug: str, workspace_ids: Iterable[str]) -> list[str]:
    """Return those of the ids that are of live workspaces with the slug."""
    return _with_slug(connection, slug, workspaces.c.id, workspace_ids)


def alone_with_slug(connection: Connection, slug: str, most: int) -> list[str]:
    """Return the ids of up to ``most`` live workspaces with the slug that are in no organization, by id."""
    having = select(workspaces.c.id).where(workspaces.c.organization_id.is_(None), workspaces.c.slug == slug, _LIVE)
    return list(connection.execute(having.order_by(workspaces.c.id).limit(most)).scalars())


def find_many(connection: Connection, workspace_ids: Iterable[str]) -> dict[str, Workspace]:
    """Return those of the workspaces that are live, by id."""
    found = rows.find_by_ids(connection, Workspace, workspaces, workspace_ids)
    return {workspace.id: workspace for workspace in found if workspace.deleted_at is None}


def slugs_like(connection: Connection, organization_id: str, slug: str) -> set[str]:
    """Return the slugs of the organization's live workspaces that are this one, or this one, ``-`` and something."""
    return rows.slugs_like(
        connection, workspaces.c.slug, slug, (workspaces.c.organization_id == organization_id) & _LIVE
    )


def every(connection: Connection) -> Iterator[Workspace]:
    """Yield all live workspaces, by id; streamed."""
    return rows.stream(connection, Workspace, select(workspaces).where(_LIVE).order_by(workspaces.c.id))


def _with_slug(connection: Connection, slug: str, column: Column[str], values: Iterable[str]) -> list[str]:
    found: list[str] = []
    for some in rows.batches(values):
        having = select(workspaces.c.id).where(column.in_(some), workspaces.c.slug == slug, _LIVE)
        found += connection.execute(having).scalars()
    return found
