"""The actor's own profile, and which workspace a frontend should open."""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from wsauthz.model import texts
from wsauthz.model.errors import UserNotFound
from wsauthz.model.places import PLATFORM
from wsauthz.model.users import User
from wsauthz.policy.facts import Facts
from wsauthz.policy.question import held
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import entries as entry_rows
from wsauthz.store import users as user_rows
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
    lost_default_workspace: bool = False
    """The actor has a default workspace, in which it holds no role any more: it is skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A user without the default workspace in which it holds no role any more."""

    user: User
    lost_default_workspace: bool


def profile(facts: Facts, rules: Ruleset, now: float, user: User) -> Profile:
    """Return what the user's profile shows; to be called where the facts cannot change. ``now``: Unix seconds."""
    if user.default_workspace_id is None:
        return Profile(user=user, lost_default_workspace=False)
    at = facts.places.get(("workspace", user.default_workspace_id))
    if at is not None and held(facts, rules, now, user.id, at, None):
        return Profile(user=user, lost_default_workspace=False)
    return Profile(user=replace(user, default_workspace_id=None), lost_default_workspace=at is not None)


def update(tx: Transaction, *, default_workspace_id: str | None) -> Profile:
    """Set the actor's default workspace, record the visit, and return its profile. Empty: cleared; None: unchanged.

    Raises:
        WorkspaceNotFound: there is no such workspace, or the actor may not view it. UserNotFound: the actor was never
        mirrored by the application.

    """
    if default_workspace_id:
        tx.require("workspace", "view", ("workspace", default_workspace_id))
    user = find(tx)
    if default_workspace_id is not None:
        user = set_default(tx, user, default_workspace_id or None)
    return profile(tx.facts, tx.rules, tx.now.timestamp(), user)


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

    Whether it is there and may be opened is for guards to say; only a default that was deleted, or in which the actor
    holds no role any more, is skipped.

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
    if user is None:
        return CurrentWorkspace(workspace_id="", source=WorkspaceSource.NONE)
    shown = reading.on_loop(lambda facts, rules, now: profile(facts, rules, now, user))
    default = shown.user.default_workspace_id
    if default is None:
        lost = shown.lost_default_workspace
        return CurrentWorkspace(workspace_id="", source=WorkspaceSource.NONE, lost_default_workspace=lost)
    return CurrentWorkspace(workspace_id=default, source=WorkspaceSource.PROFILE)
