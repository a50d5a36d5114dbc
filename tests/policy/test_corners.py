"""Where a plausible engine would answer otherwise; engine, stock Casbin and plain reading are asked alike."""

from typing import Any

import pytest

from tests.oracle.agreement import differences, engine, load, stock_differences
from tests.oracle.bundles import ROOT, core
from tests.oracle.plain_state import PLATFORM, PlaceKey, Question, State, read_policy
from tests.oracle.worlds import NOW, World
from wsauthz.policy.bundle import build_bundle
from wsauthz.policy.guards import check_route

CATALOG = """
name = "corners"
operator_role = "operator"
[roles.owner]
rank = 50
title = "Owner"
assignable = false
places = ["workspace"]
[roles.operator]
rank = 60
title = "Operator"
places = ["platform"]
[roles.admin]
rank = 40
title = "Admin"
places = ["platform", "organization", "workspace"]
[roles.editor]
rank = 30
title = "Editor"
places = ["organization", "workspace"]
[roles.viewer]
rank = 10
title = "Viewer"
places = ["organization", "workspace"]
[defaults]
workspace = "viewer"
organization = "viewer"
creator = "admin"
former_owner = "admin"
[ownership]
role = "owner"
on_account_deletion = "delete"
[permissions]
publish = "Publish"
[modules.dam]
title = "Assets"
[modules.analytics]
title = "Analytics"
[resources.event]
actions = ["read"]
[resources."dam:asset"]
actions = ["read", "publish"]
[resources."dam:brand"]
actions = ["edit"]
requires_feature = "branding"
[resources."analytics:report"]
actions = ["read"]
[[guards.modules]]
fails = "MODULE_NOT_ENABLED"
status = 302
redirect = "/{id}/settings"
[plans.free]
type = "free"
[plans.pro]
type = "paid"
features = ["branding"]
"""

RULES = (
    "p, role:viewer, *, workspace/*, view, any, allow",
    "p, role:viewer, *, dam:asset/*, read, active, allow",
    "p, role:editor, *, analytics:report/*, read, active, allow",
    "p, role:editor, *, dam:brand/*, edit, active, allow",
    "p, role:admin, *, workspace/*, create_child, active, allow",
    "p, role:owner, *, subscription/*, view, suspended, allow",
    "p, perm:publish, *, dam:asset/*, publish, active, allow",
    "p, role:everyone, platform, workspace/*, create, any, allow",
    "g, role:owner, role:admin, *",
    "g, role:admin, role:editor, *",
    "g, role:editor, role:viewer, *",
    "g4, role:owner, role:admin",
    "g4, role:admin, role:admin",
)
MODULES = ["dam", "analytics"]


def workspace(name: str, parent: str | None = None, **others: Any) -> tuple[str, dict[str, Any]]:
    return "workspace", {
        "id": name,
        "organization_id": None,
        "parent_workspace_id": parent,
        "owner_user_id": "boss",
        "is_active": True,
        "is_suspended": False,
        "modules": MODULES,
        "child_workspaces": None,
        **others,
    }


def member(place: PlaceKey, role: str, user: str = "ann", **others: Any) -> tuple[str, dict[str, Any]]:
    kind, identifier = place
    return "membership", {
        "workspace_id": identifier if kind == "workspace" else None,
        "organization_id": identifier if kind == "organization" else None,
        "user_id": user,
        "role": role,
        "permissions": [],
        "modules": None,
        "is_active": True,
        "expires_at": None,
        **others,
    }


def subscribed(name: str, plan: str, status: int = 1) -> tuple[str, dict[str, Any]]:
    return "subscription", {"workspace_id": name, "plan": plan, "status": status}


def world(*rows: tuple[str, dict[str, Any]], rules: tuple[str, ...] = (), catalog: str = CATALOG) -> World:
    files = {
        "model.conf": (ROOT / "policies/model.conf").read_text("utf-8"),
        "catalog.toml": catalog,
        "policy.csv": "".join(f"{line}\n" for line in (*RULES, *rules)),
    }
    state = State()
    for kind, values in rows:
        state.put(kind, values)
    return World(build_bundle(files, core()), read_policy(files["policy.csv"], catalog, core()), state)


