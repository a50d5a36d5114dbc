"""Many nouns at once, for imports and exports: found by their keys, added and changed many to a statement."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Table, and_, bindparam, insert, or_, select, update

from wsauthz.model.invitations import Invitation
from wsauthz.model.memberships import Membership
from wsauthz.model.organizations import Organization
from wsauthz.model.places import PlaceKey
from wsauthz.model.subscriptions import Subscription
from wsauthz.model.users import User
from wsauthz.model.workspaces import Workspace
from wsauthz.store import rows
from wsauthz.store.tables import (
    invitations,
    invite_codes,
    memberships,
    organizations,
    subscriptions,
    users,
    workspaces,
)

_TABLES: Final[Mapping[type[Any], Table]] = {
    User: users,
    Organization: organizations,
    Workspace: workspaces,
    Membership: memberships,
    Invitation: invitations,
    Subscription: subscriptions,
}
_KEYS: Final[Mapping[type[Any], str]] = {Subscription: "workspace_id"}
_PARKED: Final = "~"
"""No slug, address or code begins with it."""


def find(connection: Connection, noun: type[rows.Noun], keys: Iterable[str]) -> dict[str, rows.Noun]:
    """Return the nouns with the ids, deleted ones too, by id; of subscriptions the ids are those of the workspaces."""
    table, key = _TABLES[noun], _KEYS.get(noun, "id")
    found: dict[str, rows.Noun] = {}
    for some in rows.batches(keys):
        query = select(table).where(table.c[key].in_(some))
        found.update({getattr(each, key): each for each in rows.find_all(connection, noun, query)})
    return found


def memberships_of(connection: Connection, user_ids: Iterable[str]) -> dict[tuple[PlaceKey, str], Membership]:
    """Return every live membership of the users, by place and user."""
    found: dict[tuple[PlaceKey, str], Membership] = {}
    for some in rows.batches(user_ids):
        held = select(memberships).where(memberships.c.user_id.in_(some), memberships.c.deleted_at.is_(None))
        found.update({(each.place, each.user_id): each for each in rows.find_all(connection, Membership, held)})
    return found


def removals_of(connection: Connection, user_ids: Iterable[str]) -> dict[tuple[PlaceKey, str, datetime], Membership]:
    """Return every removed membership of the users, by place, user and time."""
    found: dict[tuple[PlaceKey, str, datetime], Membership] = {}
    for some in rows.batches(user_ids):
        had = select(memberships).where(memberships.c.user_id.in_(some), memberships.c.deleted_at.is_not(None))
        removed = rows.find_all(connection, Membership, had)
        found.update({(each.place, each.user_id, each.deleted_at): each for each in removed if each.deleted_at})
    return found


def holders_of_emails(connection: Connection, emails: Iterable[str]) -> dict[str, str]:
    """Return who has which of the addresses: address -> user id."""
    found: dict[str, str] = {}
    for some in rows.batches(emails):
        having = select(users.c.email, users.c.id).where(users.c.email.in_(some))
        found.update({email: user_id for email, user_id in connection.execute(having) if email is not None})
    return found


def organization_slugs(connection: Connection) -> dict[str, str]:
    """Return the slug of every live organization -> its id."""
    live = select(organizations.c.slug, organizations.c.id).where(organizations.c.deleted_at.is_(None))
    return {row.slug: row.id for row in connection.execute(live)}


def workspace_slugs(connection: Connection, organization_ids: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return organization and slug of every live workspace of the organizations -> its id."""
    found: dict[tuple[str, str], str] = {}
    columns = (workspaces.c.organization_id, workspaces.c.slug, workspaces.c.id)
    for some in rows.batches(organization_ids):
        live = select(*columns).where(workspaces.c.organization_id.in_(some), workspaces.c.deleted_at.is_(None))
        found.update({(str(above), slug): identifier for above, slug, identifier in connection.execute(live)})
    return found


def codes(connection: Connection, workspace_ids: Iterable[str], wanted: Iterable[str]) -> dict[str, str]:
    """Return workspace id -> invite code, for the workspaces and for whoever has one of the wanted codes."""
    found: dict[str, str] = {}
    columns = (invite_codes.c.workspace_id, invite_codes.c.code)
    for column, values in zip(columns, (workspace_ids, wanted), strict=True):
        for some in rows.batches(values):
            having = connection.execute(select(*columns).where(column.in_(some)))
            found.update({row.workspace_id: row.code for row in having})
    return found


def add(connection: Connection, nouns: Sequence[Any]) -> None:
    """Store new nouns of one kind.

    Raises:
        AlreadyExists: one of them is there, or what is unique about it.

    """
    if not nouns:
        return
    table = _TABLES[type(nouns[0])]
    if connection.dialect.name == "postgresql":
        from wsauthz.store.copying import copy  # noqa: PLC0415 - it loads psycopg, which nobody needs on SQLite

        copy(connection, table, tuple(field.name for field in fields(nouns[0])), nouns)
    else:
        connection.execute(insert(table), [rows.values_of(noun) for noun in nouns])


