"""Queries about subscriptions."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from wsauthz.model.subscriptions import Subscription
from wsauthz.store import rows
from wsauthz.store.tables import subscriptions


def add(connection: Connection, subscription: Subscription) -> None:
    """Store a workspace's first subscription.

    Raises:
        IdTaken: it has one.

    """
    rows.add(connection, subscriptions, subscription)


def update(connection: Connection, workspace_id: str, values: Mapping[str, Any]) -> None:
    """Change fields of a workspace's subscription."""
    rows.update(connection, subscriptions, subscriptions.c.workspace_id == workspace_id, values)


def find(connection: Connection, workspace_id: str) -> Subscription | None:
    """Return the workspace's own subscription; None: it has none."""
    return rows.find(
        connection, Subscription, select(subscriptions).where(subscriptions.c.workspace_id == workspace_id)
    )


def every(connection: Connection) -> Iterator[Subscription]:
    """Yield all subscriptions, by workspace; streamed."""
    return rows.stream(connection, Subscription, select(subscriptions).order_by(subscriptions.c.workspace_id))
