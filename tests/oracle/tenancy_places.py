"""Organizations, workspaces, what they are set up with, and users, on dictionaries."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.oracle.plain_state import PLATFORM, PlaceKey, has_module, own, path, subscription
from tests.oracle.tenancy_model import Reasons, Tenancy, above
from tests.oracle.tenancy_rights import ends, refused, unknown

MOST_DEEP = 16

# --- users ------------------------------------------------------------------------------------------------------------


def why_not_upsert(model: Tenancy, user: str, values: Mapping[str, Any]) -> Reasons:
    """Return why UpsertUser is refused."""
    email = values.get("email")
    taken = any(email and row["email"] == email for key, row in model.users.items() if key != user)
    return {"EMAIL_TAKEN"} if taken else set()


def upsert(model: Tenancy, user: str, values: Mapping[str, Any]) -> bool:
    """Mirror a user; return whether it is new."""
    usual = {"id": user, "is_active": True, "email": None, "email_verified": False, "default_workspace_id": None}
    old = model.users.get(user, usual)
    new = {**old, **values}
    if new["email"] != old["email"] and "email_verified" not in values:
        new["email_verified"] = False
    is_new = user not in model.users
    model.put("user", new)
    return is_new


def why_not_default(model: Tenancy, actor: str, key: str) -> Reasons:
    """Return why UpdateProfile and SwitchWorkspace are refused; ``key`` empty: the default is cleared."""
    place: PlaceKey = ("workspace", key) if key else PLATFORM
    reasons = refused(model, actor, "workspace/view", place) if key else set()
    if not key and model.users.get(actor, {}).get("is_active") is False:
        reasons = {"USER_INACTIVE"}
    return reasons or (set() if actor in model.users else {"USER_NOT_FOUND"})


# --- creating ---------------------------------------------------------------------------------------------------------


def why_not_organization(model: Tenancy, actor: str, slug: str) -> Reasons:
    """Return why CreateOrganization is refused."""
    reasons = refused(model, actor, "organization/create", PLATFORM)
    return reasons or slug_taken(model.organizations.values(), slug) | unknown(model, actor)


def slug_taken(rows: Iterable[Mapping[str, Any]], slug: str) -> Reasons:
    """Return the refusal if one of the rows has the slug."""
    return {"SLUG_TAKEN"} if slug and any(row["slug"] == slug for row in rows) else set()


def create_organization(model: Tenancy, actor: str, key: str, slug: str) -> None:
    """Make an organization with its first member."""
    model.put("organization", {"id": key, "slug": slug, "is_suspended": False})
    model.enrol(("organization", key), actor, model.owner_roles("organization")[0])


def why_not_workspace(model: Tenancy, actor: str, organization: str | None, slug: str) -> Reasons:
    """Return why CreateWorkspace is refused in an organization, or (None) on its own."""
    if organization is None:
        return refused(model, actor, "workspace/create", PLATFORM) or unknown(model, actor)
    roof: PlaceKey = ("organization", organization)
    reasons = refused(model, actor, "workspace/create", roof)
    if reasons == {"ORGANIZATION_NOT_FOUND"}:
        return {"NOT_ORG_MEMBER"}
    if reasons:
        return reasons
    reasons = model.has_room_for(roof) | slug_taken(_siblings(model, organization), slug)
    reasons |= ends(model, actor, roof, "workspace/create") | unknown(model, actor)
    return reasons if model.member(roof, actor) is not None else reasons | {"NOT_ORG_MEMBER"}


def why_not_child(model: Tenancy, actor: str, parent: PlaceKey, slug: str, modules: list[str] | None) -> Reasons:
    """Return why CreateChildWorkspace is refused."""
    if reasons := refused(model, actor, "workspace/create_child", parent):
        return reasons
    reasons = model.has_room_for(parent) | ends(model, actor, parent, "workspace/create_child") | unknown(model, actor)
    if sum(kind == "workspace" for kind, _ in path(model, parent)) >= MOST_DEEP:
        reasons.add("LIMIT_REACHED")
    roof = model.roof(parent)
    if roof is not None:
        reasons |= slug_taken(_siblings(model, roof[1]), slug)
    if modules is not None:
        reasons |= why_not_modules(model, parent, parent, modules)
        if not all(_keeps(model, actor, parent, module) for module in modules):
            reasons.add("ROLE_CEILING")
    return reasons


def child_modules(model: Tenancy, actor: str, parent: PlaceKey) -> list[str]:
    """Return the modules of a child for which none are named: the parent's in which the creator may create one."""
    modules = model.policy.catalog.get("modules", {})
    return [module for module in modules if _keeps(model, actor, parent, module)]


def _keeps(model: Tenancy, actor: str, parent: PlaceKey, module: str) -> bool:
    """Tell whether the creator may create a child with the module, now and ever after."""
    moments = (None, *model.later(actor, parent))
    return all(model.ask(actor, parent, "workspace/create_child", module=module, now=now).allowed for now in moments)


