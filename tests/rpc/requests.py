"""A valid request of every RPC, made from the descriptors: what foreign ids and bad values are then put into.

A method or a field that nobody has said a value of makes `valid` fail, and so every test that is made from it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from tests.rpc.filling import token_of
from tests.rpc.tenants import OPERATOR
from wsauthz.rpc.methods import Method, methods

METHODS: Final = methods()

_SOON: Final = (datetime.now(UTC) + timedelta(days=30)).isoformat()
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Tenant:
    """The ids of one tenant. All of them hold its name, so that what leaks is recognized."""

    name: str

    @property
    def owner(self) -> str:
        """Who owns everything."""
        return f"owner-{self.name}"

    @property
    def admin(self) -> str:
        """Another owner of the organization, and an admin of the workspace."""
        return f"admin-{self.name}"

    @property
    def member(self) -> str:
        """A member of organization and workspace."""
        return f"member-{self.name}"

    @property
    def guest(self) -> str:
        """Somebody who is invited, and a member of nothing."""
        return f"guest-{self.name}"

    @property
    def organization(self) -> str:
        """The organization of the workspaces."""
        return f"organization_{self.name}"

    @property
    def workspace(self) -> str:
        """The root workspace."""
        return f"workspace_{self.name}"

    @property
    def child(self) -> str:
        """One of its two children."""
        return f"workspace_{self.name}.1"

    @property
    def invitation(self) -> str:
        """The guest's invitation."""
        return f"invitation_{self.name}"

    @property
    def code(self) -> str:
        """The workspace's invite code."""
        return "".join(_CROCKFORD[byte % 32] for byte in bytes.fromhex(token_of(self.name))[:20])

    def state(self) -> Mapping[str, list[Mapping[str, Any]]]:
        """Return the tenant as a state file has it; every list of it has more than one item."""
        people = (self.owner, self.admin, self.member, self.guest)
        roots = (self.organization, f"{self.organization}.2")
        children = (self.child, f"workspace_{self.name}.2")
        within = {"organization": self.organization, "owner": self.owner}
        everywhere = [*({"organization": each} for each in roots), *({"workspace": each} for each in children)]
        in_organization: dict[str, Any] = {"organization": self.organization}
        in_workspace: dict[str, Any] = {"workspace": self.workspace}
        return {
            "users": [{"id": each, "email": f"{each}@example.com", "email_verified": True} for each in people],
            "organizations": [{"id": each, "slug": _slug(each)} for each in roots],
            "workspaces": [
                {"id": self.workspace, "slug": self.name, "invite_code": self.code, **within},
                *({"id": each, "slug": _slug(each), "parent": self.workspace, **within} for each in children),
            ],
            "memberships": [
                *({**at, "user": self.owner, "role": _role(at)} for at in (*everywhere, in_workspace)),
                {**in_organization, "user": self.admin, "role": _role(in_organization)},
                {**in_organization, "user": self.member, "role": "member"},
                {**in_workspace, "user": self.admin, "role": _role(in_workspace)},
                {**in_workspace, "user": self.member, "role": "member"},
            ],
            "subscriptions": [{"workspace": self.workspace, "plan": "professional"}],
            "invitations": [
                {"id": each, **in_workspace, "email": f"{who}@example.com", "invited_by": self.owner}
                for each, who in ((self.invitation, self.guest), (f"{self.invitation}.2", f"other-{self.name}"))
            ],
        }


def _slug(identifier: str) -> str:
    return identifier.replace("_", "-").replace(".", "-")


def _role(place: Mapping[str, Any]) -> str:
    return "organization-owner" if "organization" in place else "admin"


def actor_of(method: Method, tenant: Tenant) -> str:
    """Return who may make the valid request."""
    return _ACTORS.get(method.name, "{owner}").format(owner=tenant.owner, member=tenant.member, guest=tenant.guest)


_ACTORS: Final = {
    **dict.fromkeys(("GetInvitation", "AcceptInvitation", "JoinByCode"), "{guest}"),
    **dict.fromkeys(("SuspendOrganization", "ReinstateOrganization", "SetSubscription"), OPERATOR),
    **dict.fromkeys(("ListAuditEntries", "VerifyAudit"), OPERATOR),
    **dict.fromkeys(("ReloadPolicy", "ValidatePolicy"), OPERATOR),
    **dict.fromkeys(("Leave", "DeleteAccount"), "{member}"),
}
"""Where it is not the tenant's owner."""


def choices(method: Method) -> list[str]:
    """Return the fields of which only one can be set, "" if there are none."""
    return [field.name for field in method.request.DESCRIPTOR.fields if _is_choice(field)] or [""]


