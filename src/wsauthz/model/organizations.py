"""Organizations: the optional roof over workspaces."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """A group of workspaces with members of its own. Times are aware, UTC."""

    id: str
    name: str
    slug: str
    is_suspended: bool
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
