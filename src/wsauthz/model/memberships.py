"""Memberships: who holds which role in which place."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from wsauthz.model.places import PLATFORM, PlaceKey


class Terms(NamedTuple):
    """The modules that a membership is limited to, and its expiry (aware, UTC); None: no limit, no expiry."""

    modules: tuple[str, ...] | None
    expires_at: datetime | None


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
    is_derived: bool = False
    """Of an organization's membership: its terms follow the user's memberships in the organization's workspaces."""
    added_by: str | None = None
    """Who made the user a member: the user itself by a code, an invitation or creating the place. None: not known."""

    @property
    def terms(self) -> Terms:
        """Its module list and its expiry."""
        return Terms(self.modules, self.expires_at)

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

    @property
    def was_left_deactivated(self) -> bool:
        """Whether its user ended it, by leaving or by deleting the account, when somebody had deactivated it."""
        return self.deleted_at is not None and not self.is_active and self.removed_by == self.user_id

    def brings(self, now: datetime) -> bool:
        """Tell whether it makes its user a member of the organization that its workspace is in."""
        return brings(now, is_active=self.is_active, expires_at=self.expires_at)


def brings(now: datetime, *, is_active: bool, expires_at: datetime | None) -> bool:
    """Tell whether a membership of a workspace brings one of the organization: not if it is deactivated or expired."""
    return is_active and (expires_at is None or expires_at > now)


def joint_terms(brought_by: Collection[Terms]) -> Terms:
    """Return the terms of an organization's membership that these bring: the union of their modules, the latest expiry.

    Raises:
        ValueError: nothing brings it.

    """
    if not brought_by:
        raise ValueError("at least one membership must bring it")
    lists = [each.modules for each in brought_by if each.modules is not None]
    ends = [each.expires_at for each in brought_by if each.expires_at is not None]
    return Terms(
        modules=tuple(sorted(set().union(*lists))) if len(lists) == len(brought_by) else None,
        expires_at=max(ends) if len(ends) == len(brought_by) else None,
    )
