"""Queries about the settings of a workspace's modules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from wsauthz.store import rows
from wsauthz.store.tables import module_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSettings:
    """What one module is set to in one workspace; ``settings`` is what JSON can hold. Times are aware, UTC."""

    workspace_id: str
    module: str
    settings: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime


def find(connection: Connection, workspace_id: str, module: str) -> ModuleSettings | None:
    """Return the settings of the module in the workspace; None: nobody set any."""
    query = select(module_settings).where(_is(workspace_id, module))
    return rows.find(connection, ModuleSettings, query)


def of_workspaces(connection: Connection, workspace_ids: Iterable[str]) -> dict[tuple[str, str], ModuleSettings]:
    """Return all settings of the workspaces, by workspace and module."""
    found: dict[tuple[str, str], ModuleSettings] = {}
    for ids in rows.batches(workspace_ids):
        query = select(module_settings).where(module_settings.c.workspace_id.in_(ids))
        settings = rows.find_all(connection, ModuleSettings, query.order_by(module_settings.c.module))
        found.update({(each.workspace_id, each.module): each for each in settings})
    return found


def add(connection: Connection, settings: ModuleSettings) -> None:
    """Store the first settings of a module in a workspace."""
    rows.add(connection, module_settings, settings)


def put(connection: Connection, found: Iterable[ModuleSettings]) -> None:
    """Store settings of different modules or workspaces, each in place of those that are there."""
    for some in rows.batches(found):
        new = rows.put(connection, module_settings, [rows.values_of(settings) for settings in some])
        said = {"settings": new.excluded.settings, "updated_at": new.excluded.updated_at}
        keys = [module_settings.c.workspace_id, module_settings.c.module]
        connection.execute(new.on_conflict_do_update(index_elements=keys, set_=said))


def update(connection: Connection, workspace_id: str, module: str, values: Mapping[str, Any]) -> None:
    """Change fields of the settings of a module in a workspace."""
    rows.update(connection, module_settings, _is(workspace_id, module), values)


def _is(workspace_id: str, module: str) -> ColumnElement[bool]:
    return (module_settings.c.workspace_id == workspace_id) & (module_settings.c.module == module)
