"""Reading what was done, and checking that the record of it is whole. Writing it: ``Transaction.audit``."""

from wsauthz.model.places import PlaceKey
from wsauthz.store import audit
from wsauthz.store.audit import ListedEntry, Verification
from wsauthz.tenancy.transaction import Reading


def list_(reading: Reading, *, place: PlaceKey, before: int | None, limit: int) -> tuple[list[ListedEntry], bool]:
    """Return up to ``limit`` entries about exactly this place, the newest first, and whether there are more.

    ``before``: only entries with smaller numbers; None: from the newest on.
    """
    found = audit.in_place(reading.connection, place, before=before, limit=limit + 1)
    return found[:limit], len(found) > limit


def verify(reading: Reading) -> Verification:
    """Recompute the whole chain on one snapshot, while others write."""
    return audit.verify(reading.connection)
