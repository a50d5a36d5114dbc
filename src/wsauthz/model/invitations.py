"""Invitations: an offer of a role to a verified email address."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

MOST_DAYS: Final = 90
"""How long an invitation may be good for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A pending, accepted or revoked offer; its token is a secret and no field of it. Times are aware, UTC.

    It expires at ``expires_at``, and the membership that it gives at ``membership_expires_at``; None: never.
    """

    id: str
    workspace_id: str
    email: str
    role: str
    modules: tuple[str, ...] | None
    membership_expires_at: datetime | None = None
    invited_by: str
    expires_at: datetime
    accepted_at: datetime | None
    accepted_by: str | None
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def accepted(self) -> bool:
        """Whether somebody accepted it."""
        return self.accepted_at is not None
