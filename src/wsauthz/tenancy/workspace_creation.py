"""Creating workspaces: roots - in an organization, with a new one, or stand-alone - and children."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wsauthz.model import texts
from wsauthz.model.errors import Denied, LimitReached, NotOrgMember
from wsauthz.model.identifiers import new_id
from wsauthz.model.invite_codes import new_invite_code
from wsauthz.model.organizations import Organization
from wsauthz.model.places import MAX_DEPTH, PLATFORM, PlaceKey
from wsauthz.model.workspaces import Branding, Workspace, WorkspaceSettings
from wsauthz.policy.decision import decide
from wsauthz.policy.place import Place
from wsauthz.store import changes
from wsauthz.store import invite_codes as invite_code_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy import aftermath, ceiling, modules, organizations, places, slugs, visibility
from wsauthz.tenancy.enrolment import enrol, keep_modules
from wsauthz.tenancy.transaction import Transaction, refuse_unless_allowed
from wsauthz.tenancy.workspace_lists import is_first_workspace
from wsauthz.tenancy.workspaces import BRANDING

_NO_SETTINGS: Final = WorkspaceSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A new root workspace, and the organization if that is new, too."""

    workspace: Workspace
    organization: Organization | None
    is_first_workspace: bool
    """The actor had no live workspace membership before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrganization:
    """What a new organization is to be called; empty: like the workspace."""

    name: str = ""
    slug: str = ""


def create(
    tx: Transaction,
    *,
    name: str,
    slug: str = "",
    organization_id: str = "",
    new_organization: NewOrganization | None = None,
    module_list: Sequence[str] | None = None,
    settings: WorkspaceSettings = _NO_SETTINGS,
    **described: str,
) -> Created:
    """Create a root workspace with the actor as primary owner and first member.

    ``module_list`` None: every module of the catalog, in an organization of those that the actor holds there.
    ``described`` are further texts of the workspace.

    Raises:
        NotOrgMember: the actor has no live membership of the organization, or there is no such organization.
        PlaceSuspended, PlaceInactive: the organization is so. Denied: a new organization is not the actor's to create,
        or branding not its to customize. RoleCeiling: the actor's right to create it, or to a module, expires or does
        not include the module. InvalidArgument, UnknownModule: a value is not what its field may hold. SlugTaken: an
        explicit slug is taken. LimitReached: the actor owns as many workspaces as it may. UserNotFound: nobody has the
        actor's id.

    """
    was_first = is_first_workspace(tx.facts, tx.actor)
    name = texts.workspace_text("name", name)
    organization = None
    found = modules.check_known(tx.rules.catalog, tx.rules.catalog.modules if module_list is None else module_list)
    if organization_id:
        above = _find_organization(tx, organization_id)
        _check_lasting(tx, "create", above.key)
        found = modules.for_new(tx, above, "create", None if module_list is None else found)
    elif new_organization is not None:
        tx.require("organization", "create", PLATFORM)
        called, slug_of_it = new_organization.name or name, new_organization.slug
        organization = organizations.create(tx, name=called, slug=slug_of_it, within="new_organization.")
        organization_id = organization.id
    else:
        _check_lasting(tx, "create", PLATFORM)
    workspace = _found(
        tx,
        organization_id=organization_id or None,
        parent_workspace_id=None,
        name=name,
        slug=slug,
        modules=found,
        settings=settings,
        described=described,
    )
    return Created(workspace=workspace, organization=organization, is_first_workspace=was_first)


def create_child(
    tx: Transaction,
    *,
    parent_workspace_id: str,
    name: str,
    slug: str = "",
    module_list: Sequence[str] | None = None,
    settings: WorkspaceSettings = _NO_SETTINGS,
    **described: str,
) -> Workspace:
    """Create a workspace below another one, with the actor as primary owner and first member, and return it.

    ``module_list`` None: all modules of the parent that the actor holds. ``described`` are further texts.

    Raises:
        WorkspaceNotFound: there is no such parent. PlaceSuspended, PlaceInactive: the parent is so.
        LimitReached: the tree is too deep, or the parent or the actor has as many as they may.
        UnknownModule, ModuleNotInParent, ModuleNotInPlan, RoleCeiling: a module is not to be had.
        RoleCeiling: the actor's right to create it, or to a module, expires.
        Denied: branding is not the actor's to customize. InvalidArgument: a value is not what its field may hold.
        SlugTaken: an explicit slug is taken. UserNotFound: nobody has the actor's id.

    """
    place: PlaceKey = ("workspace", parent_workspace_id)
    parent = places.find(tx.facts, place)
    places.check_open(parent)
    _check_room_below(tx, parent)
    _check_lasting(tx, "create_child", place)
    found = modules.for_new(tx, parent, "create_child", None if module_list is None else tuple(module_list))
    return _found(
        tx,
        organization_id=places.organization_of(parent),
        parent_workspace_id=parent_workspace_id,
        name=name,
        slug=slug,
        modules=found,
        settings=settings,
        described=described,
    )


def _find_organization(tx: Transaction, organization_id: str) -> Place:
    """Return the organization; a foreign one is refused exactly as an unknown one (REQ-042)."""
    at = tx.facts.places.get(("organization", organization_id))
    if at is None or at not in tx.facts.grants.get(tx.actor, {}):
        raise NotOrgMember
    places.check_open(at)
    return at


def _check_lasting(tx: Transaction, action: str, place: PlaceKey) -> None:
    """Return if the actor's right to create a workspace there has no expiry: it becomes the owner."""
    ceiling.check_ownership(
        tx.facts,
        tx.now.timestamp(),
        giver=tx.actor,
        at=tx.facts.places[place],
        may=lambda moment: tx.ask("workspace", action, place, moment=moment).allowed,
    )


