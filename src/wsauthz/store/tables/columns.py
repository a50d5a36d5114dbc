"""The columns that tables are made of."""

from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, MetaData, Text, text

from wsauthz.store.types import Instant, byte_text

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(constraint_name)s",
    }
)


def id_text(name: str = "id") -> Column[str]:
    """Return a column for ids and other words of programs: never absent, compared byte by byte."""
    return Column(name, byte_text(), nullable=False)


def maybe_id(name: str) -> Column[str | None]:
    """Return the same, which may be absent."""
    return Column(name, byte_text(), nullable=True)


def plain_text(name: str) -> Column[str]:
    """Return a column for what people write: never absent, at most empty."""
    return Column(name, Text, nullable=False, server_default=text("''"))


def flag(name: str) -> Column[bool]:
    """Return a column that is true or false."""
    return Column(name, Boolean, nullable=False)


def instant(name: str, *, nullable: bool = False) -> Column[Any]:
    """Return a column for a time."""
    return Column(name, Instant, nullable=nullable)


def workspace_id(*, nullable: bool = False) -> Column[Any]:
    """Return the column of what belongs to a workspace and goes when that is purged."""
    return Column("workspace_id", byte_text(), ForeignKey("workspaces.id", ondelete="CASCADE"), nullable=nullable)


def organization_id() -> Column[Any]:
    """Return the column of what may belong to an organization and goes when that is purged."""
    return Column("organization_id", byte_text(), ForeignKey("organizations.id", ondelete="CASCADE"), nullable=True)


def in_one_place(name: str) -> CheckConstraint:
    """Return the constraint on what is in a workspace, in an organization or at the platform."""
    return CheckConstraint("workspace_id IS NULL OR organization_id IS NULL", name=name)
