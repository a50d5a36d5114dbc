"""What belongs to nouns and has no field there: secrets, settings, what a tenant defines, visits, versions of users."""

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, PrimaryKeyConstraint, Table

from wsauthz.store.tables.columns import (
    flag,
    id_text,
    in_one_place,
    instant,
    metadata,
    organization_id,
    plain_text,
    workspace_id,
)
from wsauthz.store.types import JsonTuple, byte_text

invitation_tokens = Table(
    "invitation_tokens",
    metadata,
    Column("invitation_id", byte_text(), ForeignKey("invitations.id", ondelete="CASCADE"), nullable=False),
    id_text("token_hash"),
    PrimaryKeyConstraint("invitation_id"),
    Index("invitation_token_taken", "token_hash", unique=True),
)
"""SHA-256 of the secret, in hex, of each invitation whose token still counts."""

invite_codes = Table(
    "invite_codes",
    metadata,
    workspace_id(),
    id_text("code"),
    flag("is_enabled"),
    instant("created_at"),
    instant("updated_at"),
    PrimaryKeyConstraint("workspace_id"),
    Index("invite_code_taken", "code", unique=True),
)

keys = Table(
    "keys",
    metadata,
    id_text(),
    plain_text("name"),
    id_text("hash"),
    Column("scopes", JsonTuple, nullable=False),
    organization_id(),
    instant("expires_at", nullable=True),
    instant("revoked_at", nullable=True),
    instant("created_at"),
    PrimaryKeyConstraint("id", name="key_id_taken"),
    Index("keys_organization_id", "organization_id"),
)
"""Keys of calling applications: SHA-256 of the secret, in hex, and what it may be used for."""

module_settings = Table(
    "module_settings",
    metadata,
    workspace_id(),
    id_text("module"),
    Column("settings", JSON, nullable=False),
    instant("created_at"),
    instant("updated_at"),
    PrimaryKeyConstraint("workspace_id", "module"),
)

entries = Table(
    "entries",
    metadata,
    id_text("user_id"),
    workspace_id(),
    instant("entered_at"),
    instant("previous_entered_at", nullable=True),
    PrimaryKeyConstraint("user_id", "workspace_id"),
    Index("entries_workspace_id", "workspace_id"),
)
"""When each user was last in a workspace, and the time before: outside of revisions and audit."""

user_versions = Table(
    "user_versions",
    metadata,
    id_text("user_id"),
    Column("source_version", BigInteger, nullable=False),
    PrimaryKeyConstraint("user_id"),
)
"""The latest source_version of each user that has one; it outlives the user's row."""

custom_roles = Table(
    "custom_roles",
    metadata,
    id_text(),
    workspace_id(nullable=True),
    organization_id(),
    id_text("name"),
    plain_text("title"),
    Column("rank", Integer, nullable=False),
    Column("inherits", JsonTuple, nullable=False),
    id_text("created_by"),
    instant("created_at"),
    instant("updated_at"),
    PrimaryKeyConstraint("id", name="role_id_taken"),
    in_one_place("role_in_one_place"),
    Index("role_taken_in_workspace", "workspace_id", "name", unique=True),
    Index("role_taken_in_organization", "organization_id", "name", unique=True),
)
"""Roles a tenant made for itself; they hold in their place and below."""

custom_rules = Table(
    "custom_rules",
    metadata,
    id_text(),
    workspace_id(nullable=True),
    organization_id(),
    id_text("subject"),
    id_text("resource"),
    id_text("action"),
    plain_text("state"),
    instant("expires_at", nullable=True),
    id_text("created_by"),
    instant("created_at"),
    PrimaryKeyConstraint("id", name="rule_id_taken"),
    in_one_place("rule_in_one_place"),
    Index("rule_taken_in_workspace", "workspace_id", "subject", "resource", "action", "state", unique=True),
    Index("rule_taken_in_organization", "organization_id", "subject", "resource", "action", "state", unique=True),
    Index("custom_rules_subject", "subject"),
)
"""What a tenant allows: a role of its own, or one user on one resource. There are no denials among them."""
