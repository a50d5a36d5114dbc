"""Queries about organizations. Deleted ones are not found."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from wsauthz.model.organizations import Organization
from wsauthz.store import rows
from wsauthz.store.tables import organizations

_LIVE = organizations.c.deleted_at.is_(None)


def add(connection: Connection, organization: Organization) -> None:
    """Store a new organization.

    Raises:
        SlugTaken: a live one has the slug. IdTaken: there is, or was, one with the id.

    """
    rows.add(connection, organizations, organization)


def update(connection: Connection, organization_id: str, values: Mapping[str, Any]) -> None:
    """Change fields of an organization.

    Raises:
        SlugTaken: another live one has the slug.

    """
    rows.update(connection, organizations, organizations.c.id == organization_id, values)


def delete(connection: Connection, organization_id: str, *, now: datetime) -> None:
    """Mark an organization as deleted; its slug is free from now on."""
    update(connection, organization_id, {"deleted_at": now, "updated_at": now})


def find(connection: Connection, organization_id: str) -> Organization | None:
    """Return the live organization; None: there is none."""
    return rows.find(
        connection, Organization, select(organizations).where(organizations.c.id == organization_id, _LIVE)
    )


def find_by_slug(connection: Connection, slug: str) -> Organization | None:
    """Return the live organization with the slug; None: there is none."""
    return rows.find(connection, Organization, select(organizations).where(organizations.c.slug == slug, _LIVE))


def find_many(connection: Connection, organization_ids: Iterable[str]) -> dict[str, Organization]:
    """Return those of the organizations that are live, by id."""
    found = rows.find_by_ids(connection, Organization, organizations, organization_ids)
    return {organization.id: organization for organization in found if organization.deleted_at is None}


def slugs_like(connection: Connection, slug: str) -> set[str]:
    """Return the slugs of live organizations that are this one, or this one with ``-`` and something behind it."""
    return rows.slugs_like(connection, organizations.c.slug, slug, _LIVE)


def every(connection: Connection) -> Iterator[Organization]:
    """Yield all live organizations, by id; streamed."""
    return rows.stream(connection, Organization, select(organizations).where(_LIVE).order_by(organizations.c.id))
