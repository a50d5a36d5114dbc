"""Queries about memberships. Removed ones are not found, except by ``latest``."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select
from sqlalchemy import update as update_rows

from wsauthz.model.memberships import Membership
from wsauthz.model.places import PlaceKey
from wsauthz.store import rows
from wsauthz.store.tables import memberships, users, workspaces

_LIVE = memberships.c.deleted_at.is_(None)


def add(connection: Connection, membership: Membership) -> None:
    """Store a new membership.

    Raises:
        AlreadyMember: the user has a live one in the place. IdTaken: there is, or was, one with the id.

    """
    rows.add(connection, memberships, membership)


def update(connection: Connection, membership_id: str, values: Mapping[str, Any]) -> None:
    """Change fields of a membership; ``deleted_at`` among them removes it."""
    rows.update(connection, memberships, memberships.c.id == membership_id, values)


def remove(
    connection: Connection, membership_ids: Iterable[str], *, now: datetime, removed_by: str | None = None
) -> None:
    """Mark memberships as removed; ``removed_by`` None: by the user itself."""
    for ids in rows.batches(membership_ids):
        gone = update_rows(memberships).where(memberships.c.id.in_(ids), _LIVE)
        connection.execute(gone.values(deleted_at=now, updated_at=now, removed_by=removed_by))


def remove_in(connection: Connection, workspace_ids: Iterable[str], *, now: datetime) -> None:
    """Mark every membership in the workspaces as removed."""
    gone = {"deleted_at": now, "updated_at": now}
    for ids in rows.batches(workspace_ids):
        rows.update_many(connection, memberships, memberships.c.workspace_id.in_(ids) & _LIVE, gone)


def remove_in_organization(connection: Connection, organization_id: str, *, now: datetime) -> None:
    """Mark every membership in the organization itself as removed."""
    gone = {"deleted_at": now, "updated_at": now}
    rows.update_many(connection, memberships, _in(("organization", organization_id)) & _LIVE, gone)


def find(connection: Connection, place: PlaceKey, user_id: str) -> Membership | None:
    """Return the user's live membership in the place itself; None: there is none."""
    held = select(memberships).where(_in(place), memberships.c.user_id == user_id, _LIVE)
    return rows.find(connection, Membership, held)


def latest(connection: Connection, place: PlaceKey, user_id: str) -> Membership | None:
    """Return the user's live membership in the place itself, else the one removed last; None: there never was one."""
    had = select(memberships).where(_in(place), memberships.c.user_id == user_id)
    newest = had.order_by(memberships.c.deleted_at.desc().nulls_first(), memberships.c.created_at.desc()).limit(1)
    return rows.find(connection, Membership, newest)


def of_user(connection: Connection, user_id: str) -> list[Membership]:
    """Return every live membership of a user, by id."""
    held = select(memberships).where(memberships.c.user_id == user_id, _LIVE)
    return rows.find_all(connection, Membership, held.order_by(memberships.c.id))


def bringing(
    connection: Connection, organization_id: str, user_ids: Iterable[str], *, now: datetime
) -> list[Membership]:
    """Return the users' memberships in workspaces of the organization that are live, active and not expired."""
    found: list[Membership] = []
    counts = and_(_LIVE, memberships.c.is_active, _unexpired(now))
    inside = and_(workspaces.c.organization_id == organization_id, workspaces.c.deleted_at.is_(None))
    joined = select(memberships).join(workspaces, workspaces.c.id == memberships.c.workspace_id)
    for ids in rows.batches(user_ids):
        theirs = joined.where(memberships.c.user_id.in_(ids), counts, inside)
        found += rows.find_all(connection, Membership, theirs.order_by(memberships.c.id))
    return found


def derived_along_with(connection: Connection, workspace_ids: Iterable[str]) -> list[Membership]:
    """Return the derived memberships of organizations that memberships in one of their workspaces, of these, bring."""
    member = memberships.alias("member")
    found: dict[str, Membership] = {}
    for ids in rows.batches(workspace_ids):
        inside = (
            select(member.c.id)
            .join(workspaces, workspaces.c.id == member.c.workspace_id)
            .where(
                member.c.workspace_id.in_(ids),
                member.c.deleted_at.is_(None),
                member.c.user_id == memberships.c.user_id,
                workspaces.c.organization_id == memberships.c.organization_id,
            )
        )
        theirs = select(memberships).where(_LIVE, memberships.c.is_derived, inside.exists())
        found.update({each.id: each for each in rows.find_all(connection, Membership, theirs)})
    return list(found.values())


def of_places(connection: Connection, places: Iterable[PlaceKey]) -> list[Membership]:
    """Return every live membership in the places, each place's by user id."""
    return [
        membership
        for place in places
        for membership in rows.find_all(
            connection, Membership, select(memberships).where(_in(place), _LIVE).order_by(memberships.c.user_id)
        )
    ]


