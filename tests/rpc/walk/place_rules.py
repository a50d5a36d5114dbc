"""Rules for organizations, workspaces, their state and their settings."""

import re
from typing import Any

from tests.oracle import tenancy_places as places
from tests.oracle.plain_state import PLATFORM, PlaceKey
from tests.oracle.tenancy_model import above
from tests.oracle.tenancy_rights import refused
from tests.rpc.walk.choosing import NAMES, Choice, listed, named
from tests.rpc.walk.walk import Walk
from wsauthz.v1 import organizations_pb2, settings_pb2, workspace_states_pb2, workspaces_pb2

FLAGS = {
    "SuspendWorkspace": ("is_suspended", True),
    "ReinstateWorkspace": ("is_suspended", False),
    "ActivateWorkspace": ("is_active", True),
    "DeactivateWorkspace": ("is_active", False),
}


class OrganizationRules(Walk):
    """Creating, renaming, suspending and deleting organizations."""

    def create_organization(self, choice: Choice) -> None:
        """Create an organization."""
        actor, slug = choice.actor(PLATFORM, "organization/create"), choice.slug()
        request = organizations_pb2.CreateOrganizationRequest(
            name=choice.one(*NAMES), slug=slug, request_id=choice.request_id()
        )
        reasons = places.why_not_organization(self.model, actor, slug)
        if answer := self.call(actor, "organizations.CreateOrganization", request, reasons):
            assert answer.organization.slug == (slug or answer.organization.slug)
            places.create_organization(self.model, actor, answer.organization.id, answer.organization.slug)

    def update_organization_name(self, choice: Choice) -> None:
        """Rename an organization, with or without a workspace in its slug."""
        place = choice.organization()
        actor = choice.actor(place, "organization/update")
        request = organizations_pb2.UpdateOrganizationNameRequest(
            organization_id=place[1], name=choice.one(*NAMES), request_id=choice.request_id()
        )
        reasons = refused(self.model, actor, "organization/update", place)
        if choice.often(0.4) and not reasons and (inside := self.model.below(place)):
            workspace: PlaceKey = ("workspace", choice.one(*inside))
            request.workspace_id = workspace[1]
            reasons = set() if self.model.may(actor, workspace, "workspace/view") else {"WORKSPACE_NOT_FOUND"}
        method = "organizations.UpdateOrganizationName"
        if answer := self.call(actor, method, request, reasons, is_vague=True):
            tail = re.sub("[^a-z0-9]+", "-", request.workspace_id.lower()).strip("-")
            assert answer.organization.slug.endswith(tail)
            self.model.organizations[place[1]]["slug"] = answer.organization.slug

    def delete_organization(self, choice: Choice) -> None:
        """Delete an organization, seldom: there is little to do without any."""
        place = choice.organization()
        actor = choice.actor(place, "organization/delete") if choice.often(0.3) else choice.user()
        request = organizations_pb2.DeleteOrganizationRequest(organization_id=place[1], request_id=choice.request_id())
        reasons = refused(self.model, actor, "organization/delete", place)
        if answer := self.call(actor, "organizations.DeleteOrganization", request, reasons):
            assert answer.deleted_workspaces == self.model.delete_organization(place[1])

    def suspend_organization(self, choice: Choice) -> None:
        """Suspend an organization."""
        self._set_suspended(choice, "suspend", is_suspended=True)

    def reinstate_organization(self, choice: Choice) -> None:
        """Lift the suspension of an organization."""
        self._set_suspended(choice, "reinstate", is_suspended=False)

    def _set_suspended(self, choice: Choice, action: str, *, is_suspended: bool) -> None:
        place = choice.organization()
        actor = choice.actor(PLATFORM, f"child/{action}")
        name = f"{action.title()}Organization"
        request = getattr(organizations_pb2, f"{name}Request")(organization_id=place[1], request_id=choice.request_id())
        reasons = refused(self.model, actor, f"child/{action}", PLATFORM, target=place)
        if self.call(actor, f"organizations.{name}", request, reasons):
            self.model.organizations[place[1]]["is_suspended"] = is_suspended


