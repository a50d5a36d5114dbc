"""Subscriptions: which plan a workspace, and what is below it, is on."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final


class SubscriptionStatus(IntEnum):
    """Of these, EXPIRED and CANCELLED are a warning, never a denial by themselves (REQ-131)."""

    ACTIVE = 1
    TRIALING = 2
    PAST_DUE = 3
    EXPIRED = 4
    CANCELLED = 5


LAPSED: Final = frozenset({SubscriptionStatus.EXPIRED, SubscriptionStatus.CANCELLED})
"""What is warned of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """At most one for each workspace; children without one use their nearest ancestor's. Times are aware, UTC."""

    workspace_id: str
    plan: str
    plan_type: str
    status: SubscriptionStatus
    plan_changed_at: datetime
    created_at: datetime
    updated_at: datetime
