"""The time of the database, told between two polls by the monotonic clock and never by the clock of this machine."""

import math
from time import monotonic


class DatabaseClock:
    """Tells the database's time. It is never behind it, and never goes back.

    Set on the event loop, read from any thread. While the database is silent it goes on by itself.
    """

    def __init__(self) -> None:
        self._ahead = 0.0
        """Seconds from the monotonic clock to the time of the database."""
        self._sent_at = -math.inf
        self._reached = 0.0
        """The time when the clock was last set. A clock that the database has set back stands still until then."""

    def set(self, seconds: float, *, sent_at: float) -> None:
        """Take the time that the database told, in Unix seconds, as that of the moment the question was sent.

        ``sent_at`` is by the monotonic clock. A slow answer makes memberships expire early, by what the answer took,
        and never late. An answer to an earlier question than the last one is left out.
        """
        if sent_at > self._sent_at:
            self._reached = self.now()
            self._sent_at, self._ahead = sent_at, seconds - sent_at

    def now(self) -> float:
        """Return the database's time in Unix seconds."""
        now = monotonic() + self._ahead
        return max(self._reached, now)
