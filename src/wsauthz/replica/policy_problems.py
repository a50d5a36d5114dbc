"""Logging what is wrong with the bundle in force: at each load, and when it changes with the facts."""

import asyncio
import logging
from typing import Final

from wsauthz.replica.replica import Replica

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
_MOST_LOGGED: Final = 20


async def keep_logging(replica: Replica) -> None:
    """Log the problems of the bundle whenever it was read and whenever they are others; until cancelled.

    Facts change at any time: a workspace that a rule names may be deleted, and members may be imported.
    """
    logged: tuple[float, frozenset[tuple[str, str]]] = (0.0, frozenset())
    while True:
        problems = replica.bundle_problems()
        found = (replica.policy.loaded_at, frozenset((problem.kind, problem.subject) for problem in problems))
        if found != logged:
            if problems:
                texts = [problem.text for problem in problems[:_MOST_LOGGED]]
                _log.warning("the bundle in force has problems", extra={"count": len(problems), "problems": texts})
            elif logged[1]:
                _log.info("the bundle in force has no problems any more")
            logged = found
        await asyncio.sleep(_LOOK_SECONDS)