def had_any(connection: Connection, user_id: str, places: Iterable[PlaceKey]) -> bool:
    """Tell whether the user has or ever had a membership in one of the places themselves."""
    rows_there = select(memberships.c.id).where(memberships.c.user_id == user_id, or_(*map(_in, places)))
    return connection.execute(rows_there.limit(1)).first() is not None


def longest_standing(
    connection: Connection, place: PlaceKey, roles: Iterable[str], *, besides: str, now: datetime
) -> str | None:
    """Return the user who has had an active, unexpired membership with one of the roles for the longest time.

    A deactivated account does not count: it could not act as the owner it would be.
    """
    counts = and_(_in(place), _able(now), memberships.c.role.in_(roles), memberships.c.user_id != besides)
    first = select(memberships.c.user_id).where(counts).order_by(memberships.c.joined_at, memberships.c.id).limit(1)
    return connection.execute(first).scalar()


def find_able(connection: Connection, place: PlaceKey, user_id: str, *, now: datetime) -> Membership | None:
    """Return the user's membership in the place itself if it counts now; None: it is not active, or there is none."""
    held = select(memberships).where(_in(place), memberships.c.user_id == user_id, _able(now))
    return rows.find(connection, Membership, held)


def owner_candidates(
    connection: Connection,
    workspace_id: str,
    *,
    besides: str,
    most_owned: int,
    now: datetime,
    after: str,
    limit: int,
    query: str = "",
) -> list[Membership]:
    """Return up to ``limit`` memberships that count now, of known users who own fewer workspaces than ``most_owned``.

    By user id, from the first one after a user id on. ``query`` is part of the user's name or address, in any case.
    """
    able = select(memberships).where(_in(("workspace", workspace_id)), _able(now), memberships.c.user_id != besides)
    owned = select(workspaces.c.id).where(
        workspaces.c.owner_user_id == memberships.c.user_id, workspaces.c.deleted_at.is_(None)
    )
    # As many as they may are counted, however many there are.
    account = users.alias("account")  # a search joins the users, too
    known = select(account.c.id).where(account.c.id == memberships.c.user_id)
    found = able.where(memberships.c.user_id > after, known.exists(), ~owned.limit(1).offset(most_owned - 1).exists())
    if query:
        found = _searched(found, query)
    return rows.find_all(connection, Membership, found.order_by(memberships.c.user_id).limit(limit))


def page(
    connection: Connection,
    place: PlaceKey,
    *,
    after: str,
    limit: int,
    query: str = "",
    role: str = "",
    is_active: bool | None = None,
) -> list[Membership]:
    """Return up to ``limit`` live memberships in the place itself, by user id, from the first one after a user id on.

    ``query`` is part of the user's name or address, in any case; ``role`` and ``is_active`` take only those.
    """
    found = select(memberships).where(_in(place), _LIVE, memberships.c.user_id > after)
    if query:
        found = _searched(found, query)
    if role:
        found = found.where(memberships.c.role == role)
    if is_active is not None:
        found = found.where(memberships.c.is_active == is_active)
    return rows.find_all(connection, Membership, found.order_by(memberships.c.user_id).limit(limit))


def every(connection: Connection) -> Iterator[Membership]:
    """Yield all live memberships, by id; streamed."""
    return rows.stream(connection, Membership, select(memberships).where(_LIVE).order_by(memberships.c.id))


def _able(now: datetime) -> ColumnElement[bool]:
    """Live, active and not expired, and not of a deactivated account; nobody has deactivated a user we do not know."""
    account = users.alias("account")  # a search joins the users, too
    deactivated = select(account.c.id).where(account.c.id == memberships.c.user_id, account.c.is_active.is_(False))
    return and_(
        _LIVE,
        memberships.c.is_active,
        _unexpired(now),
        ~deactivated.exists(),
    )


def _unexpired(now: datetime) -> ColumnElement[bool]:
    return or_(memberships.c.expires_at.is_(None), memberships.c.expires_at > now)


def _searched(found: Select[Any], query: str) -> Select[Any]:
    """Return those of the memberships whose user's name or address holds the text, in any case."""
    part = query.lower()
    return found.join(users, users.c.id == memberships.c.user_id).where(
        or_(func.lower(users.c.name).contains(part, autoescape=True), users.c.email.contains(part, autoescape=True))
    )


def _in(place: PlaceKey) -> ColumnElement[bool]:
    kind, place_id = place
    if kind == "workspace":
        return memberships.c.workspace_id == place_id
    if kind == "organization":
        return memberships.c.organization_id == place_id
    return and_(memberships.c.workspace_id.is_(None), memberships.c.organization_id.is_(None))
