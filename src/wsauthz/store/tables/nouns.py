"""The tables of the nouns: their columns are the fields, in the same order."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, PrimaryKeyConstraint, Table, Text, false, text

from wsauthz.model.subscriptions import SubscriptionStatus
from wsauthz.model.users import UserKind
from wsauthz.model.workspaces import WorkspaceSettings
from wsauthz.store.tables.columns import (
    flag,
    id_text,
    in_one_place,
    instant,
    maybe_id,
    metadata,
    organization_id,
    plain_text,
    workspace_id,
)
from wsauthz.store.types import JsonNoun, JsonTuple, Number, byte_text

_LIVE = text("deleted_at IS NULL")

users = Table(
    "users",
    metadata,
    id_text(),
    Column("kind", Number(UserKind), nullable=False),
    flag("is_active"),
    Column("email", byte_text(), nullable=True),
    flag("email_verified"),
    plain_text("name"),
    plain_text("image_url"),
    maybe_id("default_workspace_id"),
    instant("created_at"),
    instant("updated_at"),
    PrimaryKeyConstraint("id", name="user_id_taken"),
    Index("email_taken", "email", unique=True),
    # Deleting a workspace clears the pointers to it.
    Index("users_default_workspace_id", "default_workspace_id"),
)

organizations = Table(
    "organizations",
    metadata,
    id_text(),
    plain_text("name"),
    Column("slug", byte_text(), nullable=False),
    flag("is_suspended"),
    instant("created_at"),
    instant("updated_at"),
    instant("deleted_at", nullable=True),
    PrimaryKeyConstraint("id", name="organization_id_taken"),
    Index("organization_slug_taken", "slug", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
)

workspaces = Table(
    "workspaces",
    metadata,
    id_text(),
    organization_id(),
    Column("parent_workspace_id", byte_text(), ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=True),
    id_text("owner_user_id"),
    plain_text("name"),
    Column("slug", byte_text(), nullable=False),
    plain_text("domain"),
    plain_text("description"),
    plain_text("image_url"),
    plain_text("website"),
    plain_text("phone"),
    plain_text("social_x"),
    plain_text("social_facebook"),
    plain_text("social_linkedin"),
    plain_text("social_instagram"),
    plain_text("social_github"),
    plain_text("notes"),
    flag("is_active"),
    flag("is_suspended"),
    plain_text("suspended_reason"),
    instant("suspended_at", nullable=True),
    maybe_id("suspended_by"),
    Column("modules", JsonTuple, nullable=False),
    Column("settings", JsonNoun(WorkspaceSettings), nullable=False),
    Column("enabled_providers", JsonTuple, nullable=True),
    Column("schedule", Text, nullable=True),
    Column("analysis_epoch", BigInteger, nullable=False, server_default="0"),
    instant("created_at"),
    instant("updated_at"),
    instant("deleted_at", nullable=True),
    PrimaryKeyConstraint("id", name="workspace_id_taken"),
    # NULLs differ from each other: stand-alone workspaces may share a slug, else one tenant could probe for another's.
    Index("workspace_slug_taken", "organization_id", "slug", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
    Index("workspaces_organization_id", "organization_id", "id"),
    Index("workspaces_parent_workspace_id", "parent_workspace_id", "id"),
    Index("workspaces_owner_user_id", "owner_user_id", "id"),
)

_LIVE_IN_WORKSPACE = text("deleted_at IS NULL AND workspace_id IS NOT NULL")
_LIVE_IN_ORGANIZATION = text("deleted_at IS NULL AND organization_id IS NOT NULL")
_LIVE_AT_PLATFORM = text("deleted_at IS NULL AND workspace_id IS NULL AND organization_id IS NULL")

memberships = Table(
    "memberships",
    metadata,
    id_text(),
    workspace_id(nullable=True),
    organization_id(),
    id_text("user_id"),
    plain_text("role"),
    Column("permissions", JsonTuple, nullable=False),
    Column("modules", JsonTuple, nullable=True),
    flag("is_active"),
    instant("expires_at", nullable=True),
    instant("joined_at"),
    instant("created_at"),
    instant("updated_at"),
    instant("deleted_at", nullable=True),
    maybe_id("removed_by"),
    # The version before this column writes rows without it: they count as set by an administrator.
    Column("is_derived", Boolean, nullable=False, server_default=false()),
    maybe_id("added_by"),
    PrimaryKeyConstraint("id", name="membership_id_taken"),
    in_one_place("membership_in_one_place"),
    Index(
        "already_member_of_workspace",
        "workspace_id",
        "user_id",
        unique=True,
        sqlite_where=_LIVE_IN_WORKSPACE,
        postgresql_where=_LIVE_IN_WORKSPACE,
    ),
    Index(
        "already_member_of_organization",
        "organization_id",
        "user_id",
        unique=True,
        sqlite_where=_LIVE_IN_ORGANIZATION,
        postgresql_where=_LIVE_IN_ORGANIZATION,
    ),
    Index(
        "already_member_of_platform",
        "user_id",
        unique=True,
        sqlite_where=_LIVE_AT_PLATFORM,
        postgresql_where=_LIVE_AT_PLATFORM,
    ),
    Index("memberships_user_id", "user_id", "id"),
    # Whole columns, removed rows included: cascades and "was removed by another" look for those, too.
    Index("memberships_workspace_id", "workspace_id", "user_id"),
    Index("memberships_organization_id", "organization_id", "user_id"),
)

invitations = Table(
    "invitations",
    metadata,
    id_text(),
    workspace_id(),
    Column("email", byte_text(), nullable=False),
    plain_text("role"),
    Column("modules", JsonTuple, nullable=True),
    instant("membership_expires_at", nullable=True),
    id_text("invited_by"),
    instant("expires_at"),
    instant("accepted_at", nullable=True),
    maybe_id("accepted_by"),
    instant("revoked_at", nullable=True),
    instant("created_at"),
    instant("updated_at"),
    PrimaryKeyConstraint("id", name="invitation_id_taken"),
    Index("invitations_workspace_id_email", "workspace_id", "email"),
    Index("invitations_invited_by", "invited_by"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    workspace_id(),
    plain_text("plan"),
    plain_text("plan_type"),
    Column("status", Number(SubscriptionStatus), nullable=False),
    instant("plan_changed_at"),
    instant("created_at"),
    instant("updated_at"),
    PrimaryKeyConstraint("workspace_id", name="subscription_id_taken"),
)
