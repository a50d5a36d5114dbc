"""Every table, with what must hold in the database: uniqueness, places, cascades.

Columns have the names of the fields of the nouns in ``model``. Constraints are named after the error they become
(``store.refusals``). Ids of users are plain text without a foreign key wherever they occur: users come from elsewhere,
and what they did outlives them. Deleted rows stay, marked by ``deleted_at``; what is unique is unique among live ones.
Foreign keys cascade for the day such rows are really purged.
"""

from wsauthz.store.tables.attached import (
    custom_roles,
    custom_rules,
    entries,
    invitation_tokens,
    invite_codes,
    keys,
    module_settings,
    user_versions,
)
from wsauthz.store.tables.bookkeeping import audit_entries, audited_policy, changes, request_ids, revision
from wsauthz.store.tables.columns import metadata
from wsauthz.store.tables.nouns import invitations, memberships, organizations, subscriptions, users, workspaces

__all__ = [
    "audit_entries",
    "audited_policy",
    "changes",
    "custom_roles",
    "custom_rules",
    "entries",
    "invitation_tokens",
    "invitations",
    "invite_codes",
    "keys",
    "memberships",
    "metadata",
    "module_settings",
    "organizations",
    "request_ids",
    "revision",
    "subscriptions",
    "user_versions",
    "users",
    "workspaces",
]
