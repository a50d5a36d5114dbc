"""The vocabulary of a bundle (formats.md B), as compiled from catalog.toml and the core vocabulary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from wsauthz.model.places import PlaceKind

CoreVocabulary = Mapping[str, Mapping[str, str | None]]
"""Core resource -> action -> the plan feature it requires, or None. Declared in the proto, handed in by the edge."""


class Reason(StrEnum):
    """Why a question was denied, in the order in which reasons are given (formats.md E)."""

    WORKSPACE_ID_MISSING = "WORKSPACE_ID_MISSING"
    USER_INACTIVE = "USER_INACTIVE"
    WORKSPACE_NOT_FOUND = "WORKSPACE_NOT_FOUND"
    WORKSPACE_INACTIVE = "WORKSPACE_INACTIVE"
    NOT_A_MEMBER = "NOT_A_MEMBER"
    MEMBERSHIP_INACTIVE = "MEMBERSHIP_INACTIVE"
    MEMBERSHIP_EXPIRED = "MEMBERSHIP_EXPIRED"
    MODULE_NOT_ENABLED = "MODULE_NOT_ENABLED"
    MODULE_NOT_GRANTED = "MODULE_NOT_GRANTED"
    PLAN_FEATURE_MISSING = "PLAN_FEATURE_MISSING"
    WORKSPACE_SUSPENDED = "WORKSPACE_SUSPENDED"
    DENIED_BY_RULE = "DENIED_BY_RULE"
    ROLE_INSUFFICIENT = "ROLE_INSUFFICIENT"
    CHILD_WORKSPACES_NOT_ALLOWED = "CHILD_WORKSPACES_NOT_ALLOWED"


class AddById(StrEnum):
    """Whom AddMember takes by a user id."""

    ANYBODY = "anybody"
    """Every user: ids are the application's to give out."""
    VISIBLE = "visible"
    """Users that the actor may know of."""
    NOBODY = "nobody"
    """No user: members are added by email, invited, or join by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role a membership may have."""

    name: str
    rank: int
    title: str
    assignable: bool
    owner_like: bool
    places: frozenset[PlaceKind]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """A resource type of the application or of the core, and the plan feature each action needs (None: none)."""

    name: str
    module: str
    is_core: bool
    actions: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan a subscription may name; ``modules`` None limits nothing."""

    name: str
    type: str
    modules: tuple[str, ...] | None
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a frontend is told for a reason. ``redirect`` may hold ``{id}``, the workspace's id; empty: none."""

    status: int
    message: str
    redirect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """One bundle's vocabulary, and what is not a rule. Mappings are in the order of the file."""

    name: str
    operator_role: str
    roles: Mapping[str, Role]
    default_workspace_role: str
    default_organization_role: str
    creator_role: str
    former_owner_role: str
    ownership_role: str | None
    ownership_multiple: bool
    on_account_deletion: str
    permissions: Mapping[str, str]
    modules: Mapping[str, str]
    resources: Mapping[str, ResourceType]
    plans: Mapping[str, Plan]
    providers: Mapping[str, str] | None
    join_methods: tuple[str, ...]
    add_by_id: AddById
    by_slug: bool
    """CheckRoute takes slugs where ids are expected."""
    public_profile: bool
    """GetPublicProfile answers."""
    invitation_lifetime_days: int
    workspaces_per_owner: int
    children_per_parent: int
    members_per_place: int
    guards: Mapping[str, Mapping[Reason, Answer]]
    answers: Mapping[Reason, Answer]
    subject_types: tuple[str, ...]

    def default_role(self, kind: str) -> str:
        """Return the role of those who come into a kind of place without having been given one."""
        return self.default_organization_role if kind == "organization" else self.default_workspace_role

    def running(self, enabled: Sequence[str] | None) -> tuple[str, ...] | None:
        """Return the providers that run where these are enabled (None: nobody has set any); None: there are none.

        They are all while nobody has set any, and never one that the catalog lacks.
        """
        if not self.providers:
            return None
        return tuple(self.providers if enabled is None else (name for name in enabled if name in self.providers))

    def answer(self, reason: Reason) -> Answer:
        """Return what Check, which has no guard, gives for a reason."""
        return self.answers.get(reason) or DEFAULT_ANSWERS[reason]


DEFAULT_ANSWERS: Mapping[Reason, Answer] = {
    reason: Answer(status=status, message=message, redirect="")
    for reason, status, message in (
        (Reason.WORKSPACE_ID_MISSING, 400, "No workspace was named"),
        (Reason.USER_INACTIVE, 403, "This account is deactivated"),
        (Reason.WORKSPACE_NOT_FOUND, 404, "Workspace not found"),
        (Reason.WORKSPACE_INACTIVE, 403, "This workspace is inactive"),
        (Reason.NOT_A_MEMBER, 403, "Permission denied"),
        (Reason.MEMBERSHIP_INACTIVE, 403, "This membership is deactivated"),
        (Reason.MEMBERSHIP_EXPIRED, 403, "This membership has expired"),
        (Reason.MODULE_NOT_ENABLED, 403, "This module is not enabled here"),
        (Reason.MODULE_NOT_GRANTED, 403, "This membership does not include the module"),
        (Reason.PLAN_FEATURE_MISSING, 403, "The plan does not include this feature"),
        (Reason.WORKSPACE_SUSPENDED, 403, "This workspace is suspended"),
        (Reason.DENIED_BY_RULE, 403, "Permission denied"),
        (Reason.ROLE_INSUFFICIENT, 403, "Permission denied"),
        (Reason.CHILD_WORKSPACES_NOT_ALLOWED, 403, "Child workspaces not allowed"),
    )
}
