"""Users, mirrored from the application."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class UserKind(IntEnum):
    """Numbers as in users.proto."""

    HUMAN = 1
    SERVICE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who can be asked about. Times are aware, UTC."""

    id: str
    kind: UserKind
    is_active: bool
    email: str | None
    email_verified: bool
    name: str
    image_url: str
    default_workspace_id: str | None
    created_at: datetime
    updated_at: datetime
