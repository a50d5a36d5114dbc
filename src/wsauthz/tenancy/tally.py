"""What a write will have done, counted while it is done and told once it is: what is rolled back has not happened."""

from collections import Counter
from dataclasses import dataclass, field

from wsauthz.model.errors import Refused


@dataclass(slots=True)
class Tally:
    """Counts of one transaction, by the names that metrics have for them."""

    joins: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(way of joining, result) -> attempts."""
    invitations: Counter[str] = field(default_factory=Counter)
    """created, replaced, accepted or revoked -> invitations."""
    rejected: list[Refused] = field(default_factory=list)
    """Parts of the write that were rejected alone, each with its target; they are audited like rejected calls."""
    analysis_resets: int = 0
    """Workspaces whose name or domain really changed."""
