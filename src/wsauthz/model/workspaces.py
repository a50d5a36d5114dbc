"""Workspaces: the tenants, a tree."""

from dataclasses import dataclass, field
from datetime import datetime

CHILD_WORKSPACES = "child_workspaces"
"""The one feature flag with a meaning of its own: an explicit false blocks creating children (REQ-125)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branding:
    """How a workspace looks; a plan feature."""

    logo: str = ""
    primary_color: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSettings:
    """Branding and feature flags; an absent flag is not a false one (REQ-092)."""

    branding: Branding = Branding()
    features: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """One tenant, with its own flags; what is effective depends on the places above. Times are aware, UTC."""

    id: str
    organization_id: str | None
    parent_workspace_id: str | None
    owner_user_id: str
    name: str
    slug: str
    domain: str
    description: str
    image_url: str
    website: str
    phone: str
    social_x: str
    social_facebook: str
    social_linkedin: str
    social_instagram: str
    social_github: str
    notes: str
    is_active: bool
    is_suspended: bool
    suspended_reason: str
    suspended_at: datetime | None
    suspended_by: str | None
    modules: tuple[str, ...]
    settings: WorkspaceSettings
    enabled_providers: tuple[str, ...] | None
    schedule: str | None
    analysis_epoch: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
