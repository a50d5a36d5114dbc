"""Reading what was done, and checking that the record of it is whole. Writing it: ``Transaction.audit``."""

from wsauthz.model.places import PlaceKey
from wsauthz.store import audit
from wsauthz.store.audit import ListedEntry
from wsauthz.store.audit_verification import Verification
from wsauthz.tenancy.transaction import Reading


def list_(reading: Reading, *, place: PlaceKey, before: int | None, limit: int) -> tuple[list[ListedEntry], bool]:
    """Return up to ``limit`` entries about exactly this place, the newest first, and whether there are more.

    ``before``: only entries with smaller numbers; None: from the newest on.
    """
    found = audit.in_place(reading.connection, place, before=before, limit=limit + 1)
    return found[:limit], len(found) > limit


def promises(verification: Verification) -> list[str]:
    """Return what a verification proves and what it does not, a sentence each."""
    count, reached = verification.head.count, verification.reached
    found = []
    if count:
        found.append(f"Entries 1 to {count} are as they were written, and none of them is missing.")
        found.append("Anybody who can read the database has the key of these entries and could have made them.")
    if reached:
        found.append(f"Entries 1 to {reached} are those whose head was published.")
    if reached < count or not count:
        found.append(
            "Anybody who can write the database could have removed the newest entries"
            + (f" after entry {reached}" if reached else "")
            + ": compare with a published head."
        )
    return found
