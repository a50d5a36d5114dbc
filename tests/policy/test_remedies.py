"""Remedies of single denials: the least that helps, and never what does not."""

from typing import Any

import pytest

from tests.oracle.agreement import load
from tests.oracle.plain_state import PLATFORM, PlaceKey
from tests.oracle.worlds import NOW, World
from tests.policy.test_corners import ACME, CATALOG, TREE, C, P, member, subscribed, workspace, world
from wsauthz.policy.decision import decide
from wsauthz.policy.remedies import remedy
from wsauthz.policy.remedy import Remedy

USERS = (("user", {"id": "ann", "is_active": True}),)


def fix_of(case: World, asked: str, at: PlaceKey = C, *, user: str = "ann", module: str = "") -> Remedy:
    """Return the remedy of a denial."""
    resource, action = asked.split()
    facts, rules = load(case.state), case.bundle.rules
    question = {"subject": user, "resource": resource, "action": action, "required_module": module}
    place: Any = at
    decision = decide(facts, rules, NOW, place=place, **question)
    assert not decision.allowed
    return remedy(facts, rules, NOW, decision, **question)


def test_an_expired_membership_is_extended_with_the_modules_that_it_has() -> None:
    case = world(*USERS, *TREE, member(C, "editor", modules=["dam"], expires_at=NOW - 1))
    fix = fix_of(case, "dam:asset read")
    assert (fix.method, fix.fields, fix.role, fix.module) == (
        "MembershipService/UpdateMember",
        ("expires_at",),
        "",
        "",
    )
    assert fix.message == "Give the membership a later expiry (role editor, in the module dam only)."
    # What it would not allow again takes something else.
    assert fix_of(case, "analytics:report read").fields == ("expires_at", "modules")
    assert fix_of(case, "workspace create_child").role == "admin"


def test_a_membership_above_is_mended_where_it_is() -> None:
    case = world(*USERS, *TREE, member(P, "admin", modules=["dam"]))
    fix = fix_of(case, "workspace create_child", module="analytics")
    assert (fix.method, fix.place and fix.place.key, fix.module) == ("MembershipService/UpdateMember", P, "analytics")
    assert "in workspace:p and the places below it" in fix.message


def test_of_somebody_new_the_module_that_is_asked_about_is_enough() -> None:
    case = world(*USERS, *TREE)
    fix = fix_of(case, "dam:asset read")
    assert (fix.method, fix.role, fix.module) == ("MembershipService/AddMember", "viewer", "dam")
    assert fix.message == "Add the user as viewer, in the module dam only."
    fix = fix_of(case, "workspace view")
    assert (fix.module, fix.message) == ("", "Add the user as viewer, in every module.")


def test_a_user_that_was_never_mirrored_is_mirrored_and_no_operator() -> None:
    fix = fix_of(world(*TREE), "workspace create", PLATFORM)
    assert (fix.method, fix.warning, fix.role) == ("UserService/UpsertUser", "UNKNOWN_USER", "")
    assert "grant" not in fix.message
    fix = fix_of(world(*TREE), "workspace view")
    assert (fix.method, fix.warning) == ("UserService/UpsertUser", "UNKNOWN_USER")
    assert fix.message.endswith("Then: Add the user as viewer, in every module.")


def test_a_role_that_the_bundle_lacks_is_replaced() -> None:
    fix = fix_of(world(*USERS, *TREE, member(C, "gone")), "workspace view")
    assert (fix.method, fix.fields, fix.role) == ("MembershipService/UpdateMember", ("role",), "viewer")
    assert fix.warning == "ROLE_UNKNOWN"
    assert fix.message.startswith("This policy has no role 'gone'. Give the user the role viewer")


def test_a_role_that_a_deny_stops_is_never_proposed() -> None:
    deny = "p, role:viewer, workspace:c, workspace/*, view, any, deny"
    assert fix_of(world(*USERS, *TREE, rules=(deny,)), "workspace view").role == ""
    # Of several roles that a rule allows, one is proposed that no rule denies it to.
    rules = (
        "p, role:viewer, *, event/*, read, any, allow",
        "p, perm:publish, *, event/*, read, any, allow",
        "p, role:viewer, workspace:c, event/*, read, any, deny",
    )
    assert fix_of(world(*USERS, *TREE, rules=rules), "event read", P).role == "viewer"
    assert fix_of(world(*USERS, *TREE, rules=rules), "event read").role == ""


