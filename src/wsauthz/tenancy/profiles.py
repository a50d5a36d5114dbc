"""The actor's own profile, and which workspace a frontend should open."""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from wsauthz.model import texts
from wsauthz.model.errors import UserNotFound
from wsauthz.model.places import PLATFORM
from wsauthz.model.users import User
from wsauthz.store import entries as entry_rows
from wsauthz.store import users as user_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy.transaction import Reading, Transaction

_CURRENT_MOST: Final = 256
"""Characters of what a frontend remembers as its workspace."""


class WorkspaceSource(IntEnum):
    """Where a current workspace comes from. Numbers as in users.proto."""

    ROUTE = 1
    STORE = 2
    LOCAL_STORAGE = 3
    PROFILE = 4
    NONE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentWorkspace:
    """The workspace to open; ``workspace_id`` is empty if nothing names one."""

    workspace_id: str
    source: WorkspaceSource


def update(tx: Transaction, *, default_workspace_id: str | None) -> User:
    """Set the actor's default workspace, record the visit, and return the actor. Empty: cleared; None: unchanged.

    Raises:
        WorkspaceNotFound: there is no such workspace, or the actor may not view it. UserNotFound: the actor was never
        mirrored by the application.

    """
    if default_workspace_id:
        tx.require("workspace", "view", ("workspace", default_workspace_id))
    user = find(tx)
    return user if default_workspace_id is None else set_default(tx, user, default_workspace_id or None)


def set_default(tx: Transaction, user: User, workspace_id: str | None) -> User:
    """Make the workspace the user's default and return the user; None: none.

    The visit is recorded even if the workspace was the default already: ``plan_changed`` compares with it.
    """
    if workspace_id is not None:
        tx.afterwards(lambda connection: entry_rows.enter(connection, user.id, workspace_id, now=tx.now))
    if workspace_id == user.default_workspace_id:
        return user
    user_rows.update(tx.connection, user.id, {"default_workspace_id": workspace_id, "updated_at": tx.now})
    before, after = {"default_workspace_id": user.default_workspace_id}, {"default_workspace_id": workspace_id}
    tx.audit("user", user.id, PLATFORM, before=before, after=after)
    return replace(user, default_workspace_id=workspace_id, updated_at=tx.now)


def find(tx: Transaction) -> User:
    """Return the actor.

    Raises:
        UserNotFound: it was never mirrored by the application.

    """
    user = user_rows.find(tx.connection, tx.actor)
    if user is None:
        raise UserNotFound
    return user


def resolve(reading: Reading, *, route: str, store: str, local_storage: str) -> CurrentWorkspace:
    """Return the first workspace that is named by route, store, local storage and the actor's profile (REQ-105).

    Whether it is there and may be opened is for guards to say; only a default that was deleted is none.

    Raises:
        InvalidArgument: one of the texts is too long or holds a control character.

    """
    given = {
        WorkspaceSource.ROUTE: texts.line("route", route, _CURRENT_MOST),
        WorkspaceSource.STORE: texts.line("store", store, _CURRENT_MOST),
        WorkspaceSource.LOCAL_STORAGE: texts.line("local_storage", local_storage, _CURRENT_MOST),
    }
    for source, workspace_id in given.items():
        if workspace_id:
            return CurrentWorkspace(workspace_id=workspace_id, source=source)
    user = user_rows.find(reading.connection, reading.actor)
    default = user.default_workspace_id if user else None
    if default is None or workspace_rows.find(reading.connection, default) is None:
        return CurrentWorkspace(workspace_id="", source=WorkspaceSource.NONE)
    return CurrentWorkspace(workspace_id=default, source=WorkspaceSource.PROFILE)
