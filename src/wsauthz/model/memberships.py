"""Memberships: who holds which role in which place."""

from dataclasses import dataclass
from datetime import datetime

from wsauthz.model.places import PLATFORM, PlaceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A role in a workspace, in an organization or, with neither, at the platform. Times are aware, UTC.

    ``modules`` None is all of the place's, a tuple restricts, an empty one is none.
    """

    id: str
    workspace_id: str | None
    organization_id: str | None
    user_id: str
    role: str
    permissions: tuple[str, ...]
    modules: tuple[str, ...] | None
    is_active: bool
    expires_at: datetime | None
    joined_at: datetime
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    removed_by: str | None = None
    """Who removed the user, where that was somebody else: no join code brings it back then."""

    @property
    def place(self) -> PlaceKey:
        """Where the role is held."""
        if self.workspace_id is not None:
            return ("workspace", self.workspace_id)
        if self.organization_id is not None:
            return ("organization", self.organization_id)
        return PLATFORM

    def is_expired(self, now: datetime) -> bool:
        """Tell whether it would count but for its time; a deactivated one, which somebody decided on, never would."""
        return self.is_active and self.expires_at is not None and self.expires_at <= now
