"""Nouns to store, complete but for what a test is about, and many of them stored at once."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, insert

from wsauthz.model.invitations import Invitation
from wsauthz.model.memberships import Membership
from wsauthz.model.organizations import Organization
from wsauthz.model.subscriptions import Subscription, SubscriptionStatus
from wsauthz.model.users import User, UserKind
from wsauthz.model.workspaces import Workspace, WorkspaceSettings
from wsauthz.store import rows

NOW = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
_TIMES = {"created_at": NOW, "updated_at": NOW}


def add_many(connection: Connection, table: Table, nouns: Iterable[Any]) -> None:
    """Store nouns, many to a statement."""
    for some in rows.batches(nouns):
        connection.execute(insert(table), [rows.values_of(noun) for noun in some])


def user(id_: str, **values: Any) -> User:
    blank: dict[str, Any] = {
        "kind": UserKind.HUMAN,
        "is_active": True,
        "email": None,
        "email_verified": False,
        "name": "",
        "image_url": "",
        "default_workspace_id": None,
    }
    return User(id=id_, **{**blank, **_TIMES, **values})


def organization(id_: str, **values: Any) -> Organization:
    blank: dict[str, Any] = {"name": id_, "slug": id_, "is_suspended": False, "deleted_at": None}
    return Organization(id=id_, **{**blank, **_TIMES, **values})


def workspace(id_: str, **values: Any) -> Workspace:
    texts = (
        "domain description image_url website phone social_x social_facebook social_linkedin social_instagram "
        "social_github notes suspended_reason"
    )
    blank: dict[str, Any] = {
        **dict.fromkeys(texts.split(), ""),
        "organization_id": None,
        "parent_workspace_id": None,
        "owner_user_id": "ann",
        "name": id_,
        "slug": id_,
        "is_active": True,
        "is_suspended": False,
        "suspended_at": None,
        "suspended_by": None,
        "modules": (),
        "settings": WorkspaceSettings(),
        "enabled_providers": None,
        "schedule": None,
        "analysis_epoch": 0,
        "deleted_at": None,
    }
    return Workspace(id=id_, **{**blank, **_TIMES, **values})


def membership(id_: str, user_id: str, **values: Any) -> Membership:
    blank: dict[str, Any] = {
        "workspace_id": None,
        "organization_id": None,
        "role": "member",
        "permissions": (),
        "modules": None,
        "is_active": True,
        "expires_at": None,
        "joined_at": NOW,
        "deleted_at": None,
    }
    return Membership(id=id_, user_id=user_id, **{**blank, **_TIMES, **values})


def invitation(id_: str, workspace_id: str, **values: Any) -> Invitation:
    blank: dict[str, Any] = {
        "email": "bob@example.com",
        "role": "member",
        "modules": None,
        "invited_by": "ann",
        "expires_at": NOW.replace(year=2027),
        "accepted_at": None,
        "accepted_by": None,
        "revoked_at": None,
    }
    return Invitation(id=id_, workspace_id=workspace_id, **{**blank, **_TIMES, **values})


def subscription(workspace_id: str, **values: Any) -> Subscription:
    blank: dict[str, Any] = {
        "plan": "professional",
        "plan_type": "paid",
        "status": SubscriptionStatus.ACTIVE,
        "plan_changed_at": NOW,
    }
    return Subscription(workspace_id=workspace_id, **{**blank, **_TIMES, **values})