def test_a_role_that_denies_is_exchanged() -> None:
    rules = ("p, role:editor, *, event/*, read, any, deny", "p, role:viewer, *, event/*, read, any, allow")
    fix = fix_of(world(*USERS, *TREE, member(C, "editor"), rules=rules), "event read")
    assert (fix.method, fix.role) == ("MembershipService/UpdateMember", "viewer")
    assert fix.message.startswith("A rule denies this (policy.csv line 14) to a role of the user. Give")


def test_reinstating_is_not_proposed_where_a_module_is_missing() -> None:
    case = world(*USERS, workspace("p"), workspace("c", "p", is_suspended=True), member(C, "editor", modules=["dam"]))
    fix = fix_of(case, "analytics:report read")
    assert (fix.method, fix.module) == ("MembershipService/UpdateMember", "analytics")
    assert " Then: Reinstate workspace:c," in fix.message
    fix = fix_of(case, "dam:asset read")
    assert fix.method == "WorkspaceStateService/ReinstateWorkspace"


def test_nobody_is_proposed_to_be_added_where_nobody_can_be() -> None:
    case = world(*USERS, workspace("p"), workspace("c", "p", is_suspended=True))
    fix = fix_of(case, "workspace view")
    assert fix.method == "WorkspaceStateService/ReinstateWorkspace"
    assert fix.message.endswith("Nobody can be added before that. Then: Add the user as viewer, in every module.")


def test_activating_a_place_that_stays_suspended_is_enough_for_a_rule_about_suspended_ones() -> None:
    case = world(
        *USERS,
        workspace("c", is_active=False, is_suspended=True, owner_user_id="ann"),
    )
    fix = fix_of(case, "subscription view")
    assert fix.message == "Activate workspace:c, for everybody there and below it."
    fix = fix_of(case, "workspace create_child")
    assert fix.message.endswith("This alone is not enough: workspace:c is suspended.")


def test_a_module_is_enabled_from_above_and_within_the_plan() -> None:
    case = world(*USERS, workspace("p", modules=[]), workspace("c", "p", modules=[]), member(P, "admin"))
    fix = fix_of(case, "dam:asset read")
    assert (fix.method, fix.place and fix.place.key, fix.module) == ("SettingsService/SetModules", P, "dam")


def test_a_plan_is_named_with_the_workspace_whose_it_is() -> None:
    case = world(*USERS, *TREE, subscribed("p", "free"), member(P, "admin"))
    fix = fix_of(case, "dam:brand edit")
    assert (fix.method, fix.place and fix.place.key, fix.plan) == ("SettingsService/SetSubscription", P, "pro")
    assert "for everybody there and below it" in fix.message


def test_whoever_is_added_to_a_workspace_of_an_organization_becomes_its_member_and_the_sentence_says_so() -> None:
    organization = ("organization", {"id": "acme", "is_suspended": False})
    rows = (*USERS, organization, workspace("c", organization_id="acme"))
    fix = fix_of(world(*rows), "workspace view")
    assert "This makes them viewer of its organization" in fix.message
    barred = member(ACME, "viewer", is_active=False, expires_at=NOW - 1)
    fix = fix_of(world(*rows, barred), "workspace view")
    assert (fix.method, fix.place and fix.place.key, fix.fields) == (
        "MembershipService/UpdateMember",
        ACME,
        ("is_active",),
    )


@pytest.mark.parametrize("by_id", ["visible", "nobody"])
def test_whom_nobody_may_add_by_an_id_is_invited(by_id: str) -> None:
    catalog = f'{CATALOG}[joining]\nadd_by_id = "{by_id}"\n'
    case = world(*USERS, *TREE, ("organization", {"id": "acme", "is_suspended": False}), catalog=catalog)
    fix = fix_of(case, "dam:asset read")
    assert (fix.method, fix.role, fix.module) == ("InvitationService/CreateInvitation", "viewer", "dam")
    assert (
        fix.message == "Invite the verified address of the user as viewer, in the module dam only; they have to accept."
    )
    # An invitation gives no explicit permission, and is to a workspace.
    fix = fix_of(case, "dam:asset publish")
    assert (fix.method, fix.permission) == ("MembershipService/AddMemberByEmail", "publish")
    assert fix_of(case, "dam:asset read", ACME).method == "MembershipService/AddMemberByEmail"
