"""Queries about invite codes: secrets that let anybody who knows them into a workspace."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from wsauthz.store import rows
from wsauthz.store.tables import invite_codes


def put(connection: Connection, workspace_id: str, code: str, *, is_enabled: bool, now: datetime) -> None:
    """Give the workspace a code in place of the one it had, if any, which is dead from now on.

    Raises:
        IdTaken: another workspace has the code.

    """
    values = {"code": code, "is_enabled": is_enabled, "updated_at": now}
    had = connection.execute(update(invite_codes).where(invite_codes.c.workspace_id == workspace_id).values(values))
    if had.rowcount == 0:
        connection.execute(insert(invite_codes).values(workspace_id=workspace_id, created_at=now, **values))


def find(connection: Connection, workspace_id: str) -> tuple[str, bool] | None:
    """Return the workspace's code and whether it may be used; None: it has none."""
    of_it = select(invite_codes.c.code, invite_codes.c.is_enabled).where(invite_codes.c.workspace_id == workspace_id)
    row = connection.execute(of_it).one_or_none()
    return None if row is None else (row.code, row.is_enabled)


def find_workspace(connection: Connection, code: str) -> str | None:
    """Return the id of the workspace that the code opens; None: no code, or one that is switched off."""
    usable = select(invite_codes.c.workspace_id).where(invite_codes.c.code == code, invite_codes.c.is_enabled)
    return connection.execute(usable).scalar_one_or_none()


def switched_off(connection: Connection, workspace_ids: Iterable[str]) -> set[str]:
    """Return those of the workspaces that nobody may join by code; one that never had a code is not among them."""
    found: set[str] = set()
    for ids in rows.batches(workspace_ids):
        off = select(invite_codes.c.workspace_id).where(
            invite_codes.c.workspace_id.in_(ids), invite_codes.c.is_enabled.is_(False)
        )
        found.update(connection.execute(off).scalars())
    return found


def switch(connection: Connection, workspace_ids: Iterable[str], *, is_enabled: bool) -> None:
    """Let people join the workspaces by code, or not; the codes stay."""
    for ids in rows.batches(workspace_ids):
        those = update(invite_codes).where(invite_codes.c.workspace_id.in_(ids))
        connection.execute(those.values(is_enabled=is_enabled))


def remove(connection: Connection, workspace_ids: Iterable[str]) -> None:
    """Delete the codes of the workspaces."""
    for ids in rows.batches(workspace_ids):
        connection.execute(delete(invite_codes).where(invite_codes.c.workspace_id.in_(ids)))