def found(
    case: World, asked: str, at: PlaceKey = ("workspace", "c"), *, user: str = "ann", module: str = "", now: float = NOW
) -> Any:
    """Return the answer on which all three agree."""
    resource, action = asked.split()
    question = Question(user, at, resource, action, module)
    assert not differences(case, [question], now)
    assert not stock_differences(case, [question], now)
    return engine(load(case.state), case, question, now)


def why(case: World, asked: str, at: PlaceKey = ("workspace", "c"), **others: Any) -> tuple[str, ...]:
    """Return the reasons on which they agree; none: allowed."""
    answer: Any = found(case, asked, at, **others)
    return tuple(answer.reasons)


P, C, D = ("workspace", "p"), ("workspace", "c"), ("workspace", "d")
ACME = ("organization", "acme")
TREE = (workspace("p"), workspace("c", "p"), workspace("d", "c"))


def test_a_deny_hits_a_role_that_flowed_there_and_in_one_workspace_only() -> None:
    case = world(*TREE, member(P, "admin"), rules=("p, role:viewer, workspace:c, dam:asset/*, read, any, deny",))
    assert why(case, "dam:asset read", P) == ()
    assert why(case, "dam:asset read", C) == ("DENIED_BY_RULE",)
    assert why(case, "dam:asset read", D) == ("DENIED_BY_RULE",)
    assert found(case, "dam:asset read", D).blocked_by == C


def test_a_deny_is_no_business_of_somebody_whose_role_does_not_count_in_the_module() -> None:
    case = world(
        *TREE,
        member(P, "editor"),
        member(PLATFORM, "admin", modules=["analytics"]),
        rules=("p, role:admin, *, dam:asset/*, read, any, deny",),
    )
    assert why(case, "dam:asset read", P) == ()


def test_a_deny_that_matches_in_a_module_the_place_lacks_is_not_given_as_a_reason() -> None:
    case = world(
        workspace("c", modules=["analytics"]), member(C, "admin"), rules=("p, role:admin, *, *, *, any, deny",)
    )
    assert why(case, "dam:asset read") == ("MODULE_NOT_ENABLED",)


def test_permissions_stay_where_they_were_given_unless_a_rule_lets_them_flow() -> None:
    rows = (*TREE, member(P, "admin", permissions=["publish", "withdrawn"]))
    assert why(world(*rows), "dam:asset publish", P) == ()
    assert why(world(*rows), "dam:asset publish", C) == ("ROLE_INSUFFICIENT",)
    assert why(world(*rows, rules=("g4, perm:publish, perm:publish",)), "dam:asset publish", D) == ()


def test_a_role_may_imply_a_permission() -> None:
    case = world(*TREE, member(P, "admin"), rules=("g, role:editor, perm:publish, *",))
    assert why(case, "dam:asset publish", D) == ()


def test_a_permission_of_somebody_whose_role_was_withdrawn_counts_for_nothing() -> None:
    case = world(*TREE, member(C, "withdrawn", permissions=["publish"]))
    assert why(case, "dam:asset publish") == ("NOT_A_MEMBER", "ROLE_INSUFFICIENT")


def test_everyone_is_every_active_user_at_the_platform_and_nowhere_else() -> None:
    case = world(*TREE, ("user", {"id": "ann", "is_active": True}), ("user", {"id": "eve", "is_active": False}))
    assert why(case, "workspace create", PLATFORM) == ()
    assert why(case, "workspace create", PLATFORM, user="eve") == ("USER_INACTIVE",)
    assert why(case, "workspace create", PLATFORM, user="unknown") == ("NOT_A_MEMBER", "ROLE_INSUFFICIENT")
    assert why(case, "workspace view", C) == ("NOT_A_MEMBER", "ROLE_INSUFFICIENT")


