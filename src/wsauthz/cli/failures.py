"""What went wrong, in sentences: for every failure that is not a mistake of this program."""

from collections.abc import Sequence
from typing import Final

from wsauthz.model.errors import AuditKeyMissing, Refused, Unavailable, Unusable
from wsauthz.settings import SettingsRefused

_DATABASE: Final = frozenset({"alembic", "psycopg", "sqlalchemy", "sqlite3"})
"""Packages whose errors at start are about the database: whatever else is wrong with it, it is not as expected."""
_MOST: Final = 100
"""Problems of one file that are printed."""


class Failed(Exception):
    """A command that cannot do what it was asked to; ``str()`` says why, a sentence for each line."""

    def __init__(self, *why: str) -> None:
        super().__init__("\n".join(why))


def sentences(error: Exception) -> list[str] | None:
    """Return what to say of a failure, line by line; None: it is a mistake of this program."""
    found: list[str] | None = None
    if isinstance(error, SettingsRefused):
        found = error.problems
    elif isinstance(error, AuditKeyMissing):
        found = [str(error)]
    elif isinstance(error, Unavailable):
        found = [f"The database is unavailable: {error.cause or 'it is unreachable, or locked by another process'}."]
    elif isinstance(error, OSError) and error.strerror:
        found = [f"{error.filename}: {error.strerror}" if error.filename else error.strerror]
    elif isinstance(error, Failed | Refused | Unusable | OSError):
        found = [str(error)]
    elif _is_of_the_database(error):
        from wsauthz.store.causes import cause_of  # noqa: PLC0415 - commands that need no database do not load it

        found = [f"The database reports an error: {cause_of(error)}."]
    return found


def _is_of_the_database(error: Exception) -> bool:
    return any(kind.__module__.partition(".")[0] in _DATABASE for kind in type(error).__mro__)


def listed(problems: Sequence[object]) -> list[str]:
    """Return the problems as lines; of very many only the first ones."""
    lines = [f"  {problem}" for problem in problems[:_MOST]]
    if len(problems) > _MOST:
        lines.append(f"  and {len(problems) - _MOST:,} more")
    return lines
