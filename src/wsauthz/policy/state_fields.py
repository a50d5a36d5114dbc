"""The fields of a state file (formats.md C): which keys each kind of record has, and what each may hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from wsauthz.model import texts
from wsauthz.model.subscriptions import SubscriptionStatus
from wsauthz.model.users import UserKind
from wsauthz.policy.nodes import Node
from wsauthz.policy.problems import Mistake
from wsauthz.policy.state_values import (
    Convert,
    by_module,
    choice,
    email,
    identifier,
    invite_code,
    line,
    moment,
    names,
    number,
    platform,
    settings,
    slug,
    switch,
    text,
    user_id,
    workspace_text,
)

SOURCE_VERSION: Final = "source_version"
"""A key of users that no noun has: versions are kept beside users, and outlive them."""
BESIDE_WORKSPACES: Final = ("invite_code", "is_joinable", "module_settings")
"""Keys of workspaces that the noun does not have: these are kept in tables of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One key: the field of the noun it fills, how it is read, and whether it may be null or must be there."""

    name: str
    convert: Convert
    is_nullable: bool = False
    is_required: bool = False

    def read(self, node: Node) -> Any:
        """Return what the node says.

        Raises:
            Mistake: it is not what this field holds.

        """
        if node.value is not None:
            return self.convert(node)
        if self.is_nullable:
            return None
        raise Mistake("must not be null")


_USER: Final = {
    "id": Field(name="id", convert=user_id, is_required=True),
    "kind": Field(name="kind", convert=choice({kind.name.lower(): kind for kind in UserKind})),
    # In JSON Lines "kind" says what a record is.
    "user_kind": Field(name="kind", convert=choice({kind.name.lower(): kind for kind in UserKind})),
    "is_active": Field(name="is_active", convert=switch),
    "email": Field(name="email", convert=email, is_nullable=True),
    "email_verified": Field(name="email_verified", convert=switch),
    "name": Field(name="name", convert=line(texts.NAME_MOST)),
    "image_url": Field(name="image_url", convert=line(texts.URL_MOST)),
    "default_workspace": Field(name="default_workspace_id", convert=identifier, is_nullable=True),
    "created_at": Field(name="created_at", convert=moment),
    "source_version": Field(name=SOURCE_VERSION, convert=number, is_nullable=True),
}
_DELETED_USER: Final = {
    "id": Field(name="id", convert=user_id, is_required=True),
    "source_version": Field(name=SOURCE_VERSION, convert=number, is_required=True),
}
_ORGANIZATION: Final = {
    "id": Field(name="id", convert=identifier, is_required=True),
    "name": Field(name="name", convert=line(texts.NAME_MOST, may_be_blank=False)),
    "slug": Field(name="slug", convert=slug),
    "is_suspended": Field(name="is_suspended", convert=switch),
    "created_at": Field(name="created_at", convert=moment),
}
_WORKSPACE: Final = {
    "id": Field(name="id", convert=identifier, is_required=True),
    "organization": Field(name="organization_id", convert=identifier, is_nullable=True),
    "parent": Field(name="parent_workspace_id", convert=identifier, is_nullable=True),
    "owner": Field(name="owner_user_id", convert=user_id),
    **{name: Field(name=name, convert=workspace_text(name)) for name in texts.WORKSPACE_TEXTS},
    "slug": Field(name="slug", convert=slug),
    "is_active": Field(name="is_active", convert=switch),
    "is_suspended": Field(name="is_suspended", convert=switch),
    "suspended_reason": Field(name="suspended_reason", convert=text(texts.REASON_MOST)),
    "suspended_at": Field(name="suspended_at", convert=moment, is_nullable=True),
    "suspended_by": Field(name="suspended_by", convert=user_id, is_nullable=True),
    "modules": Field(name="modules", convert=names),
    "settings": Field(name="settings", convert=settings),
    "enabled_providers": Field(name="enabled_providers", convert=names, is_nullable=True),
    "schedule": Field(name="schedule", convert=line(64, may_be_blank=False), is_nullable=True),
    "analysis_epoch": Field(name="analysis_epoch", convert=number),
    "invite_code": Field(name="invite_code", convert=invite_code),
    "is_joinable": Field(name="is_joinable", convert=switch),
    "module_settings": Field(name="module_settings", convert=by_module),
    "created_at": Field(name="created_at", convert=moment),
}
_MEMBERSHIP: Final = {
    "id": Field(name="id", convert=identifier),
    "workspace": Field(name="workspace_id", convert=identifier),
    "organization": Field(name="organization_id", convert=identifier),
    "platform": Field(name="platform", convert=platform),
    "user": Field(name="user_id", convert=user_id, is_required=True),
    "role": Field(name="role", convert=line(64, may_be_blank=False), is_required=True),
    "permissions": Field(name="permissions", convert=names),
    "modules": Field(name="modules", convert=names, is_nullable=True),
    "is_active": Field(name="is_active", convert=switch),
    "expires_at": Field(name="expires_at", convert=moment, is_nullable=True),
    "joined_at": Field(name="joined_at", convert=moment),
    "is_derived": Field(name="is_derived", convert=switch),
    "added_by": Field(name="added_by", convert=user_id, is_nullable=True),
}
_REMOVAL: Final = {
    **{key: field for key, field in _MEMBERSHIP.items() if key != "platform"},
    "role": Field(name="role", convert=line(64)),
    "removed_at": Field(name="deleted_at", convert=moment, is_required=True),
    "removed_by": Field(name="removed_by", convert=line(128), is_nullable=True),
}
_VISIT: Final = {
    "user": Field(name="user_id", convert=user_id, is_required=True),
    "workspace": Field(name="workspace_id", convert=identifier, is_required=True),
    "entered_at": Field(name="entered_at", convert=moment, is_required=True),
    "previous_entered_at": Field(name="previous_entered_at", convert=moment, is_nullable=True),
}
_INVITATION: Final = {
    "id": Field(name="id", convert=identifier, is_required=True),
    "workspace": Field(name="workspace_id", convert=identifier, is_required=True),
    "email": Field(name="email", convert=email, is_required=True),
    "role": Field(name="role", convert=line(64, may_be_blank=False)),
    "modules": Field(name="modules", convert=names, is_nullable=True),
    "membership_expires_at": Field(name="membership_expires_at", convert=moment, is_nullable=True),
    "invited_by": Field(name="invited_by", convert=user_id),
    "expires_at": Field(name="expires_at", convert=moment),
    "created_at": Field(name="created_at", convert=moment),
}
_SUBSCRIPTION: Final = {
    "workspace": Field(name="workspace_id", convert=identifier, is_required=True),
    "plan": Field(name="plan", convert=line(texts.PLAN_MOST, may_be_blank=False), is_required=True),
    "plan_type": Field(name="plan_type", convert=line(texts.PLAN_TYPE_MOST)),
    "plan_changed_at": Field(name="plan_changed_at", convert=moment),
    "status": Field(name="status", convert=choice({status.name.lower(): status for status in SubscriptionStatus})),
}

FIELDS: Final[Mapping[str, Mapping[str, Field]]] = MappingProxyType(
    {
        "user": _USER,
        "organization": _ORGANIZATION,
        "workspace": _WORKSPACE,
        "membership": _MEMBERSHIP,
        "removal": _REMOVAL,
        "visit": _VISIT,
        "invitation": _INVITATION,
        "subscription": _SUBSCRIPTION,
        "deleted_user": _DELETED_USER,
    }
)
"""Kind of record -> key in the file -> the field it fills."""

LATER: Final = frozenset({"role", "rule"})
"""Kinds that the format has and this version does not read."""