def test_an_organization_is_a_place_of_its_own_with_every_module_and_no_plan() -> None:
    organization = ("organization", {"id": "acme", "is_suspended": True})
    rows = (organization, workspace("acme", organization_id="acme", modules=[]), member(ACME, "admin"))
    case = world(*rows)
    assert why(case, "dam:asset read", ACME) == ("WORKSPACE_SUSPENDED",)
    assert why(case, "dam:brand edit", ACME) == ("PLAN_FEATURE_MISSING", "WORKSPACE_SUSPENDED")
    assert why(case, "dam:asset read", ("workspace", "acme")) == ("MODULE_NOT_ENABLED", "WORKSPACE_SUSPENDED")
    assert found(case, "workspace view", ("workspace", "acme")).allowed
    assert found(case, "workspace create_child", ("workspace", "acme")).blocked_by == ACME


def test_a_role_of_a_workspace_is_nothing_in_the_organization_with_its_id() -> None:
    rows = (("organization", {"id": "c", "is_suspended": False}), workspace("c", organization_id="c"))
    case = world(*rows, member(C, "admin"))
    assert why(case, "workspace view", ("organization", "c")) == ("NOT_A_MEMBER", "ROLE_INSUFFICIENT")


def test_a_user_named_like_a_role_holds_nothing_by_its_name() -> None:
    case = world(*TREE)
    for user in ("admin", "role:admin", "owner", "everyone", "role:everyone"):
        assert why(case, "workspace view", user=user) == ("NOT_A_MEMBER", "ROLE_INSUFFICIENT")


def test_an_empty_module_list_leaves_the_core() -> None:
    case = world(*TREE, member(C, "viewer", modules=[]))
    assert why(case, "workspace view") == ()
    assert why(case, "workspace view", module="core") == ()
    assert why(case, "workspace view", module="dam") == ("MODULE_NOT_GRANTED",)
    assert why(case, "dam:asset read") == ("MODULE_NOT_GRANTED",)


def test_an_unknown_module_is_in_no_place_whatever_its_list_says() -> None:
    case = world(
        workspace("c", modules=["dam", "withdrawn"]),
        member(C, "viewer"),
        member(C, "viewer", user="bob", modules=["dam"]),
    )
    answer = found(case, "workspace view", module="withdrawn")
    assert (answer.reasons, answer.warnings) == (("MODULE_NOT_ENABLED",), ("UNKNOWN_MODULE",))
    assert why(case, "workspace view", module="withdrawn", user="bob") == ("MODULE_NOT_ENABLED", "MODULE_NOT_GRANTED")


def test_the_role_that_allows_must_itself_count_in_the_required_module() -> None:
    case = world(*TREE, member(P, "admin", modules=["dam"]), member(C, "viewer"))
    assert why(case, "workspace create_child") == ()
    assert why(case, "workspace create_child", module="dam") == ()
    assert why(case, "workspace create_child", module="analytics") == ("MODULE_NOT_GRANTED",)
    # The viewer's own action is allowed by a role that counts in both.
    assert why(case, "workspace view", module="analytics") == ()
    assert why(case, "dam:asset read", module="analytics") == ()


def test_the_same_role_may_come_from_several_memberships_each_for_a_module() -> None:
    case = world(*TREE, member(P, "admin", modules=["dam"]), member(C, "admin", modules=["analytics"]))
    assert why(case, "workspace create_child", module="analytics") == ()
    assert why(case, "workspace create_child", module="dam") == ()
    assert why(case, "workspace create_child", D, module="analytics") == ()
    # An admin is a viewer by inheritance, and that is a role which counts in both modules, too.
    case = world(*TREE, member(P, "admin", modules=["analytics"]), member(C, "viewer", modules=["dam"]))
    assert why(case, "dam:asset read", module="analytics") == ()
    assert why(case, "analytics:report read", module="dam") == ("MODULE_NOT_GRANTED",)
    assert why(case, "dam:asset read", D, module="dam") == ("MODULE_NOT_GRANTED",)


