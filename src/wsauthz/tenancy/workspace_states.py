"""Suspending, reinstating, activating and deactivating workspaces: their own flags, and nothing of what is below."""

from collections.abc import Mapping
from typing import Any

from wsauthz.model import texts
from wsauthz.model.workspaces import Workspace
from wsauthz.tenancy.transaction import Transaction
from wsauthz.tenancy.workspaces import change, live


def suspend(tx: Transaction, *, workspace_id: str, reason: str = "") -> Workspace:
    """Suspend the workspace and return it; repeating it changes nothing, the reason neither.

    Raises:
        WorkspaceNotFound: there is none. InvalidArgument: the reason is too long.

    """
    why = texts.prose("reason", reason, texts.REASON_MOST)
    workspace = live(tx, workspace_id)
    if workspace.is_suspended:
        return workspace
    values = {"suspended_reason": why, "suspended_at": tx.now, "suspended_by": tx.actor}
    return _set(tx, workspace, {"is_suspended": True}, values)


def reinstate(tx: Transaction, *, workspace_id: str) -> Workspace:
    """Lift the workspace's own suspension and return it; repeating it changes nothing.

    Raises:
        WorkspaceNotFound: there is none.

    """
    workspace = live(tx, workspace_id)
    if not workspace.is_suspended:
        return workspace
    values = {"suspended_reason": "", "suspended_at": None, "suspended_by": None}
    return _set(tx, workspace, {"is_suspended": False}, values)


def activate(tx: Transaction, *, workspace_id: str) -> Workspace:
    """Make the workspace active and return it; repeating it changes nothing.

    Raises:
        WorkspaceNotFound: there is none.

    """
    workspace = live(tx, workspace_id)
    return workspace if workspace.is_active else _set(tx, workspace, {"is_active": True})


def deactivate(tx: Transaction, *, workspace_id: str) -> Workspace:
    """Make the workspace inactive and return it; repeating it changes nothing.

    Raises:
        WorkspaceNotFound: there is none.

    """
    workspace = live(tx, workspace_id)
    return _set(tx, workspace, {"is_active": False}) if workspace.is_active else workspace


def _set(
    tx: Transaction, workspace: Workspace, flags: Mapping[str, bool], values: Mapping[str, Any] | None = None
) -> Workspace:
    before = {flag: not value for flag, value in flags.items()}
    return change(tx, workspace, {**flags, **(values or {})}, before=before, after=flags)
