"""Every table there is in the first version.

Frozen: it says what was, and imports nothing that may change.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LIVE = "deleted_at IS NULL"
ONE_PLACE = "workspace_id IS NULL OR organization_id IS NULL"


def upgrade() -> None:
    """Make all tables, and the revision row with what tells this database from every other one."""
    _nouns()
    _memberships()
    _invitations()
    _of_workspaces()
    _of_tenants()
    _bookkeeping()
    op.execute(
        sa.table("revision", *(sa.column(name) for name in ("id", "value", "epoch", "secret")))
        .insert()
        .values(id=1, value=0, epoch=secrets.token_hex(6), secret=secrets.token_hex(32))
    )


def _nouns() -> None:
    op.create_table(
        "users",
        _id(),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        _flag("is_active"),
        _maybe_id("email"),
        _flag("email_verified"),
        _text("name"),
        _text("image_url"),
        _maybe_id("default_workspace_id"),
        _instant("created_at"),
        _instant("updated_at"),
        sa.PrimaryKeyConstraint("id", name="user_id_taken"),
    )
    op.create_index("email_taken", "users", ["email"], unique=True)
    op.create_index("users_default_workspace_id", "users", ["default_workspace_id"])
    op.create_table(
        "organizations",
        _id(),
        _text("name"),
        _id("slug"),
        _flag("is_suspended"),
        _instant("created_at"),
        _instant("updated_at"),
        _maybe_instant("deleted_at"),
        sa.PrimaryKeyConstraint("id", name="organization_id_taken"),
    )
    _unique("organization_slug_taken", "organizations", ["slug"], LIVE)
    op.create_table(
        "workspaces",
        _id(),
        _maybe_id("organization_id"),
        _maybe_id("parent_workspace_id"),
        _id("owner_user_id"),
        _text("name"),
        _id("slug"),
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
        _maybe_instant("suspended_at"),
        _maybe_id("suspended_by"),
        _json("modules"),
        _json("settings"),
        _json("enabled_providers", nullable=True),
        sa.Column("schedule", sa.Text(), nullable=True),
        sa.Column("analysis_epoch", sa.BigInteger(), nullable=False, server_default="0"),
        _instant("created_at"),
        _instant("updated_at"),
        _maybe_instant("deleted_at"),
        sa.PrimaryKeyConstraint("id", name="workspace_id_taken"),
        _reference("workspaces", "organization_id", "organizations"),
        _reference("workspaces", "parent_workspace_id", "workspaces"),
    )
    _unique("workspace_slug_taken", "workspaces", ["organization_id", "slug"], LIVE)
    op.create_index("workspaces_organization_id", "workspaces", ["organization_id", "id"])
    op.create_index("workspaces_parent_workspace_id", "workspaces", ["parent_workspace_id", "id"])
    op.create_index("workspaces_owner_user_id", "workspaces", ["owner_user_id", "id"])


def _memberships() -> None:
    op.create_table(
        "memberships",
        _id(),
        _maybe_id("workspace_id"),
        _maybe_id("organization_id"),
        _id("user_id"),
        _text("role"),
        _json("permissions"),
        _json("modules", nullable=True),
        _flag("is_active"),
        _maybe_instant("expires_at"),
        _instant("joined_at"),
        _instant("created_at"),
        _instant("updated_at"),
        _maybe_instant("deleted_at"),
        _maybe_id("removed_by"),
        sa.PrimaryKeyConstraint("id", name="membership_id_taken"),
        _reference("memberships", "workspace_id", "workspaces"),
        _reference("memberships", "organization_id", "organizations"),
        sa.CheckConstraint(ONE_PLACE, name="membership_in_one_place"),
    )
    _unique(
        "already_member_of_workspace",
        "memberships",
        ["workspace_id", "user_id"],
        f"{LIVE} AND workspace_id IS NOT NULL",
    )
    _unique(
        "already_member_of_organization",
        "memberships",
        ["organization_id", "user_id"],
        f"{LIVE} AND organization_id IS NOT NULL",
    )
    _unique(
        "already_member_of_platform",
        "memberships",
        ["user_id"],
        f"{LIVE} AND workspace_id IS NULL AND organization_id IS NULL",
    )
    op.create_index("memberships_user_id", "memberships", ["user_id", "id"])
    op.create_index("memberships_workspace_id", "memberships", ["workspace_id", "user_id"])
    op.create_index("memberships_organization_id", "memberships", ["organization_id", "user_id"])


def _invitations() -> None:
    op.create_table(
        "invitations",
        _id(),
        _id("workspace_id"),
        _id("email"),
        _text("role"),
        _json("modules", nullable=True),
        _id("invited_by"),
        _instant("expires_at"),
        _maybe_instant("accepted_at"),
        _maybe_id("accepted_by"),
        _maybe_instant("revoked_at"),
        _instant("created_at"),
        _instant("updated_at"),
        sa.PrimaryKeyConstraint("id", name="invitation_id_taken"),
        _reference("invitations", "workspace_id", "workspaces"),
    )
    op.create_index("invitations_workspace_id_email", "invitations", ["workspace_id", "email"])
    op.create_index("invitations_invited_by", "invitations", ["invited_by"])
    op.create_table(
        "invitation_tokens",
        _id("invitation_id"),
        _id("token_hash"),
        sa.PrimaryKeyConstraint("invitation_id", name="invitation_tokens_pkey"),
        _reference("invitation_tokens", "invitation_id", "invitations"),
    )
    op.create_index("invitation_token_taken", "invitation_tokens", ["token_hash"], unique=True)
    op.create_table(
        "invite_codes",
        _id("workspace_id"),
        _id("code"),
        _flag("is_enabled"),
        _instant("created_at"),
        _instant("updated_at"),
        sa.PrimaryKeyConstraint("workspace_id", name="invite_codes_pkey"),
        _reference("invite_codes", "workspace_id", "workspaces"),
    )
    op.create_index("invite_code_taken", "invite_codes", ["code"], unique=True)


def _of_workspaces() -> None:
    op.create_table(
        "subscriptions",
        _id("workspace_id"),
        _text("plan"),
        _text("plan_type"),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        _instant("plan_changed_at"),
        _instant("created_at"),
        _instant("updated_at"),
        sa.PrimaryKeyConstraint("workspace_id", name="subscription_id_taken"),
        _reference("subscriptions", "workspace_id", "workspaces"),
    )
    op.create_table(
        "module_settings",
        _id("workspace_id"),
        _id("module"),
        _json("settings"),
        _instant("created_at"),
        _instant("updated_at"),
        sa.PrimaryKeyConstraint("workspace_id", "module", name="module_settings_pkey"),
        _reference("module_settings", "workspace_id", "workspaces"),
    )
    op.create_table(
        "entries",
        _id("user_id"),
        _id("workspace_id"),
        _instant("entered_at"),
        _maybe_instant("previous_entered_at"),
        sa.PrimaryKeyConstraint("user_id", "workspace_id", name="entries_pkey"),
        _reference("entries", "workspace_id", "workspaces"),
    )
    op.create_index("entries_workspace_id", "entries", ["workspace_id"])


def _of_tenants() -> None:
    op.create_table(
        "custom_roles",
        _id(),
        _maybe_id("workspace_id"),
        _maybe_id("organization_id"),
        _id("name"),
        _text("title"),
        sa.Column("rank", sa.Integer(), nullable=False),
        _json("inherits"),
        _id("created_by"),
        _instant("created_at"),
        _instant("updated_at"),
        sa.PrimaryKeyConstraint("id", name="role_id_taken"),
        _reference("custom_roles", "workspace_id", "workspaces"),
        _reference("custom_roles", "organization_id", "organizations"),
        sa.CheckConstraint(ONE_PLACE, name="role_in_one_place"),
    )
    op.create_table(
        "custom_rules",
        _id(),
        _maybe_id("workspace_id"),
        _maybe_id("organization_id"),
        _id("subject"),
        _id("resource"),
        _id("action"),
        _text("state"),
        _maybe_instant("expires_at"),
        _id("created_by"),
        _instant("created_at"),
        sa.PrimaryKeyConstraint("id", name="rule_id_taken"),
        _reference("custom_rules", "workspace_id", "workspaces"),
        _reference("custom_rules", "organization_id", "organizations"),
        sa.CheckConstraint(ONE_PLACE, name="rule_in_one_place"),
    )
    for place in ("workspace", "organization"):
        op.create_index(f"role_taken_in_{place}", "custom_roles", [f"{place}_id", "name"], unique=True)
        columns = [f"{place}_id", "subject", "resource", "action", "state"]
        op.create_index(f"rule_taken_in_{place}", "custom_rules", columns, unique=True)
    op.create_index("custom_rules_subject", "custom_rules", ["subject"])
    op.create_table(
        "keys",
        _id(),
        _text("name"),
        _id("hash"),
        _json("scopes"),
        _maybe_id("organization_id"),
        _maybe_instant("expires_at"),
        _maybe_instant("revoked_at"),
        _instant("created_at"),
        sa.PrimaryKeyConstraint("id", name="key_id_taken"),
        _reference("keys", "organization_id", "organizations"),
    )
    op.create_index("keys_organization_id", "keys", ["organization_id"])


def _bookkeeping() -> None:
    op.create_table(
        "revision",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        _id("epoch"),
        _id("secret"),
        sa.Column("changes_pruned", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("audit_count", sa.BigInteger(), nullable=False, server_default="0"),
        _text("audit_head"),
        sa.PrimaryKeyConstraint("id", name="revision_pkey"),
        sa.CheckConstraint("id = 1", name="revision_is_one_row"),
    )
    op.create_table(
        "changes",
        sa.Column("revision", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("ordinal", sa.Integer(), nullable=False, autoincrement=False),
        _id("kind"),
        _json("values"),
        _instant("created_at"),
        sa.PrimaryKeyConstraint("revision", "ordinal", name="changes_pkey"),
    )
    op.create_table(
        "audit_entries",
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        _instant("created_at"),
        _id("caller"),
        _id("actor"),
        _id("method"),
        _id("target_kind"),
        _id("target_id"),
        _id("place_kind"),
        _id("place_id"),
        _json("before"),
        _json("after"),
        _text("refusal"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="1"),
        _text("request_id"),
        _text("mac"),
        sa.PrimaryKeyConstraint("number", name="audit_entries_pkey"),
    )
    op.create_index("audit_entries_place", "audit_entries", ["place_kind", "place_id", "number"])
    op.create_table(
        "request_ids",
        _id("caller"),
        _id("actor"),
        _id("method"),
        _id("request_id"),
        _id("body_hash"),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        _instant("created_at"),
        sa.PrimaryKeyConstraint("caller", "actor", "method", "request_id", name="request_id_taken"),
    )
    op.create_index("request_ids_created_at", "request_ids", ["created_at"])


def _id(name: str = "id") -> "sa.Column[str]":
    return sa.Column(name, _byte_text(), nullable=False)


def _maybe_id(name: str) -> "sa.Column[str]":
    return sa.Column(name, _byte_text(), nullable=True)


def _byte_text() -> "sa.types.TypeEngine[str]":
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), nullable=False, server_default=sa.text("''"))


def _flag(name: str) -> "sa.Column[bool]":
    return sa.Column(name, sa.Boolean(), nullable=False)


def _json(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.JSON(), nullable=nullable)


def _instant(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def _maybe_instant(name: str) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=True)


def _reference(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"{table}_{column}_fkey", ondelete="CASCADE")


def _unique(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=True, sqlite_where=condition, postgresql_where=condition)