class WorkspaceRules(Walk):
    """Creating, changing and deleting workspaces, and their own flags."""

    def create_workspace(self, choice: Choice) -> None:
        """Create a root: in an organization, with a new one, or on its own."""
        place = choice.organization() if choice.often(0.6) else PLATFORM
        actor, slug = choice.actor(place, "workspace/create"), choice.slug()
        if place != PLATFORM and choice.often(0.7):
            actor = choice.member(place)
        modules = choice.modules() if choice.often(0.2) else None
        request = workspaces_pb2.CreateWorkspaceRequest(
            name=choice.one(*NAMES), slug=slug, modules=listed(modules), request_id=choice.request_id(), **named(place)
        )
        reasons = places.why_not_workspace(self.model, actor, place[1] or None, slug)
        if place == PLATFORM and choice.often(0.3):
            request.new_organization.slug = choice.slug()
            reasons = reasons or places.why_not_organization(self.model, actor, request.new_organization.slug)
        if answer := self.call(actor, "workspaces.CreateWorkspace", request, reasons):
            if answer.HasField("organization"):
                places.create_organization(self.model, actor, answer.organization.id, answer.organization.slug)
            every = list(self.policy.catalog.get("modules", {}))
            self._note_workspace(actor, answer.workspace, every if modules is None else modules)

    def create_child_workspace(self, choice: Choice) -> None:
        """Create a child."""
        parent, slug = choice.workspace(), choice.slug()
        actor = choice.actor(parent, "workspace/create_child")
        modules = choice.modules() if choice.often(0.3) else None
        request = workspaces_pb2.CreateChildWorkspaceRequest(
            parent_workspace_id=parent[1],
            name=choice.one(*NAMES),
            slug=slug,
            modules=listed(modules),
            request_id=choice.request_id(),
        )
        reasons = places.why_not_child(self.model, actor, parent, slug, modules)
        if answer := self.call(actor, "workspaces.CreateChildWorkspace", request, reasons):
            if modules is None:
                modules = places.child_modules(self.model, actor, parent)
            self._note_workspace(actor, answer.workspace, modules)

    def deepen(self, choice: Choice) -> None:
        """Have the owner of the deepest workspace create a child there."""
        if self.model.workspaces:
            parent: PlaceKey = ("workspace", max(self.model.workspaces, key=self.model.depth))
            actor = self.model.owner(parent) or ""
            request = workspaces_pb2.CreateChildWorkspaceRequest(parent_workspace_id=parent[1], name=choice.one(*NAMES))
            reasons = places.why_not_child(self.model, actor, parent, "", None)
            if answer := self.call(actor, "workspaces.CreateChildWorkspace", request, reasons):
                self._note_workspace(actor, answer.workspace, places.child_modules(self.model, actor, parent))

    def _note_workspace(self, actor: str, made: workspaces_pb2.Workspace, modules: list[str]) -> None:
        values: dict[str, Any] = {name: getattr(made, name) for name in ("id", "name", "slug", "domain")}
        for name in ("organization_id", "parent_workspace_id"):
            values[name] = getattr(made, name) if made.HasField(name) else None
        places.create_workspace(self.model, actor, {**values, "modules": modules})
        self.learn_code(made.id)

    def update_workspace(self, choice: Choice) -> None:
        """Change name or domain, the branding, or whether it may have children."""
        place = choice.workspace()
        actor = choice.actor(place, "workspace/update")
        request = workspaces_pb2.UpdateWorkspaceRequest(workspace_id=place[1], request_id=choice.request_id())
        values: dict[str, Any] = {}
        if choice.often(0.5):
            field = choice.one("name", "domain")
            values[field] = choice.one(*NAMES) if field == "name" else choice.one("", "acme.com", "example.com")
            setattr(request.workspace, field, values[field])
            request.update_mask.paths.append(field)
        if choice.often(0.3):
            values["color"] = choice.one("#112233", "#445566")
            request.workspace.settings.branding.primary_color = values["color"]
            request.update_mask.paths.append("settings.branding")
        if not values or choice.often(0.3):
            values["child_workspaces"] = choice.one(None, True, False)
            if values["child_workspaces"] is not None:
                request.workspace.settings.features["child_workspaces"] = values["child_workspaces"]
            request.update_mask.paths.append("settings.features")
        reasons = places.why_not_change(self.model, actor, place, values)
        if answer := self.call(actor, "workspaces.UpdateWorkspace", request, reasons):
            assert answer.analysis_reset == places.change(self.model, place[1], values)

    def delete_workspace(self, choice: Choice) -> None:
        """Delete a workspace, seldom one with much below it."""
        place = choice.workspace()
        leaf = len(self.model.below(place)) <= 1
        actor = choice.actor(place, "workspace/delete") if leaf or choice.often(0.2) else choice.user()
        request = workspaces_pb2.DeleteWorkspaceRequest(workspace_id=place[1], request_id=choice.request_id())
        reasons = refused(self.model, actor, "workspace/delete", place)
        if answer := self.call(actor, "workspaces.DeleteWorkspace", request, reasons):
            going = self.model.below(place)
            assert answer.deleted_workspaces == len(going)
            self.model.delete_workspaces(going)

    def suspend_workspace(self, choice: Choice) -> None:
        """Suspend a workspace."""
        self._set_flag(choice, "SuspendWorkspace")

    def reinstate_workspace(self, choice: Choice) -> None:
        """Lift the suspension of a workspace."""
        self._set_flag(choice, "ReinstateWorkspace")

    def activate_workspace(self, choice: Choice) -> None:
        """Make a workspace active."""
        self._set_flag(choice, "ActivateWorkspace")

    def deactivate_workspace(self, choice: Choice) -> None:
        """Make a workspace inactive."""
        self._set_flag(choice, "DeactivateWorkspace")

    def _set_flag(self, choice: Choice, method: str) -> None:
        flag, value = FLAGS[method]
        place = self._with_flag(choice, flag, value=not value)
        action = method.removesuffix("Workspace").lower()
        resource, asked = "workspace", place
        if flag == "is_suspended":
            resource, asked = "child", above(self.model, place) if place[1] in self.model.workspaces else PLATFORM
        actor = choice.actor(asked, f"{resource}/{action}")
        request = getattr(workspace_states_pb2, f"{method}Request")(
            workspace_id=place[1], request_id=choice.request_id()
        )
        reasons = refused(self.model, actor, f"{resource}/{action}", asked, target=place)
        if self.call(actor, f"states.{method}", request, reasons):
            self.model.workspaces[place[1]][flag] = value

    def _with_flag(self, choice: Choice, flag: str, *, value: bool) -> PlaceKey:
        found = [key for key, row in self.model.workspaces.items() if row[flag] == value]
        return ("workspace", choice.one(*found)) if found and choice.often(0.7) else choice.workspace()


