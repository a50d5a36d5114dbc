"""Memberships, invitations and subscriptions of a state file as nouns."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from wsauthz.model.identifiers import new_id
from wsauthz.model.invitations import Invitation
from wsauthz.model.memberships import Membership
from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.model.subscriptions import Subscription, SubscriptionStatus
from wsauthz.policy.state_file import Record
from wsauthz.store import bulk
from wsauthz.tenancy.imports.organization_members import Held, bring_organizations
from wsauthz.tenancy.imports.work import Work


def import_memberships(work: Work) -> None:
    """Merge the memberships with the live ones in the database, by place and user.

    Those of workspaces bring memberships of organizations, as by any other way in; one that the file lists is as the
    file says, and counts as set by an administrator unless the file says ``is_derived``.
    """
    records = work.records("membership")
    # Only whoever is in the facts can have a live one, and looking up the others takes most of a first import's time.
    users = {record.given["user_id"] for record in records}
    held = bulk.memberships_of(work.tx.connection, sorted(user for user in users if user in work.tx.facts.grants))
    taken = _taken_ids(work, records)
    listed: Held = {}
    changed: list[Membership] = []
    for record in records:
        place = _place(record)
        if place == PLATFORM and not work.allow_platform:
            work.refuse(record, "platform: roles at the platform are imported only on demand (--allow-platform)")
        elif not work.has(place):
            work.refuse(record, f"{place[0]}: there is no {place[0]} {place[1]!r}")
        work.check_user(record, "user", record.given["user_id"])
        before = held.get((place, record.given["user_id"]))
        given = {"is_derived": False, **record.given}
        after = _new_membership(work, given, taken) if before is None else replace(before, **{**given, "id": before.id})
        _check_role(work, record, after)
        work.keep("membership", before, after)
        listed[place, after.user_id] = after
        if before != after:
            changed.append(after)
    if not work.problems:
        bring_organizations(work, changed, held, listed)


def import_removals(work: Work) -> None:
    """Add removed memberships to those in the database, by place, user and time of removal.

    They say who comes back by no join code; nobody is removed by them who is a member now.
    """
    records = work.records("removal")
    found = bulk.removals_of(work.tx.connection, {record.given["user_id"] for record in records})
    taken = _taken_ids(work, records)
    for record in records:
        given, place = record.given, _place(record)
        if not work.has(place):
            work.refuse(record, f"{place[0]}: there is no {place[0]} {place[1]!r}")
        before = found.get((place, given["user_id"], given["deleted_at"]))
        usual = {"role": "", "joined_at": given["deleted_at"], "removed_by": ""}
        new = {**usual, **given, "created_at": given.get("joined_at", given["deleted_at"])}
        after = _new_membership(work, new, taken) if before is None else replace(before, **{**given, "id": before.id})
        work.keep("removal", before, after)


def import_invitations(work: Work) -> None:
    """Merge the invitations with those in the database; a new one has no token, so inviting anew makes the first."""
    records = work.records("invitation")
    found = bulk.find(work.tx.connection, Invitation, (record.given["id"] for record in records))
    for record in records:
        before = found.get(record.given["id"])
        if not work.has(_place(record)):
            work.refuse(record, f"workspace: there is no workspace {record.given['workspace_id']!r}")
        if before is not None and record.given["workspace_id"] != before.workspace_id:
            work.refuse(record, f"workspace: is fixed when an invitation is made, and is {before.workspace_id}")
        if before is None and "invited_by" not in record.given:
            work.refuse(record, "invited_by is missing")
        after = _new_invitation(work, record) if before is None else replace(before, **record.given)
        _check_role(work, record, after)
        work.keep("invitation", before, after)


def import_subscriptions(work: Work) -> None:
    """Merge the subscriptions with those in the database."""
    records = work.records("subscription")
    found = bulk.find(work.tx.connection, Subscription, (record.given["workspace_id"] for record in records))
    for record in records:
        given = record.given
        if not work.has(("workspace", given["workspace_id"])):
            work.refuse(record, f"workspace: there is no workspace {given['workspace_id']!r}")
        before = found.get(given["workspace_id"])
        known = work.tx.rules.catalog.plans.get(given["plan"])
        usual: dict[str, Any] = {}
        if before is None or given["plan"] != before.plan:
            usual = {"plan_type": known.type if known else "", "plan_changed_at": work.tx.now}
        after = replace(before or _new_subscription(work, record), **{**usual, **given})
        work.keep("subscription", before, after)


def _check_role(work: Work, record: Record, noun: Membership | Invitation) -> None:
    """Refuse what the role, as it is to be, does not go with; whether the catalog has it was asked before."""
    role = work.tx.rules.catalog.roles.get(noun.role)
    if role is None:
        return
    if not role.assignable:
        work.refuse(record, f"role: {noun.role!r} is given to nobody")
    if role.owner_like:
        expiry = "expires_at" if isinstance(noun, Membership) else "membership_expires_at"
        for name, value in (("modules", noun.modules), (expiry, getattr(noun, expiry))):
            if value is not None:
                work.refuse(record, f"{name}: the role {noun.role!r} is owner-like and takes none")


def _taken_ids(work: Work, records: Iterable[Record]) -> set[str]:
    """Return the ids of the records that memberships in the database have, removed ones included."""
    ids = [record.given["id"] for record in records if "id" in record.given]
    return set(bulk.find(work.tx.connection, Membership, ids))


def _new_membership(work: Work, given: Mapping[str, Any], taken: set[str]) -> Membership:
    now = work.tx.now
    defaults = {"permissions": (), "modules": None, "is_active": True, "expires_at": None, "joined_at": now}
    times = {"created_at": now, "updated_at": now, "deleted_at": None}
    identifier = given.get("id")
    if identifier is None or identifier in taken:
        identifier = new_id("member")
    return Membership(**{**times, **defaults, **given, "id": identifier})


def _new_invitation(work: Work, record: Record) -> Invitation:
    now, catalog = work.tx.now, work.tx.rules.catalog
    defaults: Mapping[str, Any] = {
        "role": catalog.default_workspace_role,
        "modules": None,
        "membership_expires_at": None,
        "invited_by": "",
        "expires_at": now + timedelta(days=catalog.invitation_lifetime_days),
        "accepted_at": None,
        "accepted_by": None,
        "revoked_at": None,
        "created_at": now,
        "updated_at": now,
    }
    return Invitation(**{**defaults, **record.given})


def _new_subscription(work: Work, record: Record) -> Subscription:
    now = work.tx.now
    return Subscription(
        workspace_id=record.given["workspace_id"],
        plan=record.given["plan"],
        plan_type="",
        status=SubscriptionStatus.ACTIVE,
        plan_changed_at=now,
        created_at=now,
        updated_at=now,
    )


def _place(record: Record) -> PlaceKey:
    if record.given.get("workspace_id") is not None:
        return ("workspace", record.given["workspace_id"])
    if record.given.get("organization_id") is not None:
        return ("organization", record.given["organization_id"])
    return PLATFORM