def create_workspace(model: Tenancy, actor: str, values: Mapping[str, Any]) -> None:
    """Make a workspace with its first member; ``values`` are what the answer says of it."""
    usual = {"is_active": True, "is_suspended": False, "child_workspaces": None, "color": "", "providers": None}
    model.put("workspace", {**usual, "schedule": None, "epoch": 0, "owner_user_id": actor, **values})
    place: PlaceKey = ("workspace", values["id"])
    model.codes[values["id"]] = ("", True)
    model.enrol(place, actor, model.policy.catalog["defaults"]["creator"])


def _siblings(model: Tenancy, organization: str) -> list[Mapping[str, Any]]:
    return [row for row in model.workspaces.values() if row["organization_id"] == organization]


# --- changing ---------------------------------------------------------------------------------------------------------


def why_not_change(model: Tenancy, actor: str, place: PlaceKey, values: Mapping[str, Any]) -> Reasons:
    """Return why UpdateWorkspace is refused."""
    if reasons := refused(model, actor, "workspace/update", place):
        return reasons
    reasons = set()
    if "color" in values:
        reasons |= refused(model, actor, "workspace/customize_branding", place)
    restricted = own(model, place)["child_workspaces"] is False
    if "child_workspaces" in values and (values["child_workspaces"] is False) != restricted:
        reasons |= refused(model, actor, "child/set_features", above(model, place), target=place)
    return reasons


def change(model: Tenancy, key: str, values: Mapping[str, Any]) -> bool:
    """Change a workspace; return whether what was derived from it is stale."""
    row = model.workspaces[key]
    is_stale = any(values.get(name, row[name]) != row[name] for name in ("name", "domain"))
    row |= {**values, "epoch": row["epoch"] + is_stale}
    return is_stale


def why_not_modules(model: Tenancy, parent: PlaceKey | None, plan_of: PlaceKey, modules: list[str]) -> Reasons:
    """Return why a workspace cannot have these modules: its parent, or its plan, lacks one."""
    reasons: Reasons = set()
    if parent is not None and not all(has_module(model, model.policy, parent, module) for module in modules):
        reasons.add("MODULE_NOT_IN_PARENT")
    held = subscription(model, plan_of)
    plan = model.policy.catalog.get("plans", {}).get(held["plan"], {}) if held else {}
    if not set(modules) <= set(plan.get("modules", modules)):
        reasons.add("MODULE_NOT_IN_PLAN")
    return reasons


def why_not_set_modules(model: Tenancy, actor: str, place: PlaceKey, modules: list[str]) -> Reasons:
    """Return why SetModules is refused; to set what is set already changes nothing, and so is not."""
    if reasons := refused(model, actor, "module/set", place):
        return reasons
    if modules == own(model, place)["modules"]:
        return set()
    parent = above(model, place)
    if parent[0] != "workspace":
        return why_not_modules(model, None, place, modules)
    reasons = why_not_modules(model, parent, place, modules)
    added = set(modules) - set(own(model, place)["modules"])
    is_something = any(model.nodes(actor, parent, module) for module in model.policy.catalog["modules"])
    if is_something and not all(_may_add(model, actor, parent, module) for module in added):
        reasons.add("ROLE_CEILING")
    return reasons


def _may_add(model: Tenancy, actor: str, parent: PlaceKey, module: str) -> bool:
    """Tell whether everything that somebody may do with modules and children counts in the module, too."""
    rights = [right for right in ("module/set", "workspace/create_child") if model.ask(actor, parent, right).allowed]
    in_module = [model.ask(actor, parent, right, module=module).allowed for right in rights]
    return bool(model.nodes(actor, parent, module)) and all(in_module)


def why_not_configure(model: Tenancy, actor: str, place: PlaceKey, module: str) -> Reasons:
    """Return why UpdateModuleSettings is refused."""
    reasons = refused(model, actor, "module_settings/update", place)
    return reasons or refused(model, actor, "module_settings/update", place, module=module)


def why_not_providers(model: Tenancy, actor: str, place: PlaceKey, providers: list[str]) -> Reasons:
    """Return why SetProviders is refused."""
    if reasons := refused(model, actor, "provider/set", place):
        return reasons
    reasons = set() if providers else {"NO_PROVIDER"}
    return reasons if "providers" in model.policy.catalog else reasons | {"PROVIDERS_NOT_OFFERED"}


def why_not_subscribe(model: Tenancy, actor: str, place: PlaceKey, plan: str) -> Reasons:
    """Return why SetSubscription is refused."""
    if reasons := refused(model, actor, "subscription/set", PLATFORM):
        return reasons
    reasons = set() if place[1] in model.workspaces else {"WORKSPACE_NOT_FOUND"}
    plans = model.policy.catalog.get("plans", {})
    return reasons | {"UNKNOWN_PLAN"} if plans and plan not in plans else reasons