class SettingRules(Walk):
    """Modules, module settings, providers, schedules and subscriptions."""

    def set_modules(self, choice: Choice) -> None:
        """Replace the modules of a workspace."""
        place = choice.workspace()
        actor, modules = choice.actor(place, "module/set"), choice.modules()
        request = settings_pb2.SetModulesRequest(workspace_id=place[1], modules=modules, request_id=choice.request_id())
        reasons = places.why_not_set_modules(self.model, actor, place, modules)
        if self.call(actor, "settings.SetModules", request, reasons):
            self.model.workspaces[place[1]]["modules"] = modules

    def update_module_settings(self, choice: Choice) -> None:
        """Replace what a module is set to."""
        place, module = choice.workspace(), choice.one(*self.policy.catalog["modules"])
        actor = choice.actor(place, "module_settings/update")
        settings = {"size": choice.one(1.0, 2.0)} if choice.often(0.9) else {}
        request = settings_pb2.UpdateModuleSettingsRequest(
            workspace_id=place[1], module=module, request_id=choice.request_id()
        )
        request.settings.SetInParent()
        request.settings.update(settings)
        reasons = places.why_not_configure(self.model, actor, place, module)
        is_new = (place[1], module) not in self.model.module_settings
        if self.call(actor, "settings.UpdateModuleSettings", request, reasons) and (settings or not is_new):
            self.model.module_settings[place[1], module] = settings

    def set_providers(self, choice: Choice) -> None:
        """Replace the providers of a workspace."""
        place = choice.workspace()
        actor = choice.actor(place, "provider/set")
        known = list(self.policy.catalog.get("providers", {"chatgpt": ""}))
        providers = choice.chance.sample(known, choice.chance.randint(0, len(known)))
        request = settings_pb2.SetProvidersRequest(
            workspace_id=place[1], providers=providers, request_id=choice.request_id()
        )
        reasons = places.why_not_providers(self.model, actor, place, providers)
        if self.call(actor, "settings.SetProviders", request, reasons):
            self.model.workspaces[place[1]]["providers"] = providers

    def set_schedule(self, choice: Choice) -> None:
        """Set a schedule, clear it, or try one that is none."""
        place, schedule = choice.workspace(), choice.one("0 6 * * *", "*/5 * * * *", "", "whenever")
        actor = choice.actor(place, "schedule/set")
        request = settings_pb2.SetScheduleRequest(
            workspace_id=place[1], schedule=schedule, request_id=choice.request_id()
        )
        reasons = refused(self.model, actor, "schedule/set", place)
        if not reasons and schedule == "whenever":
            reasons = {"INVALID_CRON"}
        if self.call(actor, "settings.SetSchedule", request, reasons):
            self.model.workspaces[place[1]]["schedule"] = schedule or None

    def set_subscription(self, choice: Choice) -> None:
        """Put a workspace on a plan."""
        place = choice.workspace()
        actor = choice.actor(PLATFORM, "subscription/set")
        plan = choice.one(*self.policy.catalog.get("plans", {"basic": {}, "plus": {}}), "unheard-of")
        status = choice.chance.randint(1, 5)
        request = settings_pb2.SetSubscriptionRequest(
            workspace_id=place[1],
            plan=plan,
            plan_type="paid",
            status=status,  # type: ignore[arg-type]  # a number is as good as its name
            request_id=choice.request_id(),
        )
        reasons = places.why_not_subscribe(self.model, actor, place, plan)
        if self.call(actor, "settings.SetSubscription", request, reasons):
            self.model.put("subscription", {"workspace_id": place[1], "plan": plan, "status": status})
