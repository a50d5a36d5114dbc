"""A database that turns out to be an older copy of itself: a new epoch, which the audit tells of."""

import logging
from typing import Final

from wsauthz.model.errors import AuditKeyMissing
from wsauthz.model.places import PLATFORM
from wsauthz.store import audit, revisions
from wsauthz.store.audit_keys import AuditKeys
from wsauthz.store.database import Connection, Database
from wsauthz.store.revisions import Mark, Revision
from wsauthz.tenancy.transaction import AuditNote, Caller, audit_entry

_log = logging.getLogger(__name__)

_BY: Final = Caller(caller="server", actor="", method="database/restored")


def renew(database: Database, have: Revision, seen: Mark, keys: AuditKeys) -> None:
    """Begin a new epoch of a database that has lost a revision which this server has seen, unless others have done so.

    Raises:
        Unavailable: the database does not answer.

    """
    with database.write() as connection:
        if revisions.renew_epoch(connection, have, seen):
            _audit(connection, have, keys)


def _audit(connection: Connection, have: Revision, keys: AuditKeys) -> None:
    now = revisions.current(connection)
    before, after = ({"epoch": each.epoch, "revision": each.value} for each in (have, now))
    note = AuditNote(target_kind="database", target_id=have.epoch, place=PLATFORM, before=before, after=after)
    try:
        audit.append(connection, [audit_entry(_BY, note, revisions.database_time(connection))], None, keys=keys)
    except AuditKeyMissing as missing:  # a new epoch keeps wrong answers away; it must not depend on a key
        _log.error("a restore is missing from the audit", extra={"problem": str(missing)})
