"""The shipped bundles: each is valid and tested, and says of roles and owners what its product requires."""

import pytest

from tests.policy.bundle_world import ALLOW, NOW, World, load
from tests.policy.jury import BUNDLES, POLICIES
from wsauthz.policy.scenarios import run_scenarios

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


@pytest.fixture(scope="module")
def events() -> World:
    return World("eventpalour", EVENTS)


@pytest.fixture(scope="module")
def analytics() -> World:
    return World("oneglanse", ANALYTICS)


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
