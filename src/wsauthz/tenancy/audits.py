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


def promises(found: Verification) -> list[str]:
    """Return what a verification proves and what it does not, a sentence each."""
    count, reached = found.head.count, found.reached
    said = []
    if count > found.unverifiable:
        which = f"Entries 1 to {count}"
        if found.unverifiable:
            which = f"{count - found.unverifiable} of the entries 1 to {count}"
        said.append(f"{which} are as they were written, and none of them is missing.")
    if found.unverifiable:
        names = ", ".join(found.unknown_keys)
        said.append(f"Unverifiable entries, signed with keys that are missing: {found.unverifiable} ({names}).")
    if found.own:
        said.append(
            f"Entries that are signed with the key in the database: {found.own};"
            " anybody who can read the database could have made them."
        )
    if reached:
        said.append(f"Entries 1 to {reached} are those whose head was published.")
    if reached < count or not count:
        after = f" after entry {reached}" if reached else ""
        said.append(
            f"Anybody who can write the database could have removed the newest entries{after}:"
            " compare with a published head."
        )
    return said
