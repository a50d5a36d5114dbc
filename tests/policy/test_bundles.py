"""The shipped bundles: each is valid and tested, and says of roles, owners and guards what its product requires."""

import functools
from typing import NamedTuple

import pytest

from tests.policy.mutants import BUNDLES, POLICIES
from wsauthz.model.places import PlaceKey
from wsauthz.policy.bundle import Bundle, read_bundle
from wsauthz.policy.decision import Decision, decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.guards import RouteDecision, check_route
from wsauthz.policy.scenarios import run_scenarios
from wsauthz.policy.state_file import read_state
from wsauthz.rpc.methods import core_vocabulary

NOW = 1_760_000_000.0
ALLOW = "allow"

EVENTS = """
workspaces: [{id: hall, owner: olga}, {id: club}]
memberships:
  - {workspace: hall, user: olga, role: admin}
  - {workspace: hall, user: ada, role: admin}
  - {workspace: hall, user: mo, role: moderator}
  - {workspace: hall, user: mia, role: member}
  - {workspace: club, user: mo, role: member}
"""
ANALYTICS = """
organizations: [{id: acme}]
workspaces: [{id: brand, organization: acme, owner: ann}]
memberships:
  - {organization: acme, user: ann, role: owner}
  - {organization: acme, user: bob, role: member}
  - {workspace: brand, user: ann, role: owner}
  - {workspace: brand, user: bob, role: member}
"""
ASSETS = """
workspaces:
  - {id: w, owner: ann, modules: [dam, analytics]}
  - {id: child, parent: w, owner: cleo}
  - {id: forbidden, owner: ann, settings: {features: {child_workspaces: false}}}
  - {id: off, owner: ann, is_active: false}
  - {id: suspended, owner: ann, is_suspended: true}
memberships:
  - {workspace: w, user: ann, role: viewer}
  - {workspace: w, user: ada, role: admin}
  - {workspace: w, user: pam, role: viewer, permissions: [can-manage-workspace]}
  - {workspace: w, user: sam, role: viewer, permissions: [can-manage-users]}
  - {workspace: w, user: mia, role: member, modules: [dam]}
  - {workspace: w, user: idle, role: admin, permissions: [can-manage-users], is_active: false}
  - {workspace: forbidden, user: mia, role: member}
subscriptions: [{workspace: w, plan: professional, status: cancelled}, {workspace: suspended, plan: free}]
"""


class Answer(NamedTuple):
    """What a route guard tells a frontend."""

    status: int
    message: str
    redirect: str


LET_IN = Answer(200, "", "")
FORBIDDEN = Answer(403, "Permission denied", "")


class World:
    """A bundle on a state."""

    def __init__(self, name: str, state: str) -> None:
        self.bundle = load(name)
        self.facts = Facts()
        read_state(state, "yaml").apply_to(self.facts, self.bundle.catalog)

    def ask(self, subject: str, place: str, question: str) -> str:
        """Return ``allow``, or the first reason of the denial; ``place`` is a workspace unless it names its kind."""
        kind, _, identifier = place.rpartition(":")
        key: PlaceKey = ("organization", identifier) if kind == "organization" else ("workspace", identifier)
        decision = self._decide(subject, key, question)
        return ALLOW if decision.allowed else str(decision.reasons[0])

    def allowed(self, subject: str, place: str, *questions: str) -> list[str]:
        """Return those of the questions that are allowed."""
        return [question for question in questions if self.ask(subject, place, question) == ALLOW]

    def route(self, subject: str, workspace: str, *guards: str, module: str = "", parent: str = "") -> Answer:
        """Return what a frontend is told about a page."""
        found: RouteDecision = check_route(
            self.facts,
            self.bundle.rules,
            NOW,
            subject=subject,
            workspace_id=workspace,
            guards=guards,
            required_module=module,
            parent_workspace_id=parent,
        )
        answer = found.answer
        return LET_IN if answer is None else Answer(answer.status, answer.message, answer.redirect)

    def _decide(self, subject: str, place: PlaceKey, question: str) -> Decision:
        resource, action = question.split()
        return decide(
            self.facts, self.bundle.rules, NOW, subject=subject, place=place, resource=resource, action=action
        )


@functools.cache
def load(name: str) -> Bundle:
    return read_bundle(POLICIES / name, core_vocabulary())


@pytest.fixture(scope="module")
def events() -> World:
    return World("eventpalour", EVENTS)


@pytest.fixture(scope="module")
def analytics() -> World:
    return World("oneglanse", ANALYTICS)


@pytest.fixture(scope="module")
def assets() -> World:
    return World("dam", ASSETS)


def test_every_shipped_bundle_is_tested_here() -> None:
    assert sorted(BUNDLES) == sorted(path.name for path in POLICIES.iterdir() if path.is_dir())


