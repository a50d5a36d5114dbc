"""What replicas are told: a noun's part that decisions depend on, in the shapes that ``Facts.apply`` takes.

The same shapes are kept in the table of changes and come out of a snapshot. A noun that is deleted says so.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wsauthz.model.memberships import Membership
from wsauthz.model.organizations import Organization
from wsauthz.model.subscriptions import Subscription
from wsauthz.model.users import User
from wsauthz.model.workspaces import CHILD_WORKSPACES, Workspace

Change = tuple[str, Mapping[str, Any]]
"""Kind and values."""


def user(noun: User) -> Change:
    """Return what a user is now."""
    return "user", {"id": noun.id, "is_active": noun.is_active}


def user_deleted(user_id: str) -> Change:
    """Return that a user is gone; its row is really deleted, so there is no noun left to say it."""
    return "user", {"id": user_id, "deleted": True}


def organization(noun: Organization) -> Change:
    """Return what an organization is now."""
    return "organization", {"id": noun.id, "is_suspended": noun.is_suspended, **_gone(noun.deleted_at)}


def workspace(noun: Workspace) -> Change:
    """Return what a workspace is now."""
    return "workspace", {
        "id": noun.id,
        "organization_id": noun.organization_id,
        "parent_workspace_id": noun.parent_workspace_id,
        "owner_user_id": noun.owner_user_id,
        "is_active": noun.is_active,
        "is_suspended": noun.is_suspended,
        "modules": list(noun.modules),
        "child_workspaces": noun.settings.features.get(CHILD_WORKSPACES),
        **_gone(noun.deleted_at),
    }


def analysis_reset(noun: Workspace) -> Change:
    """Return that what was derived from a workspace's name and domain is stale; no decision depends on it."""
    return "unrelated", {"workspace_id": noun.id, "analysis_epoch": noun.analysis_epoch}


def workspace_deleted(workspace_id: str, *, organization_id: str | None, parent_workspace_id: str | None) -> Change:
    """Return that a workspace is gone; where it was is enough to say, and thousands may go at once."""
    return "workspace", {
        "id": workspace_id,
        "organization_id": organization_id,
        "parent_workspace_id": parent_workspace_id,
        "deleted": True,
    }


def membership(noun: Membership) -> Change:
    """Return what a membership is now."""
    return "membership", {
        "workspace_id": noun.workspace_id,
        "organization_id": noun.organization_id,
        "user_id": noun.user_id,
        "role": noun.role,
        "permissions": list(noun.permissions),
        "modules": None if noun.modules is None else list(noun.modules),
        "is_active": noun.is_active,
        "expires_at": None if noun.expires_at is None else noun.expires_at.timestamp(),
        **_gone(noun.deleted_at),
    }


def subscription(noun: Subscription) -> Change:
    """Return what a subscription is now."""
    return "subscription", {"workspace_id": noun.workspace_id, "plan": noun.plan, "status": int(noun.status)}


def subscription_deleted(workspace_id: str) -> Change:
    """Return that a workspace has no subscription of its own any more."""
    return "subscription", {"workspace_id": workspace_id, "deleted": True}


def _gone(deleted_at: datetime | None) -> dict[str, bool]:
    return {} if deleted_at is None else {"deleted": True}