def test_a_deny_counts_whatever_module_is_required() -> None:
    deny = "p, role:admin, *, dam:asset/*, read, any, deny"
    case = world(*TREE, member(P, "admin", modules=["dam"]), member(C, "viewer"), rules=(deny,))
    assert why(case, "dam:asset read", module="analytics") == ("DENIED_BY_RULE",)


def test_a_rule_that_holds_while_suspended_names_the_module_it_lacks() -> None:
    rule = "p, role:editor, *, analytics:report/*, read, suspended, allow"
    case = world(
        workspace("p"), workspace("c", "p", is_suspended=True), member(C, "editor", modules=["dam"]), rules=(rule,)
    )
    assert why(case, "analytics:report read") == ("MODULE_NOT_GRANTED", "WORKSPACE_SUSPENDED")
    # Where no role would allow it in this state, a module would not help.
    case = world(workspace("p"), workspace("c", "p", is_suspended=True), member(C, "editor", modules=["dam"]))
    assert why(case, "analytics:report read") == ("WORKSPACE_SUSPENDED",)


def test_a_module_that_helps_nobody_without_a_role_that_allows_is_not_named() -> None:
    case = world(*TREE, member(C, "viewer", modules=["dam"]))
    assert why(case, "workspace create_child", module="analytics") == ("ROLE_INSUFFICIENT",)


def test_an_allow_ends_with_the_last_membership_that_gives_its_role_in_the_required_module() -> None:
    case = world(
        *TREE, member(P, "admin", modules=["dam"]), member(C, "admin", modules=["analytics"], expires_at=NOW + 60)
    )
    assert found(case, "workspace create_child", module="analytics").valid_until == NOW + 60
    assert found(case, "workspace create_child", module="dam").valid_until is None


def test_an_admin_of_one_module_above_who_is_a_viewer_below_is_no_admin_of_the_other_module() -> None:
    case = world(*TREE, member(P, "admin", modules=["dam"]), member(C, "viewer"))
    assert why(case, "analytics:report read") == ("MODULE_NOT_GRANTED",)
    assert why(case, "dam:brand edit") == ("PLAN_FEATURE_MISSING",)


@pytest.mark.parametrize("role", ["viewer", "withdrawn"])
def test_the_primary_owner_holds_its_role_whatever_its_membership_says(role: str) -> None:
    row = member(P, role, user="boss", modules=[], is_active=False, expires_at=NOW - 1)
    case = world(workspace("p"), workspace("c", "p", owner_user_id="other"), row)
    assert why(case, "dam:asset read", P, user="boss") == ()
    assert why(case, "analytics:report read", C, user="boss") == ()
    # What flows is admin, not owner.
    assert why(case, "subscription view", C, user="boss") == ("ROLE_INSUFFICIENT",)


def test_what_only_a_suspended_place_allows_takes_more_than_a_role_while_it_is_active() -> None:
    case = world(workspace("p"), workspace("c", is_suspended=True), workspace("d", is_active=False, is_suspended=True))
    assert why(case, "subscription view", P, user="boss") == ("ROLE_INSUFFICIENT",)
    assert why(case, "subscription view", C, user="boss") == ()
    assert why(case, "subscription view", D, user="boss") == ("WORKSPACE_INACTIVE", "ROLE_INSUFFICIENT")


def test_the_nearest_place_with_the_flag_blocks_and_inactive_comes_before_suspended() -> None:
    case = world(
        workspace("p", is_active=False),
        workspace("c", "p", is_suspended=True),
        workspace("d", "c", is_active=False),
        member(P, "admin"),
    )
    assert why(case, "dam:asset read", C) == ("WORKSPACE_INACTIVE",)
    assert found(case, "dam:asset read", C).blocked_by == P
    assert found(case, "dam:asset read", D).blocked_by == D


def test_a_module_that_several_places_lack_is_blocked_by_the_nearest() -> None:
    case = world(
        workspace("p", modules=[]), workspace("c", "p", modules=["analytics"]), workspace("d", "c"), member(P, "admin")
    )
    assert found(case, "dam:asset read", D).blocked_by == C
    assert found(case, "analytics:report read", D).blocked_by == P
    assert found(case, "analytics:report read", D, module="dam").blocked_by == P


