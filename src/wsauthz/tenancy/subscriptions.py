"""Subscriptions, as a billing system knows them: which one counts in a workspace, and setting a workspace's own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from wsauthz.model import texts
from wsauthz.model.errors import UnknownPlan
from wsauthz.model.spelling import meant
from wsauthz.model.subscriptions import LAPSED, Subscription, SubscriptionStatus
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.decision import SUBSCRIPTION_EXPIRED
from wsauthz.policy.place import Place
from wsauthz.store import changes
from wsauthz.store import entries as entry_rows
from wsauthz.store import subscriptions as subscription_rows
from wsauthz.store.database import Connection
from wsauthz.tenancy import places
from wsauthz.tenancy.transaction import Reading, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The subscription that counts in a workspace, as one user is shown it; None: there is none."""

    subscription: Subscription | None
    plan_changed: bool
    """The plan is another one than when the user was there before."""
    warnings: tuple[str, ...]


def get(reading: Reading, *, workspace_id: str) -> Shown:
    """Return the workspace's own subscription, or that of the nearest workspace above.

    Raises:
        WorkspaceNotFound: there is no such workspace.

    """
    holder = reading.on_loop(lambda facts, _rules, _now: holder_of(places.find(facts, ("workspace", workspace_id))))
    entry = entry_rows.find(reading.connection, reading.actor, workspace_id)
    before = (entry.previous_entered_at or entry.entered_at) if entry else None
    return show(effective(reading.connection, holder), before)


def set_(tx: Transaction, *, workspace_id: str, plan: str, plan_type: str, status: SubscriptionStatus) -> Subscription:
    """Set the workspace's own subscription and return it; modules stay as they are.

    An empty ``plan_type`` is the catalog's. The plan has not changed if the workspace was on it before, be it by the
    subscription of a workspace above.

    Raises:
        WorkspaceNotFound: there is no such workspace. UnknownPlan: the catalog has plans, and not this one.
        InvalidArgument: plan or type are not what they may be.

    """
    at = places.find(tx.facts, ("workspace", workspace_id))
    plan = _plan(tx.rules.catalog, plan)
    known = tx.rules.catalog.plans.get(plan)
    plan_type = texts.line("plan_type", plan_type, texts.PLAN_TYPE_MOST) or (known.type if known else "")
    counted = effective(tx.connection, holder_of(at))
    new = Subscription(
        workspace_id=workspace_id,
        plan=plan,
        plan_type=plan_type,
        status=status,
        plan_changed_at=counted.plan_changed_at if counted and counted.plan == plan else tx.now,
        created_at=tx.now,
        updated_at=tx.now,
    )
    old = counted if counted and counted.workspace_id == workspace_id else None
    if old is None:
        subscription_rows.add(tx.connection, new)
    else:
        new = replace(new, created_at=old.created_at, updated_at=old.updated_at)
        if new == old:
            return old
        new = replace(new, updated_at=tx.now)
        subscription_rows.update(tx.connection, workspace_id, _changeable(new))
    if old is None or changes.subscription(old) != changes.subscription(new):
        tx.changed(changes.subscription(new))
    before = _described(tx.rules.catalog, old) if old else None
    tx.audit("subscription", workspace_id, at.key, before=before, after=_described(tx.rules.catalog, new))
    return new


def holder_of(at: Place) -> str | None:
    """Return the id of the nearest workspace, the place itself first, with a subscription of its own."""
    return next((above.key[1] for above in at.chain if above.own_subscription is not None), None)


def effective(connection: Connection, holder: str | None) -> Subscription | None:
    """Return the subscription of the workspace that holds the one that counts; None: there is none."""
    return None if holder is None else subscription_rows.find(connection, holder)


def show(subscription: Subscription | None, before: datetime | None) -> Shown:
    """Return the subscription for somebody who was there ``before``; None: never."""
    if subscription is None:
        return Shown(subscription=None, plan_changed=False, warnings=())
    return Shown(
        subscription=subscription,
        plan_changed=before is not None and subscription.plan_changed_at > before,
        warnings=(SUBSCRIPTION_EXPIRED,) if subscription.status in LAPSED else (),
    )


def _plan(catalog: Catalog, plan: str) -> str:
    if not catalog.plans:
        return texts.line("plan", plan, texts.PLAN_MOST, required=True)
    if plan not in catalog.plans:
        raise UnknownPlan(plan, meant=meant(plan, catalog.plans))
    return plan


def _changeable(subscription: Subscription) -> dict[str, Any]:
    names = ("plan", "plan_type", "status", "plan_changed_at", "updated_at")
    return {name: getattr(subscription, name) for name in names}


def _described(catalog: Catalog, subscription: Subscription) -> Mapping[str, Any]:
    """Return what the audit says: a plan that no catalog knows may be any text, and so stays out of it."""
    plan = {"plan": subscription.plan} if subscription.plan in catalog.plans else {}
    return {"status": int(subscription.status), **plan}
