"""Keys from outside the database that audit entries are signed with, so that its readers cannot make entries."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wsauthz.model.errors import AuditKeyMissing
from wsauthz.store.revisions import AuditEnd

OWN: Final = ""
"""The id of the key that is in the database."""
_ID_LENGTH: Final = 12


@dataclass(frozen=True, slots=True)
class _Key:
    id: str
    secret: bytes


class AuditKeys:
    """The keys that a process has. The first one signs, all verify; without any, the database's own key does both.

    Each database knows in which order its keys were first used, and no key is used again after a later one. So while
    the servers of a database get a new key one after another, all that know it sign with it once the first one has.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._keys = {_id_of(secret): secret.encode() for secret in secrets}
        self.ids: Final = tuple(self._keys)

    def signing(self, end: AuditEnd) -> tuple[str, bytes]:
        """Return id and secret of the key for the next entry.

        Raises:
            AuditKeyMissing: the chain is signed with a key that this process does not have.

        """
        used, first = end.key_ids, self.ids[0] if self.ids else OWN
        newest = used[-1] if used else OWN
        if first != OWN and first not in used:
            return first, self._keys[first]
        if newest == OWN:
            return OWN, end.secret
        if newest not in self._keys:
            raise AuditKeyMissing(newest)
        return newest, self._keys[newest]

    def find(self, key_id: str, own: bytes) -> bytes | None:
        """Return the secret of a key; None: this process does not have it. ``own``: the one in the database."""
        return own if key_id == OWN else self._keys.get(key_id)


def _id_of(secret: str) -> str:
    """Return what a key is called: a hash, which tells nothing of a key that is long enough."""
    return hashlib.sha256(b"wsauthz audit key " + secret.encode()).hexdigest()[:_ID_LENGTH]
