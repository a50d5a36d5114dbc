"""Many new rows at once by PostgreSQL's COPY, which takes a fraction of the time that statements take."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import psycopg
from psycopg.types.json import Json
from sqlalchemy import Connection, Table

from wsauthz.store.refusals import refusal
from wsauthz.store.types import JsonNoun

_REMEMBERED: Final = 1_024
"""Values of a column that are not converted again."""


def copy(connection: Connection, table: Table, names: tuple[str, ...], nouns: Iterable[Any]) -> None:
    """Store nouns with these fields as new rows, within the transaction of the connection.

    Raises:
        Refused: as the constraint that is violated says, or because the storage fails.

    """
    driver: Any = connection.connection.driver_connection
    columns = ", ".join(f'"{name}"' for name in names)
    fields = attrgetter(*names)
    processors = [_processor(connection, table, name) for name in names]
    changed = [(place, process) for place, process in enumerate(processors) if process is not None]
    try:
        with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copying:
            for noun in nouns:
                values = list(fields(noun))
                for place, process in changed:
                    values[place] = process(values[place])
                copying.write_row(values)
    except psycopg.Error as error:
        refused = refusal(error, None)
        if refused is None:
            raise
        raise refused from None


def _processor(connection: Connection, table: Table, name: str) -> Callable[[Any], Any] | None:
    """Return what makes of a value of the column what PostgreSQL reads; None: the driver does that by itself."""
    kind = table.c[name].type
    bind = kind.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    if bind is None:
        return None

    def process(value: Any) -> Any:
        bound = bind(value)
        if isinstance(bound, Json):
            return json.dumps(bound.obj)
        return bound.isoformat() if isinstance(bound, datetime) else bound

    # Times and lists are the same in most rows of an import; what is in a JSON object may not even be hashable.
    return process if isinstance(kind, JsonNoun) else lru_cache(maxsize=_REMEMBERED)(process)
