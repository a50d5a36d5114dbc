"""Rows as nouns: columns and fields have the same names, and the column types do the rest."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from importlib import import_module
from itertools import islice
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, insert, or_, select
from sqlalchemy import update as update_rows

Noun = TypeVar("Noun")

_BATCH: Final = 1000
"""How many ids one statement names, and how many rows are fetched at once; both databases take that many."""


def values_of(noun: Any) -> dict[str, Any]:
    """Return the fields of a noun by name; nothing is copied, and nouns within stay what they are."""
    return {field.name: getattr(noun, field.name) for field in fields(noun)}


def add(connection: Connection, table: Table, noun: Any) -> None:
    """Store a new noun."""
    connection.execute(insert(table), values_of(noun))


def put(connection: Connection, table: Table, values: Any) -> Any:
    """Return the insert of these values for the connection's database, which has ``on_conflict_do_update``."""
    dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")  # the other one is never loaded
    return dialect.insert(table).values(values)


def update(connection: Connection, table: Table, key: ColumnElement[bool], values: Mapping[str, Any]) -> None:
    """Change columns of the row with the key."""
    connection.execute(update_rows(table).where(key), values)


def update_many(connection: Connection, table: Table, condition: ColumnElement[bool], values: Mapping[str, Any]) -> int:
    """Change columns of every row the condition is true of, and return how many those are.

    A thousand to a statement: statements are cut off when they take too long.
    """
    ids = connection.execute(select(table.c.id).where(condition)).scalars().all()
    for some in batches(ids):
        connection.execute(update_rows(table).where(table.c.id.in_(some)), values)
    return len(ids)


def find(connection: Connection, noun: type[Noun], query: Select[Any]) -> Noun | None:
    """Return the only row of a query as a noun; None: there is none."""
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else noun(**cast("Mapping[str, Any]", row))


def find_all(connection: Connection, noun: type[Noun], query: Select[Any]) -> list[Noun]:
    """Return every row of a query as a noun."""
    return [noun(**cast("Mapping[str, Any]", row)) for row in connection.execute(query).mappings()]


def find_by_ids(connection: Connection, noun: type[Noun], table: Table, ids: Iterable[str]) -> list[Noun]:
    """Return the rows with the ids as nouns, in no order."""
    found: list[Noun] = []
    for some in batches(ids):
        found += find_all(connection, noun, select(table).where(table.c.id.in_(some)))
    return found


def stream(connection: Connection, noun: type[Noun], query: Select[Any]) -> Iterator[Noun]:
    """Yield every row of a query as a noun; fetches a thousand at a time."""
    with connection.execute(query, execution_options={"yield_per": _BATCH}) as result:
        for row in result.mappings():
            yield noun(**cast("Mapping[str, Any]", row))


def slugs_like(connection: Connection, column: Column[str], slug: str, among: ColumnElement[bool]) -> set[str]:
    """Return the slugs that are this one, or this one with ``-`` and something behind it."""
    alike = or_(column == slug, column.startswith(f"{slug}-", autoescape=True))
    return set(connection.execute(select(column).where(among, alike)).scalars())


def batches(values: Iterable[Noun]) -> Iterator[list[Noun]]:
    """Yield the values a thousand at a time."""
    left = iter(values)
    while some := list(islice(left, _BATCH)):
        yield some
