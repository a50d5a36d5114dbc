"""Roles at the platform: given by whoever may write to the database, never by an RPC."""

from dataclasses import replace

from wsauthz.model.errors import MemberNotFound, UnknownRole
from wsauthz.model.memberships import Membership
from wsauthz.model.places import PLATFORM
from wsauthz.model.spelling import meant
from wsauthz.store import memberships as membership_rows
from wsauthz.store.database import Connection
from wsauthz.tenancy.enrolment import change, close, enrol
from wsauthz.tenancy.transaction import Transaction


def grant(tx: Transaction, *, user_id: str, role: str) -> Membership:
    """Give the user the role at the platform, in place of the one it has there, if any; return the membership.

    Raises:
        UnknownRole: the catalog lacks the role, or does not give it at the platform.

    """
    roles = tx.rules.catalog.roles.values()
    assignable = [known.name for known in roles if known.assignable and "platform" in known.places]
    if role not in assignable:
        raise UnknownRole(role, "platform", meant=meant(role, assignable))
    present = membership_rows.find(tx.connection, PLATFORM, user_id)
    if present is None:
        return enrol(tx, PLATFORM, user_id, role=role)
    wanted = replace(present, role=role, is_active=True, expires_at=None)
    if wanted == present:
        return present
    return change(tx, present, {"role": role, "is_active": True, "expires_at": None})


def revoke(tx: Transaction, *, user_id: str, role: str = "") -> Membership:
    """Take the user's role at the platform away, whichever it is unless one is named; return what was held.

    Raises:
        MemberNotFound: it has none there, or another one.

    """
    present = membership_rows.find(tx.connection, PLATFORM, user_id)
    if present is None or role not in {"", present.role}:
        raise MemberNotFound
    close(tx, present)
    return present


def members(connection: Connection) -> list[Membership]:
    """Return every membership of the platform, by user."""
    return membership_rows.of_places(connection, [PLATFORM])
