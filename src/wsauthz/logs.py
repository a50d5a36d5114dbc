"""Structured logs: one JSON object a line, without SQL, tokens or addresses."""

import logging
import sys
import traceback
from types import TracebackType
from typing import Final, TypeAlias

from pythonjsonlogger.json import JsonFormatter

_Raised: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_TALKATIVE: Final = ("psycopg", "sqlalchemy", "sqlite3")
"""Packages whose exceptions quote rows; of them only the type is logged."""


class _Formatter(JsonFormatter):
    def formatException(self, ei: _Raised) -> str:  # noqa: N802 - the name logging calls
        """Return the traceback, without what exceptions of the database say."""
        error = ei[1]
        parts: list[str] = []
        while error is not None:
            kind = type(error)
            quiet = kind.__module__.startswith(_TALKATIVE)
            said = f"{kind.__module__}.{kind.__qualname__}" if quiet else f"{kind.__qualname__}: {error}"
            parts.append("".join(traceback.format_tb(error.__traceback__)) + said)
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\nafter:\n".join(parts)


def configure(level: str) -> None:
    """Log to standard error from now on; ``level`` is a name such as ``info``."""
    handler = logging.StreamHandler(sys.stderr)
    names = {"levelname": "level", "name": "logger"}
    handler.setFormatter(_Formatter("%(levelname)s %(name)s %(message)s", rename_fields=names, timestamp="time"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for talkative in ("alembic", "asyncio"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
