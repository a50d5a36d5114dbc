"""Switching: the workspace becomes the actor's default, and everything that a frontend shows of it is answered."""

import logging
from dataclasses import dataclass
from datetime import datetime

from wsauthz.model.places import PlaceKey
from wsauthz.model.subscriptions import Subscription
from wsauthz.model.users import User
from wsauthz.policy.access import Access, access
from wsauthz.policy.place import Place
from wsauthz.store import entries as entry_rows
from wsauthz.tenancy import places, profiles, subscriptions, workspaces
from wsauthz.tenancy.transaction import Transaction, not_found
from wsauthz.tenancy.workspaces import View

_log = logging.getLogger(__name__)

UNAVAILABLE = "UNAVAILABLE"
"""Why there is no subscription in the answer when it could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """The actor in the workspace it has switched to."""

    user: User
    view: View
    place: Place
    access: Access
    subscription: subscriptions.Shown | None
    """None: there is none, or the actor is not shown it."""
    subscription_error: str
    """Why the actor is not shown it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What tables say that a switch must not depend on."""

    subscription: Subscription | None = None
    entered_at: datetime | None = None
    error: str = ""


def switch(tx: Transaction, *, workspace_id: str) -> Switched:
    """Make the workspace the actor's default, record the visit, and return what a frontend shows of it.

    Trouble with the subscription is part of the answer (REQ-101).

    Raises:
        WorkspaceNotFound: there is none. UserNotFound: the actor was never mirrored by the application.

    """
    key: PlaceKey = ("workspace", workspace_id)
    at = places.find(tx.facts, key)
    now = tx.now.timestamp()
    user = profiles.set_default(tx, profiles.find(tx), workspace_id)
    held = access(tx.facts, tx.rules, now, subject=tx.actor, place=key)
    if held is None:
        raise not_found(key)
    read = _read(tx, at)
    effective = workspaces.effective(tx.facts, tx.rules, now, tx.actor, workspace_id)
    view = workspaces.view(tx.connection, workspace_id, effective, read.subscription)
    seen = tx.ask("subscription", "view", key)
    error = read.error if seen.allowed else seen.reasons[0].value
    shown = subscriptions.show(read.subscription, read.entered_at) if read.subscription and not error else None
    return Switched(user=user, view=view, place=at, access=held, subscription=shown, subscription_error=error)


def _read(tx: Transaction, at: Place) -> _Read:
    """Return the subscription that counts and when the actor entered last, or that they cannot be read.

    Behind a savepoint: on PostgreSQL nothing else could be done after a failure.
    """
    try:
        with tx.connection.begin_nested():
            entry = entry_rows.find(tx.connection, tx.actor, at.key[1])
            subscription = subscriptions.effective(tx.connection, subscriptions.holder_of(at))
    except Exception:
        if tx.connection.invalidated:
            raise  # the whole transaction is gone with the connection
        _log.exception("a subscription could not be read", extra={"method": tx.by.method, "actor": tx.actor})
        return _Read(error=UNAVAILABLE)
    return _Read(subscription=subscription, entered_at=entry.entered_at if entry else None)
