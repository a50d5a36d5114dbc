"""The causes for which the database failed calls, in the log; callers are not told them."""

import logging
import math
import time
from typing import Final

_log = logging.getLogger(__name__)

_REPORT_SECONDS: Final = 60.0
_MOST_REPORTED: Final = 100


class Causes:
    """Logs each cause once a minute, however many calls fail for it; it is used on the event loop only."""

    def __init__(self) -> None:
        self._reported: dict[str, float] = {}

    def report(self, cause: str) -> None:
        """Log why the database failed a call, unless it was just logged."""
        now = time.monotonic()
        if now - self._reported.get(cause, -math.inf) >= _REPORT_SECONDS:
            if len(self._reported) >= _MOST_REPORTED:
                self._reported.clear()
            self._reported[cause] = now
            _log.error("the database failed a call", extra={"cause": cause})
