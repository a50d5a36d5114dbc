"""Whether every write that is in a database is there whole."""

from contextlib import nullcontext

from sqlalchemy import Connection, select

from wsauthz.store import audit_verification
from wsauthz.store.tables import audit_entries, changes, revision


def whole_revisions(connection: Connection) -> int:
    """Return how many revisions there are, each of which has its changes and its line in the audit log.

    Raises:
        AssertionError: one is there by half, or the chain of the audit log is broken.

    """
    value = int(connection.execute(select(revision.c.value)).scalar_one())
    told = set(connection.execute(select(changes.c.revision)).scalars())
    audited = select(audit_entries.c.revision).where(audit_entries.c.revision.is_not(None))
    assert told == set(range(1, value + 1))
    assert set(connection.execute(audited).scalars()) == told
    assert not audit_verification.verify(lambda: nullcontext(connection)).problem
    return value