def change(connection: Connection, nouns: Sequence[Any]) -> None:
    """Give the rows of nouns of one kind the values that the nouns have.

    Raises:
        AlreadyExists: another row has what is unique about one of them.

    """
    if not nouns:
        return
    table, key = _TABLES[type(nouns[0])], _KEYS.get(type(nouns[0]), "id")
    columns: dict[str, Any] = {
        column.name: bindparam(f"new_{column.name}") for column in table.columns if column.name != key
    }
    statement = update(table).where(table.c[key] == bindparam("of")).values(columns)
    connection.execute(
        statement,
        [
            {"of" if name == key else f"new_{name}": value for name, value in rows.values_of(noun).items()}
            for noun in nouns
        ],
    )


def park(connection: Connection, noun: type[Any], column: str, ids: Iterable[str]) -> None:
    """Set what is unique about these rows aside, so that they can exchange it; ``change`` must follow."""
    table = _TABLES[noun]
    for some in rows.batches(ids):
        connection.execute(update(table).where(table.c.id.in_(some)).values({column: _PARKED + table.c.id}))


def put_codes(connection: Connection, given: Mapping[str, str], had: Iterable[str], *, now: datetime) -> None:
    """Give workspaces their invite codes; ``had`` are those workspaces that have one, which is dead from now on."""
    old = {workspace_id for workspace_id in had if workspace_id in given}
    for some in rows.batches(sorted(old)):
        aside = update(invite_codes).where(invite_codes.c.workspace_id.in_(some))
        connection.execute(aside.values(code=_PARKED + invite_codes.c.workspace_id))
    if old:
        replace = update(invite_codes).where(invite_codes.c.workspace_id == bindparam("of"))
        changed = replace.values(code=bindparam("new_code"), updated_at=bindparam("at"))
        connection.execute(changed, [{"of": key, "new_code": given[key], "at": now} for key in sorted(old)])
    new = [key for key in given if key not in old]
    if new:
        times = {"is_enabled": True, "created_at": now, "updated_at": now}
        connection.execute(insert(invite_codes), [{"workspace_id": key, "code": given[key], **times} for key in new])


def memberships_by_place(connection: Connection) -> Iterator[Membership]:
    """Yield all live memberships - the platform's, those of organizations, those of workspaces - by place and user."""
    columns = memberships.c
    live = select(memberships).where(columns.deleted_at.is_(None))
    nowhere = and_(columns.workspace_id.is_(None), columns.organization_id.is_(None))
    yield from rows.stream(connection, Membership, live.where(nowhere).order_by(columns.user_id))
    for place in (columns.organization_id, columns.workspace_id):
        yield from rows.stream(connection, Membership, live.where(place.is_not(None)).order_by(place, columns.user_id))


def latest_removals(connection: Connection) -> Iterator[Membership]:
    """Yield what users without a membership had last in live organizations and workspaces, by place and user."""
    had, later = memberships, memberships.alias("later")
    newer = or_(
        later.c.deleted_at.is_(None),
        later.c.deleted_at > had.c.deleted_at,
        and_(later.c.deleted_at == had.c.deleted_at, later.c.created_at > had.c.created_at),
        and_(later.c.deleted_at == had.c.deleted_at, later.c.created_at == had.c.created_at, later.c.id > had.c.id),
    )
    for place, table in (("organization_id", organizations), ("workspace_id", workspaces)):
        same = and_(later.c[place] == had.c[place], later.c.user_id == had.c.user_id, newer)
        there = table.c.deleted_at.is_(None)
        last = select(had).join(table, table.c.id == had.c[place]).where(there, had.c.deleted_at.is_not(None))
        last = last.where(~select(later.c.id).where(same).exists())
        yield from rows.stream(connection, Membership, last.order_by(had.c[place], had.c.user_id))


def memberships_by_user(connection: Connection) -> Iterator[Membership]:
    """Yield all memberships, removed ones as well, by user and id."""
    every = select(memberships).order_by(memberships.c.user_id, memberships.c.id)
    yield from rows.stream(connection, Membership, every)


def organizations_of_workspaces(connection: Connection) -> dict[str, str | None]:
    """Return the organization of every workspace, be it deleted, by the workspace's id."""
    columns = (workspaces.c.id, workspaces.c.organization_id)
    return {row.id: row.organization_id for row in connection.execute(select(*columns))}


def live_subscriptions(connection: Connection) -> Iterator[Subscription]:
    """Yield the subscriptions of all live workspaces, by workspace."""
    of_live = select(subscriptions).join(workspaces, workspaces.c.id == subscriptions.c.workspace_id)
    live = of_live.where(workspaces.c.deleted_at.is_(None))
    yield from rows.stream(connection, Subscription, live.order_by(subscriptions.c.workspace_id))


def open_invitations(connection: Connection) -> Iterator[Invitation]:
    """Yield all invitations that are neither accepted nor revoked, by id."""
    columns = invitations.c
    still_open = select(invitations).where(columns.accepted_at.is_(None), columns.revoked_at.is_(None))
    yield from rows.stream(connection, Invitation, still_open.order_by(columns.id))