def test_a_membership_has_expired_from_the_very_instant_on() -> None:
    case = world(*TREE, member(C, "viewer", expires_at=NOW + 60))
    assert found(case, "dam:asset read").valid_until == NOW + 60
    assert why(case, "dam:asset read", now=NOW + 59.999) == ()
    assert why(case, "dam:asset read", now=NOW + 60) == ("MEMBERSHIP_EXPIRED", "ROLE_INSUFFICIENT")


def test_an_allow_lasts_as_long_as_any_membership_that_gives_it() -> None:
    case = world(
        *TREE,
        member(P, "admin", expires_at=NOW + 60),
        member(C, "viewer", expires_at=NOW + 30, modules=["dam"]),
        member(PLATFORM, "viewer", expires_at=NOW + 10),
    )
    assert found(case, "dam:asset read").valid_until == NOW + 60
    assert found(case, "dam:asset read", D).valid_until == NOW + 60
    assert found(case, "dam:asset read", module="dam").valid_until == NOW + 60
    assert why(case, "analytics:report read", now=NOW + 60) == ("MEMBERSHIP_EXPIRED", "ROLE_INSUFFICIENT")


def test_an_allow_lasts_no_longer_than_the_module_that_it_needs() -> None:
    case = world(
        *TREE, member(C, "viewer", modules=["dam"]), member(P, "admin", modules=["analytics"], expires_at=NOW + 5)
    )
    assert found(case, "dam:asset read").valid_until is None
    assert found(case, "dam:asset read", module="analytics").valid_until == NOW + 5


def test_an_allow_lasts_no_longer_than_the_role_that_gives_it_though_another_stays() -> None:
    case = world(*TREE, member(C, "viewer", expires_at=NOW + 900), member(P, "admin", expires_at=NOW + 60))
    assert found(case, "analytics:report read").valid_until == NOW + 60
    assert found(case, "dam:asset read").valid_until == NOW + 900


def test_an_allow_does_not_hang_on_a_membership_beside_ownership() -> None:
    case = world(*TREE, member(C, "viewer", user="boss", expires_at=NOW + 5))
    assert found(case, "dam:asset read", user="boss").valid_until is None


def test_deactivated_comes_before_expired_and_only_rows_that_would_help_are_named() -> None:
    idle = member(C, "viewer", is_active=False, expires_at=NOW - 1)
    assert why(world(*TREE, idle), "workspace view")[0] == "MEMBERSHIP_INACTIVE"
    expired_above = member(P, "admin", expires_at=NOW - 1)
    assert why(world(*TREE, expired_above), "workspace view")[0] == "MEMBERSHIP_EXPIRED"
    assert why(world(*TREE, expired_above, idle), "workspace view")[0] == "MEMBERSHIP_INACTIVE"
    # A viewer above is nothing here, deactivated or not.
    assert why(world(*TREE, member(P, "viewer", is_active=False)), "workspace view")[0] == "NOT_A_MEMBER"
    assert why(world(*TREE, member(D, "admin", is_active=False)), "workspace view")[0] == "NOT_A_MEMBER"


def test_stars_cover_what_the_application_declared_and_never_the_core() -> None:
    case = world(*TREE, member(C, "viewer"), rules=("p, role:viewer, *, core:*, *, active, allow",))
    assert why(case, "event read") == ()
    assert why(case, "event/42 read") == ()
    assert why(case, "member view") == ("ROLE_INSUFFICIENT",)
    case = world(*TREE, member(C, "viewer"), rules=("p, role:viewer, *, *, *, active, allow",))
    assert why(case, "analytics:report read") == ()
    assert why(case, "workspace delete") == ("ROLE_INSUFFICIENT",)


def test_a_rule_about_one_object_is_about_no_other_and_not_about_the_type() -> None:
    case = world(*TREE, member(C, "viewer"), rules=("p, role:viewer, *, event/4/2, *, any, allow",))
    assert why(case, "event/4/2 read") == ()
    for other in ("event", "event/", "event/4", "event/4/", "event/4/22"):
        assert why(case, f"{other} read") == ("ROLE_INSUFFICIENT",)


