"""Column types that give back what a noun has: aware times, enums, tuples and nested dataclasses.

With them ``Workspace(**row)`` restores a noun from a row of ``.mappings()``, and ``insert`` of ``rows.values_of(noun)``
stores it, on SQLite and on PostgreSQL alike.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from datetime import UTC, datetime
from enum import IntEnum
from functools import cache
from typing import Any, Generic, TypeVar, get_type_hints

from sqlalchemy import JSON, DateTime, Dialect, SmallInteger, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

EnumT = TypeVar("EnumT", bound=IntEnum)
NounT = TypeVar("NounT")


def byte_text() -> TypeEngine[str]:
    """Return the type of ids, slugs and addresses: compared and sorted byte by byte on every database, as in Python."""
    return Text().with_variant(Text(collation="C"), "postgresql")


class Instant(TypeDecorator[datetime]):
    """An aware point in time: any offset going in, UTC coming out, to the microsecond.

    SQLite keeps the UTC time without an offset, as text that sorts by time. Compare with a parameter of this type only:
    SQLite's ``CURRENT_TIMESTAMP`` is written differently.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time in UTC.

        Raises:
            ValueError: the time is naive, so that nobody can tell which one it is.

        """
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError("a time without an offset cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the stored time, aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class Number(TypeDecorator[EnumT], Generic[EnumT]):
    """A member of an IntEnum, stored as its number, which is the proto's."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, enum: type[EnumT]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: EnumT | None, _dialect: Dialect) -> int | None:
        """Return the member's number.

        Raises:
            ValueError: the enum has no such member.

        """
        return None if value is None else int(self.enum(value))

    def process_result_value(self, value: Any | None, _dialect: Dialect) -> EnumT | None:
        """Return the member with the stored number."""
        return None if value is None else self.enum(value)


class JsonTuple(TypeDecorator[tuple[str, ...]]):
    """A tuple of texts, stored as a JSON list; SQL NULL is None, which is not the empty tuple."""

    impl = JSON
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(none_as_null=True)

    def process_bind_param(self, value: Iterable[str] | None, _dialect: Dialect) -> list[str] | None:
        """Return the list to be stored."""
        return None if value is None else list(value)

    def process_result_value(self, value: Any | None, _dialect: Dialect) -> tuple[str, ...] | None:
        """Return the stored list as a tuple."""
        return None if value is None else tuple(value)


class JsonNoun(TypeDecorator[NounT], Generic[NounT]):
    """A dataclass of plain values and further dataclasses, stored as a JSON object.

    It takes the dataclass or what ``asdict`` makes of it. Keys that the class lacks are passed over and fields that the
    object lacks have their defaults, so that two versions of the program can share a database.
    """

    impl = JSON
    cache_ok = True

    def __init__(self, noun: type[NounT]) -> None:
        super().__init__(none_as_null=True)
        self.noun = noun

    def process_bind_param(self, value: Any | None, _dialect: Dialect) -> dict[str, Any] | None:
        """Return the object to be stored."""
        if value is None:
            return None
        return asdict(value) if is_dataclass(value) and not isinstance(value, type) else dict(value)

    def process_result_value(self, value: Any | None, _dialect: Dialect) -> NounT | None:
        """Return the dataclass that was stored."""
        return None if value is None else _restore(self.noun, value)


def _restore(noun: type[NounT], values: Mapping[str, Any]) -> NounT:
    hints = _hints(noun)  # type: ignore[arg-type]  # classes are hashable
    arguments = {}
    for field in fields(noun):  # type: ignore[arg-type]  # a dataclass, as JsonNoun says
        if field.name in values:
            value, hint = values[field.name], hints[field.name]
            nested = isinstance(hint, type) and is_dataclass(hint)
            arguments[field.name] = _restore(hint, value) if nested else value
    return noun(**arguments)


@cache
def _hints(noun: Any) -> Mapping[str, Any]:
    """Return the types of the fields; to work them out anew for each row takes most of the time of a load."""
    return get_type_hints(noun)
