"""The revisions that are kept and their digests, by which a token is known; a token of a lost history is not."""

from array import array
from collections.abc import Iterable
from typing import Final, Self

from wsauthz.store.revisions import Revision

_NONE: Final = -1
"""The digest of a revision that has none."""


class History:
    """Revisions without a gap, up to the one that is held: eight bytes each."""

    def __init__(self) -> None:
        self._first = 0
        self._digests = array("q")

    @classmethod
    def of(cls, kept: Iterable[tuple[int, str]], held: Revision) -> Self:
        """Return the history of a database: the revisions whose changes are kept, and the newest one."""
        history = cls()
        if held.pruned == 0:
            history.add(0, "")  # nothing was ever written in it, so that every history of the epoch begins with it
        for value, digest in kept:
            history.add(value, digest)
        if not history.knows(held):
            history.add(held.value, held.digest)
        return history

    @property
    def newest(self) -> int:
        """The last revision."""
        return self._first + len(self._digests) - 1

    def add(self, value: int, digest: str) -> None:
        """Take in the next revision; one that does not follow has nothing before it."""
        if value != self._first + len(self._digests):
            self._first, self._digests = value, array("q")
        self._digests.append(int(digest, 16) if digest else _NONE)

    def forget(self, pruned: int) -> None:
        """Forget the revisions up to one, 0: none; the newest stays, even if its changes are not kept."""
        count = min(pruned + 1 - self._first, len(self._digests) - 1)
        if pruned and count > 0:
            self._first += count
            del self._digests[:count]

    def knows(self, revision: Revision) -> bool:
        """Tell whether this very revision is in the history."""
        index = revision.value - self._first
        if not 0 <= index < len(self._digests):
            return False
        return self._digests[index] == (int(revision.digest, 16) if revision.digest else _NONE)