@pytest.mark.req("REQ-149")
@pytest.mark.parametrize("name", BUNDLES)
def test_a_shipped_bundle_passes_its_own_tests_and_they_exercise_every_row(name: str) -> None:
    bundle = load(name)
    report = run_scenarios(bundle, NOW)
    assert not report.failures
    assert report.exercised == {rule.line for rule in bundle.rules.table.rules}
    assert bundle.catalog.name == name


@pytest.mark.parametrize("name", BUNDLES)
def test_the_tests_of_a_shipped_bundle_hold_at_any_time_of_the_day(name: str) -> None:
    assert not run_scenarios(load(name), NOW + 12 * 3600).failures


@pytest.mark.parametrize("name", BUNDLES)
def test_operators_manage_every_workspace_and_use_the_content_of_none(name: str) -> None:
    world = World(name, "{workspaces: [{id: w}], memberships: [{platform: true, user: root, role: operator}]}")
    assert world.bundle.catalog.operator_role == "operator"
    for kind in world.bundle.catalog.resources.values():
        for action in kind.actions:
            if not kind.is_core:
                assert world.ask("root", "w", f"{kind.name} {action}") != ALLOW
    manages = ["workspace view", "workspace delete", "child suspend", "member remove", "subscription set"]
    assert world.allowed("root", "w", *manages) == manages


@pytest.mark.parametrize("name", BUNDLES)
def test_an_organization_can_have_an_owner(name: str) -> None:
    roles = load(name).catalog.roles.values()
    assert [role for role in roles if role.owner_like and role.assignable and "organization" in role.places]


# --- eventpalour ------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-015")
def test_a_workspace_of_events_has_three_roles_to_give(events: World) -> None:
    roles = events.bundle.catalog.roles.values()
    assert {role.name for role in roles if role.assignable and "workspace" in role.places} == {
        "admin",
        "moderator",
        "member",
    }


@pytest.mark.req("REQ-014", "REQ-037")
def test_members_start_with_the_least_role(events: World) -> None:
    assert events.bundle.catalog.default_workspace_role == "member"


@pytest.mark.req("REQ-016", "REQ-029", "REQ-035", "REQ-036")
def test_admins_have_full_access(events: World) -> None:
    questions = [
        "workspace update",
        "module set",
        "member add",
        "member update",
        "member remove",
        "invitation create",
        "invitation revoke",
        "invite_code view",
        "invite_code rotate",
        "event delete",
        "category delete",
        "ticket_type delete",
    ]
    assert events.allowed("ada", "hall", *questions) == questions


@pytest.mark.req("REQ-017", "REQ-029", "REQ-035")
def test_moderators_manage_events_and_content_but_neither_settings_nor_members(events: World) -> None:
    content = ["event create", "event delete", "category update", "ticket_type create", "content delete"]
    assert events.allowed("mo", "hall", *content) == content
    others = ["workspace update", "module set", "member view", "member add", "invitation create", "invite_code view"]
    assert {events.ask("mo", "hall", question) for question in others} == {"ROLE_INSUFFICIENT"}


@pytest.mark.req("REQ-018")
def test_members_view_events_and_participate(events: World) -> None:
    questions = ["workspace view", "event view", "activity participate", "event create", "event update", "event delete"]
    assert events.allowed("mia", "hall", *questions) == questions[:3]


@pytest.mark.req("REQ-001", "REQ-002", "REQ-023", "REQ-033")
def test_a_role_in_one_workspace_says_nothing_about_another(events: World) -> None:
    assert events.ask("mo", "hall", "event create") == ALLOW
    assert events.ask("mo", "club", "event create") == "ROLE_INSUFFICIENT"
    assert events.ask("ada", "club", "event view") == "NOT_A_MEMBER"


@pytest.mark.req("REQ-025", "REQ-038")
def test_the_one_owner_alone_gives_the_workspace_away_or_closes_it(events: World) -> None:
    catalog = events.bundle.catalog
    assert (catalog.ownership_multiple, catalog.on_account_deletion) == (False, "delete")
    assert (catalog.creator_role, catalog.former_owner_role) == ("admin", "admin")
    questions = ["workspace transfer", "workspace delete", "workspace deactivate"]
    assert events.allowed("olga", "hall", *questions) == questions
    assert not events.allowed("ada", "hall", *questions)


@pytest.mark.req("REQ-021")
def test_invitations_live_for_seven_days(events: World) -> None:
    assert events.bundle.catalog.invitation_lifetime_days == 7


@pytest.mark.req("REQ-026", "REQ-035")
@pytest.mark.parametrize("name", ["default", "eventpalour", "dam"])
def test_where_codes_are_sensitive_one_joins_by_invite_code_only(name: str) -> None:
    assert load(name).catalog.join_methods == ("invite_code",)