def _check_room_below(tx: Transaction, parent: Place) -> None:
    if places.depth(parent) >= MAX_DEPTH:
        raise LimitReached("depth", MAX_DEPTH)
    most = tx.rules.catalog.children_per_parent
    if len(parent.children) >= most:
        raise LimitReached("children_per_parent", most)


def _found(
    tx: Transaction,
    *,
    organization_id: str | None,
    parent_workspace_id: str | None,
    name: str,
    slug: str,
    modules: tuple[str, ...],
    settings: WorkspaceSettings,
    described: Mapping[str, str],
) -> Workspace:
    """Store a workspace with its code and its first member."""
    visibility.check_known(tx.facts, tx.actor)
    catalog = tx.rules.catalog
    if len(tx.facts.owned.get(tx.actor, ())) >= catalog.workspaces_per_owner:
        raise LimitReached("workspaces_per_owner", catalog.workspaces_per_owner)
    name = texts.workspace_text("name", name)

    def taken(base: str) -> set[str]:
        return workspace_rows.slugs_like(tx.connection, organization_id, base) if organization_id else set()

    branding, features = texts.branding(settings.branding), texts.features(settings.features)
    workspace = Workspace(
        id=new_id("workspace"),
        organization_id=organization_id,
        parent_workspace_id=parent_workspace_id,
        owner_user_id=tx.actor,
        name=name,
        slug=slugs.choose(slug, name, "workspace", taken),
        modules=modules,
        settings=WorkspaceSettings(branding=branding, features=features),
        **{"created_at": tx.now, "updated_at": tx.now, **UNSET, **_texts(described)},
    )
    place: PlaceKey = ("workspace", workspace.id)
    workspace_rows.add(tx.connection, workspace)
    invite_code_rows.put(tx.connection, workspace.id, new_invite_code(), is_enabled=True, now=tx.now)
    tx.changed(changes.workspace(workspace))
    tx.audit("workspace", workspace.id, place, after=_described(workspace))
    if organization_id is not None:
        keep_modules(tx, organization_id, tx.actor)
    enrol(tx, place, tx.actor, role=catalog.creator_role)
    if branding != Branding():
        _check_branding(tx, workspace)
    return workspace


UNSET: Final[Mapping[str, Any]] = {
    **{field: "" for field in texts.WORKSPACE_TEXTS if field != "name"},
    "is_active": True,
    "is_suspended": False,
    "suspended_reason": "",
    "suspended_at": None,
    "suspended_by": None,
    "enabled_providers": None,
    "schedule": None,
    "analysis_epoch": 0,
    "deleted_at": None,
}
"""The fields of a workspace that nobody has said anything about."""


def _texts(described: Mapping[str, str]) -> Mapping[str, str]:
    return {field: texts.workspace_text(field, text) for field, text in described.items()}


def _described(workspace: Workspace) -> Mapping[str, Any]:
    return {
        "organization_id": workspace.organization_id,
        "parent_workspace_id": workspace.parent_workspace_id,
        "owner_user_id": workspace.owner_user_id,
        "modules": list(workspace.modules),
    }


def _check_branding(tx: Transaction, workspace: Workspace) -> None:
    """Ask for the branding of a new workspace what changing it would ask, of its creator and with its plan."""
    above: PlaceKey = PLATFORM
    if workspace.parent_workspace_id is not None:
        above = ("workspace", workspace.parent_workspace_id)
    elif workspace.organization_id is not None:
        above = ("organization", workspace.organization_id)
    at = tx.facts.places.get(above, tx.facts.platform)  # a new organization is not among the facts yet
    facts = aftermath.facts_after(tx, tx.actor, at)
    place: PlaceKey = ("workspace", workspace.id)

    def ask(resource: str, action: str, where: PlaceKey) -> Any:
        now = tx.now.timestamp()
        return decide(facts, tx.rules, now, subject=tx.actor, place=where, resource=resource, action=action)

    try:
        refuse_unless_allowed(tx.rules, ask("workspace", "customize_branding", place), place, ask)
    except Denied as denied:
        raise Denied(denied.reason, str(denied), field=BRANDING) from None
