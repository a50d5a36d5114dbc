"""Deleting what is kept for a day: changes, and the answers to named requests. Everything else stays for good.

Every server does it now and then, on its own; that several do it at once does no harm.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from wsauthz.metrics import Metrics
from wsauthz.replica import background
from wsauthz.store import request_ids, revisions
from wsauthz.store.database import Connection, Database

_log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 3600.0
"""How often it is done, give or take a half: servers that started together should not all do it together."""
_MOST_AT_ONCE: Final = 1_000
"""Rows deleted in one transaction; other writers wait for it."""
_PAUSE_SECONDS: Final = 0.05
"""Between two transactions, so that other writers come in between."""


class Retention:
    """Prunes a database while an event loop runs."""

    def __init__(self, database: Database, metrics: Metrics) -> None:
        self._database = database
        self._metrics = metrics
        self._stopping = False
        self._pruning: asyncio.Task[None] | None = None
        self._running: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Prune from now on, for the first time after a while."""
        self._pruning = background.keep_running("prune", self._prune)

    async def stop(self) -> None:
        """Prune no more, once the transaction that is under way has ended."""
        self._stopping = True
        if self._pruning is not None:
            await background.stop(self._pruning)
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)

    async def _prune(self) -> None:
        """Prune again and again; what goes wrong is logged and tried again the next time."""
        while True:
            await asyncio.sleep(EVERY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - it only spreads them
            self._running = asyncio.get_running_loop().run_in_executor(None, self._prune_once)
            await asyncio.shield(self._running)

    def _prune_once(self) -> None:
        found: Counter[str] = Counter()
        try:
            for kind, count in prune(self._database):
                found[kind] += count
                self._metrics.pruned[kind] += count
                if self._stopping:
                    break
        except Exception:  # noqa: BLE001 - see above
            _log.exception("pruning failed; it is tried again later")
        if found:
            _log.info("pruned", extra={"pruned": dict(found)})


def prune(database: Database) -> Iterator[tuple[str, int]]:
    """Delete what is old enough, a little in each transaction; yield the kind and how many rows after each of them.

    Raises:
        Unavailable: the database does not answer, or other writers take too long; what was deleted stays deleted.

    """
    for kind, some in (("changes", _changes), ("request_ids", _request_ids)):
        while True:
            with database.write() as connection:
                count = some(connection)
            if not count:
                break
            yield kind, count
            time.sleep(_PAUSE_SECONDS)


def _changes(connection: Connection) -> int:
    before = revisions.database_time(connection) - revisions.RETENTION
    return revisions.prune_changes(connection, before, limit=_MOST_AT_ONCE)


def _request_ids(connection: Connection) -> int:
    return request_ids.prune(connection, now=revisions.database_time(connection), limit=_MOST_AT_ONCE)