# --- oneglanse --------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-069", "REQ-040")
def test_owners_and_members_are_all_there_is(analytics: World) -> None:
    catalog = analytics.bundle.catalog
    assert set(catalog.roles) - {catalog.operator_role} == {"owner", "member"}
    assert (catalog.creator_role, catalog.default_workspace_role) == ("owner", "member")
    assert (catalog.ownership_multiple, catalog.on_account_deletion) == (True, "transfer")


@pytest.mark.req("REQ-047", "REQ-048")
def test_any_member_lists_the_members_and_sees_how_to_join(analytics: World) -> None:
    assert len(analytics.allowed("bob", "brand", "member view", "join view")) == 2


@pytest.mark.req("REQ-049", "REQ-053")
def test_only_owners_change_who_is_there(analytics: World) -> None:
    questions = ["member add", "member update", "member remove", "invitation create", "invite_code view"]
    assert analytics.allowed("ann", "brand", *questions) == questions
    assert not analytics.allowed("bob", "brand", *questions)


@pytest.mark.req("REQ-059", "REQ-061", "REQ-062")
def test_only_owners_change_details_providers_and_the_schedule(analytics: World) -> None:
    questions = ["workspace update", "provider set", "schedule set"]
    assert analytics.allowed("ann", "brand", *questions) == questions
    assert not analytics.allowed("bob", "brand", *questions)
    assert len(analytics.allowed("bob", "brand", "provider view", "schedule view")) == 2


@pytest.mark.req("REQ-042", "REQ-060")
def test_members_of_an_organization_create_workspaces_in_it_and_only_owners_rename_it(analytics: World) -> None:
    assert analytics.ask("bob", "organization:acme", "workspace create") == ALLOW
    assert analytics.ask("eve", "organization:acme", "workspace create") == "NOT_A_MEMBER"
    assert analytics.ask("ann", "organization:acme", "organization update") == ALLOW
    assert analytics.ask("bob", "organization:acme", "organization update") == "ROLE_INSUFFICIENT"


@pytest.mark.req("REQ-055", "REQ-056", "REQ-057", "REQ-058")
def test_all_four_ways_of_joining_are_open(analytics: World) -> None:
    assert analytics.bundle.catalog.join_methods == (
        "invite_code",
        "workspace_id",
        "organization_workspace",
        "organization",
    )


@pytest.mark.req("REQ-061")
def test_the_providers_are_a_closed_list(analytics: World) -> None:
    providers = analytics.bundle.catalog.providers
    assert providers is not None
    assert list(providers) == ["chatgpt", "claude", "perplexity", "gemini", "ai-overview"]


# --- dam --------------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-095", "REQ-096")
def test_the_roles_and_permissions_of_assets(assets: World) -> None:
    catalog = assets.bundle.catalog
    roles = {role.name for role in catalog.roles.values() if role.assignable and "workspace" in role.places}
    assert roles == {"admin", "member", "viewer"}
    assert set(catalog.permissions) == {"can-manage-workspace", "can-manage-users"}
    assert set(catalog.modules) == {"dam", "analytics", "collaboration"}


@pytest.mark.req("REQ-106", "REQ-107")
def test_the_owner_admins_and_holders_of_the_permission_manage_the_workspace(assets: World) -> None:
    for subject in ("ann", "ada", "pam"):
        assert assets.ask(subject, "w", "workspace update") == ALLOW
    for subject in ("sam", "mia"):
        assert assets.ask(subject, "w", "workspace update") == "ROLE_INSUFFICIENT"


@pytest.mark.req("REQ-096")
def test_the_permission_to_manage_users_is_about_members_only(assets: World) -> None:
    questions = ["member add", "member remove", "invitation create", "invite_code rotate", "workspace update"]
    assert assets.allowed("sam", "w", *questions) == questions[:4]
    assert not assets.allowed("pam", "w", *questions[:4])


@pytest.mark.req("REQ-097")
def test_a_deactivated_membership_grants_nothing(assets: World) -> None:
    assert assets.ask("idle", "w", "workspace view") == "MEMBERSHIP_INACTIVE"
    assert assets.ask("idle", "w", "member add") == "MEMBERSHIP_INACTIVE"


@pytest.mark.req("REQ-073")
def test_an_admin_of_the_parent_is_one_of_the_child_and_a_member_is_nothing_there(assets: World) -> None:
    assert assets.ask("ada", "child", "workspace update") == ALLOW
    assert assets.ask("mia", "child", "workspace view") == "NOT_A_MEMBER"
    assert assets.ask("pam", "child", "workspace update") == "NOT_A_MEMBER"


@pytest.mark.req("REQ-081")
def test_branding_depends_on_the_plan(assets: World) -> None:
    assert assets.ask("ada", "w", "workspace customize_branding") == ALLOW
    assert assets.ask("ann", "forbidden", "workspace customize_branding") == "PLAN_FEATURE_MISSING"