def valid(method: Method, tenant: Tenant, choice: str = "") -> Message:
    """Return a request that is carried out; ``choice``: which of the fields to set of which only one can be.

    Raises:
        AssertionError: nobody has said a value for one of its fields.

    """
    choice = choice or choices(method)[0]
    given = dict(_values(method, tenant, method.request.DESCRIPTOR.fields, choice))
    request: Message = ParseDict(given, method.request())
    return request


def _is_choice(field: Any) -> bool:
    """Tell whether the field is one of several of which only one can be set; an optional one is not."""
    return bool(field.containing_oneof is not None and len(field.containing_oneof.fields) > 1)


def _values(method: Method, tenant: Tenant, fields: Any, choice: str) -> Iterator[tuple[str, Any]]:
    said = _said(tenant)
    for field in fields:
        if _is_choice(field) and field.name != choice:
            continue
        own, usual = f"{method.name}.{field.name}", field.name
        assert own in said or usual in said, f"say in tests/rpc/requests.py what a valid {own} is"
        value = said[own] if own in said else said[usual]
        if value is not None:
            yield field.name, value


def _said(tenant: Tenant) -> Mapping[str, Any]:
    """Return values, as JSON has them, by field name, or by method and field; None leaves it unset."""
    check = {"subject": tenant.owner, "workspace_id": tenant.workspace, "resource": "dam:asset", "action": "read"}
    return {
        # places
        "workspace_id": tenant.workspace,
        "organization_id": tenant.organization,
        "platform": True,
        "parent_workspace_id": tenant.workspace,
        "CheckRoute.parent_workspace_id": None,
        "organization": _slug(tenant.organization),
        "ResolveWorkspace.slug": tenant.name,
        "current_workspace_id": tenant.child,
        "default_workspace_id": tenant.workspace,
        "UpdateOrganizationName.workspace_id": tenant.child,
        "new_organization": {"name": "New Roof", "slug": f"roof-{tenant.name}"},
        **dict.fromkeys(("route", "store", "local_storage"), tenant.workspace),
        # people
        "user_id": tenant.member,
        "AddMember.user_id": tenant.guest,
        "subject": tenant.owner,
        "email": f"new-{tenant.name}@example.com",
        "AddMemberByEmail.email": f"{tenant.guest}@example.com",
        "ListInvitations.email": None,
        **dict.fromkeys(("is_active", "email_verified"), True),
        "users": [{"user_id": tenant.member, "name": "Any Name"}],
        **dict.fromkeys(("UpsertUser.email", "UpsertUser.email_verified", "source_version")),
        "kind": "USER_KIND_HUMAN",
        # texts
        "name": "Any Name",
        "slug": None,
        "domain": "acme.example.com",
        "description": "Some words",
        **dict.fromkeys(("image_url", "website"), "https://acme.example.com"),
        "phone": "+1 555 0100",
        "reason": "Not paid",
        "query": "e",
        # terms and settings
        "role": "member",
        "ListMembers.role": None,
        "permissions": ["can-manage-users"],
        "modules": {"modules": ["dam"]},
        "SetModules.modules": ["dam"],
        "expires_at": _SOON,
        "membership_expires_at": _SOON,
        "update_mask": "permissions",
        "UpdateWorkspace.update_mask": "notes",
        "workspace": {"notes": ""},
        "settings": {"features": {"beta": True}},
        "UpdateModuleSettings.settings": {"columns": 4},
        "module": "dam",
        "providers": ["chatgpt"],
        "schedule": "0 6 * * 1",
        "plan": "professional",
        "plan_type": "paid",
        "status": "SUBSCRIPTION_STATUS_ACTIVE",
        # invitations
        "invitation_id": tenant.invitation,
        "token": token_of(tenant.invitation),
        "code": tenant.code,
        **dict.fromkeys(("include_closed", "disable"), False),
        # decisions and policy
        "check": check,
        "items": [{**{key: value for key, value in check.items() if key != "action"}, "actions": ["read"]}],
        "resource": "dam:asset",
        "action": "read",
        "required_module": "dam",
        "guards": ["checkWorkspace"],
        "files": {},
        **dict.fromkeys(("at_least_revision", "from_revision", "if_none_match"), None),
        "filter": {"kinds": ["CHANGE_KIND_USER"], "workspace_ids": [tenant.workspace]},
        **dict.fromkeys(("include_trace", "include_remedy"), True),
        "published_heads": ["0."],
        # lists and repetition
        **dict.fromkeys(("manageable_only", "include_inherited", "include_without_access"), False),
        "page_size": 1,
        **dict.fromkeys(("page_token", "request_id"), None),
    }
