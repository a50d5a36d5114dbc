"""Organizations: creating, renaming, suspending, deleting and looking at them."""

from dataclasses import dataclass, replace
from typing import Any

from wsauthz.model import texts
from wsauthz.model.errors import OrganizationNotFound, WorkspaceNotFound
from wsauthz.model.identifiers import new_id, slugify
from wsauthz.model.organizations import Organization
from wsauthz.model.places import PLATFORM, PlaceKey, State
from wsauthz.store import changes
from wsauthz.store import memberships as membership_rows
from wsauthz.store import organizations as organization_rows
from wsauthz.tenancy import ceiling, deletion, owners, places, slugs, visibility
from wsauthz.tenancy.enrolment import enrol
from wsauthz.tenancy.transaction import Reading, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class UserOrganization:
    """An organization, and the role somebody's membership of it gives there."""

    organization: Organization
    role: str


def create(tx: Transaction, *, name: str, slug: str = "", within: str = "") -> Organization:
    """Create an organization with the actor as its first member; ``slug`` empty: made from the name.

    The actor gets the highest owner-like role for organizations, or the default one if the catalog has none.
    ``within`` is put before the names of fields in complaints.

    Raises:
        InvalidArgument: the name or the slug is not what it may be. SlugTaken: the explicit slug is taken.
        RoleCeiling: the actor's right to create organizations expires. UserNotFound: nobody has the actor's id.

    """
    visibility.check_known(tx.facts, tx.actor)
    ceiling.check_ownership(
        tx.facts,
        tx.now.timestamp(),
        giver=tx.actor,
        at=tx.facts.platform,
        may=lambda moment: tx.ask("organization", "create", PLATFORM, moment=moment).allowed,
    )
    name = texts.line(f"{within}name", name, texts.NAME_MOST, required=True)

    def taken(base: str) -> set[str]:
        return organization_rows.slugs_like(tx.connection, base)

    organization = Organization(
        id=new_id("organization"),
        name=name,
        slug=slugs.choose(slug, name, "organization", taken, field=f"{within}slug"),
        is_suspended=False,
        created_at=tx.now,
        updated_at=tx.now,
        deleted_at=None,
    )
    place: PlaceKey = ("organization", organization.id)
    organization_rows.add(tx.connection, organization)
    tx.changed(changes.organization(organization))
    tx.audit("organization", organization.id, place, after={"is_suspended": False})
    catalog = tx.rules.catalog
    role = next(iter(owners.owner_roles(catalog, "organization")), catalog.default_organization_role)
    enrol(tx, place, tx.actor, role=role)
    return organization


def rename(tx: Transaction, *, organization_id: str, name: str, workspace_id: str = "") -> Organization:
    """Give the organization a name, and the slug of that; return it. Repeating it changes nothing.

    With a workspace the slug ends with its id. Without one it is numbered as long as another organization has it.

    Raises:
        InvalidArgument: the name is not what it may be. OrganizationNotFound: there is none. WorkspaceNotFound: the
        workspace is not in the organization, or not one that the actor may view. SlugTaken: another organization has
        the slug that ends with the workspace's id.

    """
    name = texts.line("name", name, texts.NAME_MOST, required=True)
    organization = _live(tx, organization_id)

    def taken(base: str) -> set[str]:
        return organization_rows.slugs_like(tx.connection, base) - {organization.slug}

    if workspace_id:
        _check_within(tx, organization_id, workspace_id)
        slug = _slug_of_both(name, workspace_id)
    else:
        slug = slugs.choose("", name, "organization", taken)
    wanted: dict[str, Any] = {"name": name, "slug": slug}
    values = {field: value for field, value in wanted.items() if value != getattr(organization, field)}
    if not values:
        return organization
    organization_rows.update(tx.connection, organization_id, {**values, "updated_at": tx.now})
    tx.audit("organization", organization_id, ("organization", organization_id), after={"fields": sorted(values)})
    return replace(organization, **wanted, updated_at=tx.now)


def delete(tx: Transaction, *, organization_id: str) -> int:
    """Delete the organization with its workspaces and memberships; return how many workspaces went.

    Raises:
        OrganizationNotFound: there is none.

    """
    return deletion.delete_organization(tx, places.find(tx.facts, ("organization", organization_id)))


def suspend(tx: Transaction, *, organization_id: str) -> Organization:
    """Suspend the organization and so everything below it; return it. Repeating it changes nothing.

    Raises:
        OrganizationNotFound: there is none.

    """
    return _set_suspended(tx, organization_id, is_suspended=True)


def reinstate(tx: Transaction, *, organization_id: str) -> Organization:
    """Lift the organization's own suspension; return it. Repeating it changes nothing.

    Raises:
        OrganizationNotFound: there is none.

    """
    return _set_suspended(tx, organization_id, is_suspended=False)


def get(reading: Reading, *, organization_id: str) -> tuple[Organization, State]:
    """Return the organization and its effective state.

    Raises:
        OrganizationNotFound: there is none.

    """
    place: PlaceKey = ("organization", organization_id)
    state = reading.on_loop(lambda facts, _rules, _now: places.find(facts, place).state)
    organization = organization_rows.find(reading.connection, organization_id)
    if organization is None:
        raise OrganizationNotFound
    return organization, state


def list_of_user(reading: Reading, *, after: str, limit: int) -> tuple[list[UserOrganization], bool]:
    """Return up to ``limit`` organizations that the actor is in, by id, after an id, and whether there are more."""
    roles = {
        membership.organization_id: membership.role
        for membership in membership_rows.of_user(reading.connection, reading.actor)
        if membership.organization_id is not None and membership.organization_id > after
    }
    found = organization_rows.find_many(reading.connection, sorted(roles))
    listed = [UserOrganization(organization=found[each], role=roles[each]) for each in sorted(found)]
    return listed[:limit], len(listed) > limit


def _set_suspended(tx: Transaction, organization_id: str, *, is_suspended: bool) -> Organization:
    organization = _live(tx, organization_id)
    if organization.is_suspended == is_suspended:
        return organization
    values = {"is_suspended": is_suspended, "updated_at": tx.now}
    organization_rows.update(tx.connection, organization_id, values)
    changed = replace(organization, is_suspended=is_suspended, updated_at=tx.now)
    tx.changed(changes.organization(changed))
    place: PlaceKey = ("organization", organization_id)
    before = {"is_suspended": not is_suspended}
    tx.audit("organization", organization_id, place, before=before, after={"is_suspended": is_suspended})
    return changed


def _live(tx: Transaction, organization_id: str) -> Organization:
    organization = organization_rows.find(tx.connection, organization_id)
    if organization is None:
        raise OrganizationNotFound
    return organization


def _check_within(tx: Transaction, organization_id: str, workspace_id: str) -> None:
    """Refuse a workspace of another organization, and one that the actor may not view, exactly as an unknown one."""
    place: PlaceKey = ("workspace", workspace_id)
    at = tx.facts.places.get(place)
    is_inside = at is not None and places.organization_of(at) == organization_id
    if not is_inside or not tx.ask("workspace", "view", place).allowed:
        raise WorkspaceNotFound


def _slug_of_both(name: str, workspace_id: str) -> str:
    """Return the slugs of both with ``-`` between; cut where they are too long, the name's first, at its end."""
    tail = slugify(workspace_id, "workspace")[-(texts.SLUG_MOST // 2) :].lstrip("-")
    head = slugify(name, "organization")[: texts.SLUG_MOST - 1 - len(tail)].rstrip("-")
    return f"{head}-{tail}"