@pytest.mark.req("REQ-131")
def test_a_cancelled_subscription_denies_nothing(assets: World) -> None:
    assert assets.ask("mia", "w", "dam:asset read") == ALLOW


@pytest.mark.req("REQ-130")
def test_members_see_the_subscription_and_admins_also_while_the_workspace_is_suspended(assets: World) -> None:
    assert assets.ask("mia", "w", "subscription view") == ALLOW
    assert assets.ask("ann", "suspended", "subscription view") == ALLOW
    assert assets.ask("ann", "suspended", "dam:asset read") == "WORKSPACE_SUSPENDED"


@pytest.mark.req("REQ-108", "REQ-109", "REQ-110", "REQ-111", "REQ-122", "REQ-127")
def test_the_guard_of_every_page(assets: World) -> None:
    assert assets.route("ann", "", "checkWorkspace") == Answer(302, "", "/")
    assert assets.route("ann", "unknown", "checkWorkspace") == Answer(404, "Workspace not found", "")
    assert assets.route("ann", "off", "checkWorkspace") == Answer(302, "", "/workspace-inactive")
    assert assets.route("eve", "w", "checkWorkspace") == FORBIDDEN
    assert assets.route("idle", "w", "checkWorkspace") == FORBIDDEN
    assert assets.route("mia", "w", "checkWorkspace") == LET_IN


@pytest.mark.req("REQ-114", "REQ-115", "REQ-116", "REQ-117")
def test_the_guard_of_modules(assets: World) -> None:
    settings = Answer(302, "", "/{id}/workspace-settings")
    assert assets.route("mia", "unknown", "check-workspace-modules", module="dam") == settings
    assert assets.route("ann", "w", "check-workspace-modules", module="collaboration") == settings
    assert assets.route("mia", "w", "check-workspace-modules", module="analytics") == settings
    assert assets.route("eve", "w", "check-workspace-modules", module="dam") == settings
    assert assets.route("mia", "w", "check-workspace-modules", module="dam") == LET_IN


@pytest.mark.req("REQ-114")
def test_the_guard_of_modules_has_nothing_to_say_where_none_is_required(assets: World) -> None:
    assert assets.route("ann", "w", "check-workspace-modules") == LET_IN
    assert assets.route("eve", "w", "check-workspace-modules") == FORBIDDEN  # by the page itself


@pytest.mark.req("REQ-118", "REQ-119")
def test_the_guard_of_suspension(assets: World) -> None:
    assert assets.route("ann", "unknown", "check-if-suspended") == Answer(302, "", "/")
    assert assets.route("ann", "suspended", "check-if-suspended") == Answer(302, "", "/{id}/workspace-suspended")
    assert assets.route("ann", "w", "check-if-suspended") == LET_IN


@pytest.mark.req("REQ-120", "REQ-144")
def test_the_guards_run_in_their_order(assets: World) -> None:
    assert assets.route("eve", "suspended", module="warp").status == 403
    assert assets.route("ann", "suspended", module="warp").redirect == "/{id}/workspace-settings"
    assert assets.route("ann", "suspended").redirect == "/{id}/workspace-suspended"
    assert assets.route("mia", "w", module="dam") == LET_IN


@pytest.mark.req("REQ-121", "REQ-122", "REQ-123", "REQ-124", "REQ-125", "REQ-140")
def test_the_guard_of_the_page_that_creates_a_child(assets: World) -> None:
    guard = "can-create-childWorkspace"
    assert assets.route("ann", "unknown", guard) == Answer(404, "Workspace not found", "")
    for subject in ("mia", "pam", "sam", "eve", "idle"):
        assert assets.route(subject, "w", guard) == FORBIDDEN
    for subject in ("ann", "ada"):
        assert assets.route(subject, "w", guard) == LET_IN
    assert assets.route("mia", "forbidden", guard) == FORBIDDEN
    assert assets.route("ann", "forbidden", guard) == Answer(403, "Child workspaces not allowed", "")


@pytest.mark.req("REQ-126")
def test_the_guard_of_a_child(assets: World) -> None:
    guard = "can-access-child-workspace"
    assert assets.route("cleo", "child", guard, parent="w") == LET_IN
    assert assets.route("ada", "child", guard, parent="w") == LET_IN
    assert assets.route("mia", "child", guard, parent="w") == FORBIDDEN
    assert assets.route("cleo", "child", guard, parent="off") == Answer(404, "Workspace not found", "")
    assert assets.route("ann", "suspended", guard) == Answer(302, "", "/{id}/workspace-suspended")
    assert assets.route("ann", "off", guard) == Answer(302, "", "/workspace-inactive")