def test_a_rule_about_one_object_in_one_place_holds_below_it_too() -> None:
    case = world(*TREE, member(P, "admin"), rules=("p, role:viewer, workspace:c, dam:asset/42, read, any, deny",))
    for place, expected in ((P, ()), (C, ("DENIED_BY_RULE",)), (D, ("DENIED_BY_RULE",))):
        assert why(case, "dam:asset/42 read", place) == expected
        assert why(case, "dam:asset/4 read", place) == ()


def test_of_several_denies_the_first_row_is_named_and_its_place_blocks() -> None:
    rules = ("p, role:viewer, workspace:p, event/*, read, any, deny", "p, role:viewer, workspace:c, *, *, any, deny")
    case = world(*TREE, member(P, "admin"), rules=rules)
    assert found(case, "event read", D).blocked_by == P
    assert found(world(*TREE, member(P, "admin"), rules=rules[::-1]), "event read", D).blocked_by == C


def test_the_nearest_subscription_counts_and_an_expired_one_only_warns() -> None:
    case = world(*TREE, subscribed("p", "pro", status=4), subscribed("d", "free"), member(P, "admin"))
    answer = found(case, "dam:brand edit", C)
    assert (answer.allowed, answer.warnings) == (True, ("SUBSCRIPTION_EXPIRED",))
    answer = found(case, "dam:brand edit", D)
    assert (answer.reasons, answer.blocked_by, answer.warnings) == (("PLAN_FEATURE_MISSING",), D, ())
    assert why(world(*TREE, subscribed("p", "withdrawn"), member(P, "admin")), "dam:brand edit") == (
        "PLAN_FEATURE_MISSING",
    )


def test_switching_child_workspaces_off_counts_where_it_is_said_and_is_said_after_the_role() -> None:
    case = world(
        workspace("p", child_workspaces=False), workspace("c", "p"), member(P, "admin"), member(C, "viewer", user="bob")
    )
    assert why(case, "workspace create_child", P) == ("CHILD_WORKSPACES_NOT_ALLOWED",)
    assert why(case, "workspace create_child", P, user="boss") == ("CHILD_WORKSPACES_NOT_ALLOWED",)
    assert why(case, "workspace create_child", P, user="bob")[-2:] == (
        "ROLE_INSUFFICIENT",
        "CHILD_WORKSPACES_NOT_ALLOWED",
    )
    assert why(case, "workspace create_child", C) == ()
    assert why(case, "workspace view", P) == ()


def test_sixteen_levels_are_not_too_many_for_a_role_to_flow() -> None:
    chain = [workspace(f"w{depth}", f"w{depth - 1}" if depth else None, owner_user_id="other") for depth in range(16)]
    case = world(*chain, member(PLATFORM, "admin"))
    assert why(case, "dam:asset read", ("workspace", "w15")) == ()
    stopped = (*chain[:8], workspace("w8", "w7", is_suspended=True), *chain[9:], member(PLATFORM, "admin"))
    answer = found(world(*stopped), "dam:asset read", ("workspace", "w15"))
    assert (answer.reasons, answer.blocked_by) == (("WORKSPACE_SUSPENDED",), ("workspace", "w8"))


def test_a_route_guard_names_the_place_that_lacks_the_required_module() -> None:
    case = world(workspace("p", modules=["analytics"]), workspace("c", "p"), member(P, "admin"))
    facts, rules = load(case.state), case.bundle.rules
    asked: dict[str, Any] = {"subject": "ann", "workspace_id": "c", "guards": ["modules"]}
    route = check_route(facts, rules, NOW, required_module="dam", **asked)
    assert (route.guard, route.decision.reasons) == ("modules", ("MODULE_NOT_ENABLED",))
    assert route.decision.blocked_by is facts.places["workspace", "p"]
    assert check_route(facts, rules, NOW, required_module="analytics", **asked).decision.allowed
