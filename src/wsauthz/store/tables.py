"""Every table, with what must hold in the database: uniqueness, places, cascades.

Columns have the names of the fields of the nouns in ``model``. Constraints are named after the error they become
(``store.refusals``). Ids of users are plain text without a foreign key wherever they occur: users come from elsewhere,
and what they did outlives them. Deleted rows stay, marked by ``deleted_at``; what is unique is unique among live ones.
Foreign keys cascade for the day such rows are really purged.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from wsauthz.model.subscriptions import SubscriptionStatus
from wsauthz.model.users import UserKind
from wsauthz.model.workspaces import WorkspaceSettings
from wsauthz.store.types import Instant, JsonNoun, JsonTuple, Number, byte_text

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(constraint_name)s",
    }
)

_LIVE = text("deleted_at IS NULL")


def _id(name: str = "id") -> Column[str]:
    return Column(name, byte_text(), nullable=False)


def _maybe_id(name: str) -> Column[str | None]:
    return Column(name, byte_text(), nullable=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=text("''"))


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _instant(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Instant, nullable=nullable)


def _workspace(*, nullable: bool = False) -> Column[Any]:
    return Column("workspace_id", byte_text(), ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=nullable)


def _organization(*, nullable: bool = True) -> Column[Any]:
    return Column("organization_id", byte_text(), ForeignKey("organizations.id", ondelete="CASCADE"), nullable=nullable)


def _one_place(name: str) -> CheckConstraint:
    return CheckConstraint("workspace_id IS NULL OR organization_id IS NULL", name=name)


users = Table(
    "users",
    metadata,
    _id(),
    Column("kind", Number(UserKind), nullable=False),
    _flag("is_active"),
    Column("email", byte_text(), nullable=True),
    _flag("email_verified"),
    _text("name"),
    _text("image_url"),
    _maybe_id("default_workspace_id"),
    _instant("created_at"),
    _instant("updated_at"),
    PrimaryKeyConstraint("id", name="user_id_taken"),
    Index("email_taken", "email", unique=True),
    # Deleting a workspace clears the pointers to it.
    Index("users_default_workspace_id", "default_workspace_id"),
)

organizations = Table(
    "organizations",
    metadata,
    _id(),
    _text("name"),
    Column("slug", byte_text(), nullable=False),
    _flag("is_suspended"),
    _instant("created_at"),
    _instant("updated_at"),
    _instant("deleted_at", nullable=True),
    PrimaryKeyConstraint("id", name="organization_id_taken"),
    Index("organization_slug_taken", "slug", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
)

workspaces = Table(
    "workspaces",
    metadata,
    _id(),
    _organization(),
    Column("parent_workspace_id", byte_text(), ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=True),
    _id("owner_user_id"),
    _text("name"),
    Column("slug", byte_text(), nullable=False),
    _text("domain"),
    _text("description"),
    _text("image_url"),
    _text("website"),
    _text("phone"),
    _text("social_x"),
    _text("social_facebook"),
    _text("social_linkedin"),
    _text("social_instagram"),
    _text("social_github"),
    _text("notes"),
    _flag("is_active"),
    _flag("is_suspended"),
    _text("suspended_reason"),
    _instant("suspended_at", nullable=True),
    _maybe_id("suspended_by"),
    Column("modules", JsonTuple, nullable=False),
    Column("settings", JsonNoun(WorkspaceSettings), nullable=False),
    Column("enabled_providers", JsonTuple, nullable=True),
    Column("schedule", Text, nullable=True),
    Column("analysis_epoch", BigInteger, nullable=False, server_default="0"),
    _instant("created_at"),
    _instant("updated_at"),
    _instant("deleted_at", nullable=True),
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
    _id(),
    _workspace(nullable=True),
    _organization(),
    _id("user_id"),
    _text("role"),
    Column("permissions", JsonTuple, nullable=False),
    Column("modules", JsonTuple, nullable=True),
    _flag("is_active"),
    _instant("expires_at", nullable=True),
    _instant("joined_at"),
    _instant("created_at"),
    _instant("updated_at"),
    _instant("deleted_at", nullable=True),
    _maybe_id("removed_by"),
    PrimaryKeyConstraint("id", name="membership_id_taken"),
    _one_place("membership_in_one_place"),
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
    _id(),
    _workspace(),
    Column("email", byte_text(), nullable=False),
    _text("role"),
    Column("modules", JsonTuple, nullable=True),
    _id("invited_by"),
    _instant("expires_at"),
    _instant("accepted_at", nullable=True),
    _maybe_id("accepted_by"),
    _instant("revoked_at", nullable=True),
    _instant("created_at"),
    _instant("updated_at"),
    PrimaryKeyConstraint("id", name="invitation_id_taken"),
    Index("invitations_workspace_id_email", "workspace_id", "email"),
    Index("invitations_invited_by", "invited_by"),
)

invitation_tokens = Table(
    "invitation_tokens",
    metadata,
    Column("invitation_id", byte_text(), ForeignKey("invitations.id", ondelete="CASCADE"), nullable=False),
    _id("token_hash"),
    PrimaryKeyConstraint("invitation_id"),
    Index("invitation_token_taken", "token_hash", unique=True),
)
"""SHA-256 of the secret, in hex, of each invitation whose token still counts."""

subscriptions = Table(
    "subscriptions",
    metadata,
    _workspace(),
    _text("plan"),
    _text("plan_type"),
    Column("status", Number(SubscriptionStatus), nullable=False),
    _instant("plan_changed_at"),
    _instant("created_at"),
    _instant("updated_at"),
    PrimaryKeyConstraint("workspace_id", name="subscription_id_taken"),
)

module_settings = Table(
    "module_settings",
    metadata,
    _workspace(),
    _id("module"),
    Column("settings", JSON, nullable=False),
    _instant("created_at"),
    _instant("updated_at"),
    PrimaryKeyConstraint("workspace_id", "module"),
)

invite_codes = Table(
    "invite_codes",
    metadata,
    _workspace(),
    _id("code"),
    _flag("is_enabled"),
    _instant("created_at"),
    _instant("updated_at"),
    PrimaryKeyConstraint("workspace_id"),
    Index("invite_code_taken", "code", unique=True),
)

entries = Table(
    "entries",
    metadata,
    _id("user_id"),
    _workspace(),
    _instant("entered_at"),
    _instant("previous_entered_at", nullable=True),
    PrimaryKeyConstraint("user_id", "workspace_id"),
    Index("entries_workspace_id", "workspace_id"),
)
"""When each user was last in a workspace, and the time before: outside of revisions and audit."""

custom_roles = Table(
    "custom_roles",
    metadata,
    _id(),
    _workspace(nullable=True),
    _organization(),
    _id("name"),
    _text("title"),
    Column("rank", Integer, nullable=False),
    Column("inherits", JsonTuple, nullable=False),
    _id("created_by"),
    _instant("created_at"),
    _instant("updated_at"),
    PrimaryKeyConstraint("id", name="role_id_taken"),
    _one_place("role_in_one_place"),
    Index("role_taken_in_workspace", "workspace_id", "name", unique=True),
    Index("role_taken_in_organization", "organization_id", "name", unique=True),
)
"""Roles a tenant made for itself; they hold in their place and below."""

custom_rules = Table(
    "custom_rules",
    metadata,
    _id(),
    _workspace(nullable=True),
    _organization(),
    _id("subject"),
    _id("resource"),
    _id("action"),
    _text("state"),
    _instant("expires_at", nullable=True),
    _id("created_by"),
    _instant("created_at"),
    PrimaryKeyConstraint("id", name="rule_id_taken"),
    _one_place("rule_in_one_place"),
    Index("rule_taken_in_workspace", "workspace_id", "subject", "resource", "action", "state", unique=True),
    Index("rule_taken_in_organization", "organization_id", "subject", "resource", "action", "state", unique=True),
    Index("custom_rules_subject", "subject"),
)
"""What a tenant allows: a role of its own, or one user on one resource. There are no denials among them."""

keys = Table(
    "keys",
    metadata,
    _id(),
    _text("name"),
    _id("hash"),
    Column("scopes", JsonTuple, nullable=False),
    _organization(),
    _instant("expires_at", nullable=True),
    _instant("revoked_at", nullable=True),
    _instant("created_at"),
    PrimaryKeyConstraint("id", name="key_id_taken"),
    Index("keys_organization_id", "organization_id"),
)
"""Keys of calling applications: SHA-256 of the secret, in hex, and what it may be used for."""

revision = Table(
    "revision",
    metadata,
    Column("id", Integer, nullable=False, autoincrement=False),
    Column("value", BigInteger, nullable=False),
    _id("epoch"),
    _id("secret"),
    Column("changes_pruned", BigInteger, nullable=False, server_default="0"),
    Column("audit_count", BigInteger, nullable=False, server_default="0"),
    _text("audit_head"),
    PrimaryKeyConstraint("id"),
    CheckConstraint("id = 1", name="revision_is_one_row"),
)
"""One row, whose lock every writing transaction holds: the order of revisions is the order of commits."""

changes = Table(
    "changes",
    metadata,
    Column("revision", BigInteger, nullable=False, autoincrement=False),
    Column("ordinal", Integer, nullable=False, autoincrement=False),
    _id("kind"),
    Column("values", JSON, nullable=False),
    # The clock of the process is good enough to tell what is a day old.
    Column("created_at", Instant, nullable=False, default=lambda: datetime.now(UTC)),
    PrimaryKeyConstraint("revision", "ordinal"),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("number", BigInteger, nullable=False, autoincrement=False),
    Column("revision", BigInteger, nullable=True),
    _instant("created_at"),
    _id("caller"),
    _id("actor"),
    _id("method"),
    _id("target_kind"),
    _id("target_id"),
    _id("place_kind"),
    _id("place_id"),
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    _text("refusal"),
    Column("attempts", Integer, nullable=False, server_default="1"),
    _text("request_id"),
    _text("mac"),
    PrimaryKeyConstraint("number"),
    Index("audit_entries_place", "place_kind", "place_id", "number"),
)

request_ids = Table(
    "request_ids",
    metadata,
    _id("caller"),
    _id("actor"),
    _id("method"),
    _id("request_id"),
    _id("body_hash"),
    Column("answer", LargeBinary, nullable=False),
    _instant("created_at"),
    PrimaryKeyConstraint("caller", "actor", "method", "request_id", name="request_id_taken"),
    Index("request_ids_created_at", "created_at"),
)
