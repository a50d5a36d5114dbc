"""One pass over all memberships, user by user, then what must hold of places and users."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from wsauthz.model.memberships import Membership
from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.policy.catalog import Catalog
from wsauthz.store import bulk
from wsauthz.store import organizations as organization_rows
from wsauthz.store import users as user_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.store.database import Connection
from wsauthz.tenancy.owners import owner_roles
from wsauthz.tenancy.row_checks.findings import Call, Finding, remove_member, shown, update_member, upsert_user
from wsauthz.tenancy.row_checks.organization_members import OrganizationMembers


@dataclass(slots=True)
class _Standing:
    """Of one place: whether somebody has an owner-like role that counts, and who else has been there the longest."""

    has_owner: bool = False
    joined_at: datetime | None = None
    user: str = ""


def check_rows(connection: Connection, catalog: Catalog, now: datetime) -> Iterator[Finding]:
    """Yield every row that needs a look; nothing is changed.

    ``now`` is the database's time. Users and places are held in memory, memberships are streamed.
    """
    users = {user.id: user.is_active for user in user_rows.every(connection)}
    owner_of = {workspace.id: workspace.owner_user_id for workspace in workspace_rows.every(connection)}
    places: dict[PlaceKey, _Standing] = {PLATFORM: _Standing()}
    places |= {("organization", each.id): _Standing() for each in organization_rows.every(connection)}
    places |= {("workspace", each): _Standing() for each in owner_of}
    above = bulk.organizations_of_workspaces(connection)
    inside = OrganizationMembers(catalog, now, above, owner_of)
    for user, group in groupby(bulk.memberships_by_user(connection), lambda row: row.user_id):
        rows = list(group)
        live = [row for row in rows if row.deleted_at is None and row.place in places]
        yield from (_of_deleted(row) for row in rows if row.deleted_at is None and row.place not in places)
        # Workspaces first: removing somebody from an organization removes them from its workspaces.
        for row in sorted(live, key=lambda row: row.place, reverse=True):
            yield from _of_membership(row, catalog, is_known=user in users)
            _note(places[row.place], row, catalog, now, is_able=users.get(user, False))
        yield from inside.check(user, [row for row in rows if row.deleted_at is not None], live)
    yield from _of_owners(places, catalog)
    yield from _of_primary_owners(places, owner_of, users)
    yield from _of_users(connection, owner_of)


def _of_deleted(row: Membership) -> Finding:
    return Finding(text=f"{_member(row)}: the place was deleted, and nothing uses the row", calls=())


def _of_membership(row: Membership, catalog: Catalog, *, is_known: bool) -> Iterator[Finding]:
    place, user, kind = row.place, row.user_id, row.place[0]
    if not is_known:
        calls = [upsert_user(user)] if place == PLATFORM else [upsert_user(user), remove_member(place, user)]
        yield Finding(text=f"{_member(row)}: the user is unknown", calls=tuple(calls))
    role = catalog.roles.get(row.role)
    given = {catalog.creator_role, catalog.former_owner_role} if kind == "workspace" else set[str]()
    if role is None or kind not in role.places or not (role.assignable or row.role in given):
        text = f"{_member(row)}: the bundle does not give the role {row.role!r} here"
        if place == PLATFORM:
            yield Finding(text=f"{text}; `wsauthz platform revoke` takes it away", calls=())
        else:
            yield Finding(text=text, calls=(update_member(place, user, role=catalog.default_role(kind)),))
    elif role.owner_like and row.terms != (None, None):
        text = f"{_member(row)}: an owner-like role has no expiry and no module list"
        yield Finding(text=text, calls=(update_member(place, user, modules=None, expires_at=None),))


def _note(standing: _Standing, row: Membership, catalog: Catalog, now: datetime, *, is_able: bool) -> None:
    if not (is_able and row.brings(now)):
        return
    if row.role in owner_roles(catalog, row.place[0]):
        standing.has_owner = True
    elif standing.joined_at is None or row.joined_at < standing.joined_at:
        standing.joined_at, standing.user = row.joined_at, row.user_id


def _of_owners(places: dict[PlaceKey, _Standing], catalog: Catalog) -> Iterator[Finding]:
    """Yield organizations without an owner, and workspaces where the bundle has several owners and they have none."""
    for place, standing in places.items():
        roles = owner_roles(catalog, place[0])
        is_needed = place[0] == "organization" or (place[0] == "workspace" and catalog.ownership_multiple)
        if roles and is_needed and not standing.has_owner:
            values = {"role": roles[-1], "modules": None, "expires_at": None}
            calls = (update_member(place, standing.user, **values),) if standing.user else ()
            yield Finding(text=f"{shown(place)}: has no owner", calls=calls)


def _of_primary_owners(
    places: dict[PlaceKey, _Standing], owner_of: dict[str, str], users: dict[str, bool]
) -> Iterator[Finding]:
    for workspace_id, owner in owner_of.items():
        if owner in users:
            continue
        calls = [upsert_user(owner)]
        if heir := places["workspace", workspace_id].user:
            request = {"workspace_id": workspace_id, "user_id": heir}
            calls.append(Call(method="WorkspaceStateService/TransferOwnership", request=request))
        text = f"{shown(('workspace', workspace_id))}: the primary owner {owner} is unknown"
        yield Finding(text=text, calls=tuple(calls))


def _of_users(connection: Connection, workspaces: dict[str, str]) -> Iterator[Finding]:
    for user in user_rows.every(connection):
        if user.default_workspace_id is not None and user.default_workspace_id not in workspaces:
            call = Call(method="UserService/UpdateProfile", request={"default_workspace_id": ""}, actor=user.id)
            yield Finding(text=f"user {user.id}: the default workspace does not exist", calls=(call,))
        if user.email_verified and user.email is None:
            call = upsert_user(user.id, email_verified=False)
            yield Finding(text=f"user {user.id}: no address, and it counts as verified", calls=(call,))


def _member(row: Membership) -> str:
    return f"{shown(row.place)}, user {row.user_id}"
