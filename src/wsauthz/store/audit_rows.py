"""Audit entries as they are in the database, read without trusting them.

People who can write the table may have spoiled one. A driver that parses a column raises for a whole
page of rows. So columns are fetched in forms that drivers leave alone, and each entry is parsed on its own.
"""

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, LargeBinary, Select, Text, cast, select

from wsauthz.store.tables import audit_entries

_Parser = Callable[[Any], Any]

_LONGEST_JSON: Final = 1 << 20
_DEEPEST_JSON: Final = 32
_NUMBERS: Final = range(-(2**63), 2**63)
_ATTEMPTS: Final = range(2**31)


class Unreadable(Exception):
    """An entry that no server has written like this; ``str()`` says which part of it, and never repeats it."""


def rows(connection: Connection) -> Select[Any]:
    """Return the query for entries in their raw forms, in no order."""
    is_sqlite = connection.dialect.name == "sqlite"
    columns: list[Any] = []
    for column in audit_entries.c:
        if is_sqlite:  # any column may hold anything there, even text that is not UTF-8
            columns.append(cast(column, LargeBinary).label(column.name))
        else:
            columns.append(cast(column, Text).label(column.name) if column.name in {"before", "after"} else column)
    return select(*columns)


def values(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of an entry by column, as they were when it was written.

    Raises:
        Unreadable: one of them is not of the kind that servers write.

    """
    found: dict[str, Any] = {}
    for name, value in row.items():
        parse: _Parser = _PARSERS.get(name, _text)
        try:
            found[name] = parse(value)
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise Unreadable(f"{name} cannot be read") from None
    return found


def number_of(row: Mapping[str, Any]) -> int:
    """Return the number of an entry that cannot be read; 0: not even that."""
    try:
        return _number(row["number"])
    except (ValueError, TypeError, OverflowError):
        return 0


def _text(value: Any) -> str:
    text = value.decode() if isinstance(value, bytes) else value
    if not isinstance(text, str):
        raise TypeError
    return text


def _number(value: Any) -> int:
    number = value if isinstance(value, int) else int(_text(value))
    if number not in _NUMBERS or (number != value and str(number) != _text(value)):
        raise ValueError
    return number


def _attempts(value: Any) -> int:
    number = _number(value)
    if number not in _ATTEMPTS:
        raise ValueError
    return number


def _maybe_number(value: Any) -> int | None:
    return None if value is None else _number(value)


def _instant(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    found = datetime.fromisoformat(_text(value))
    if found.tzinfo is not None:
        raise ValueError
    return found.replace(tzinfo=UTC)


def _object(value: Any) -> dict[str, Any]:
    text = _text(value)
    if len(text) > _LONGEST_JSON:
        raise ValueError
    found = json.loads(text, parse_int=_number, parse_float=_finite, parse_constant=_refused, object_pairs_hook=_unique)
    if not isinstance(found, dict):
        raise TypeError
    _check_depth(found, _DEEPEST_JSON)
    json.dumps(found, ensure_ascii=False).encode()  # raises for half a character, which no message takes
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _refused(_: str) -> float:
    raise ValueError


def _check_depth(value: Any, left: int) -> None:
    if not left:
        raise ValueError
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in within:
        _check_depth(each, left - 1)


_PARSERS: Final[Mapping[str, _Parser]] = {
    "number": _number,
    "revision": _maybe_number,
    "attempts": _attempts,
    "created_at": _instant,
    "before": _object,
    "after": _object,
}
"""Columns that are not texts."""
