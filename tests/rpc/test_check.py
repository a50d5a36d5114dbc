"""Check, BatchCheck, GetAccess and Explain: what they take and what they say beside the decision."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.rpc.conftest import serving, sqlite_database
from tests.rpc.tenants import STATE, Tenants, modules
from tests.serving import Refusal, attempt, refusal
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import memberships_pb2, places_pb2, policy_pb2

pytestmark = pytest.mark.transports

ALLOW, DENY = pb.DECISION_ALLOW, pb.DECISION_DENY
INVALID = grpc.StatusCode.INVALID_ARGUMENT
UNTIL = 4_000_000_000

WORLD: dict[str, Any] = {
    "users": [
        *({"id": name} for name in ("ada", "mia", "zoe", "owen", "olga", "vic", "lim", "pam", "idle", "soon")),
        {"id": "gone", "is_active": False},
    ],
    "organizations": [{"id": "acme"}],
    "workspaces": [
        {"id": "hq", "organization": "acme", "owner": "owen"},
        {"id": "eu", "organization": "acme", "parent": "hq", "owner": "owen"},
        {"id": "frozen", "owner": "owen", "is_suspended": True},
        {"id": "bare", "owner": "owen", "modules": []},
        {"id": "paid", "owner": "owen"},
        *({"id": f"many-{number:03}", "owner": "many"} for number in range(25)),
    ],
    "subscriptions": [{"workspace": "paid", "plan": "professional", "status": "cancelled"}],
    "memberships": [
        *STATE["memberships"],
        {"organization": "acme", "user": "olga", "role": "organization-owner"},
        {"workspace": "hq", "user": "ada", "role": "admin"},
        {"workspace": "hq", "user": "mia", "role": "member"},
        {"workspace": "hq", "user": "vic", "role": "viewer"},
        {"workspace": "hq", "user": "lim", "role": "admin", "modules": ["dam"]},
        {"workspace": "hq", "user": "pam", "role": "viewer", "permissions": ["can-manage-users"]},
        {"workspace": "hq", "user": "idle", "role": "admin", "is_active": False},
        {"workspace": "hq", "user": "soon", "role": "admin", "expires_at": "2096-10-02T07:06:40Z"},
        {"workspace": "eu", "user": "soon", "role": "viewer"},
        {"workspace": "frozen", "user": "ada", "role": "admin"},
        {"workspace": "bare", "user": "mia", "role": "member"},
        {"workspace": "paid", "user": "ada", "role": "admin"},
    ],
}


@pytest.fixture(scope="module")
def world(transport: str, sqlite_template: Path) -> Iterator[Tenants]:
    with serving(sqlite_database(sqlite_template), "dam", WORLD) as tenants:
        yield tenants


def batch(world: Tenants, *items: pb.BatchCheckItem, **fields: Any) -> pb.BatchCheckResponse:
    return world.client().authorization.BatchCheck(pb.BatchCheckRequest(items=items, **fields))


def item(subject: str, workspace: str, resource: str, *actions: str, **fields: Any) -> pb.BatchCheckItem:
    return pb.BatchCheckItem(subject=subject, workspace_id=workspace, resource=resource, actions=actions, **fields)


def access(world: Tenants, subject: str, **fields: Any) -> pb.GetAccessResponse:
    return world.client().authorization.GetAccess(pb.GetAccessRequest(subject=subject, **fields))


# --- Check: what else is said -----------------------------------------------------------------------------------------


@pytest.mark.req("REQ-148")
def test_every_answer_has_its_own_id_and_says_what_it_is_of(world: Tenants) -> None:
    first, second = (world.check("ada", "hq", "workspace view") for _ in range(2))
    assert first.decision == second.decision == ALLOW
    assert first.decision_id != second.decision_id
    assert (first.revision, first.policy_version) == (second.revision, second.policy_version)
    assert re.fullmatch(r"[0-9a-f]{12}\.[0-9]+(\.[0-9a-f]{8})?", first.revision)


def test_an_allow_that_ends_by_itself_says_when(world: Tenants) -> None:
    assert world.check("soon", "hq", "dam:asset delete").valid_until.ToSeconds() == UNTIL
    assert world.check("soon", "eu", "dam:asset delete").valid_until.ToSeconds() == UNTIL
    assert not world.check("soon", "eu", "dam:asset read").HasField("valid_until")
    assert not world.check("ada", "hq", "dam:asset delete").HasField("valid_until")


def test_an_allow_of_a_batch_says_when_it_ends(world: Tenants) -> None:
    place: dict[str, Any] = {"workspace_id": "hq", "resource": "dam:asset"}
    temporary = pb.BatchCheckItem(subject="soon", actions=["delete", "read"], **place)
    lasting = pb.BatchCheckItem(subject="ada", actions=["delete"], **place)
    request = pb.BatchCheckRequest(items=[temporary, lasting])
    answers = world.client().authorization.BatchCheck(request).answers
    checks = [world.check(*asked) for asked in (("soon", "hq", "dam:asset delete"), ("soon", "hq", "dam:asset read"))]
    checks.append(world.check("ada", "hq", "dam:asset delete"))
    assert [each.valid_until for each in answers] == [each.valid_until for each in checks]
    assert [each.HasField("valid_until") for each in answers] == [each.HasField("valid_until") for each in checks]
    assert answers[0].valid_until.ToSeconds() == UNTIL


@pytest.mark.req("REQ-131")
def test_a_lapsed_subscription_warns(world: Tenants) -> None:
    assert list(world.check("ada", "paid", "dam:brand edit").warnings) == ["SUBSCRIPTION_EXPIRED"]
    assert list(world.check("zoe", "paid", "dam:brand edit").warnings) == ["SUBSCRIPTION_EXPIRED"]


def test_an_unknown_required_module_denies_and_warns(world: Tenants) -> None:
    answer = world.check("ada", "hq", "workspace view", required_module="warp")
    assert (answer.denial.reason, list(answer.warnings)) == ("MODULE_NOT_ENABLED", ["UNKNOWN_MODULE"])


def test_a_required_module_is_demanded_beside_the_rule(world: Tenants) -> None:
    assert world.check("lim", "hq", "workspace view", required_module="dam").decision == ALLOW
    assert world.check("lim", "hq", "workspace view", required_module="analytics").denial.reason == "MODULE_NOT_GRANTED"
    answer = world.check("mia", "bare", "workspace view", required_module="dam")
    assert (answer.denial.reason, answer.denial.blocked_by.workspace_id) == ("MODULE_NOT_ENABLED", "bare")
    assert answer.denial.remedy.module == "dam"


# --- Check: the trace -------------------------------------------------------------------------------------------------


def test_without_being_asked_there_is_no_trace(world: Tenants) -> None:
    assert not world.check("ada", "hq", "workspace view").HasField("trace")


def test_a_trace_tells_where_a_role_comes_from_and_which_row_matched(world: Tenants) -> None:
    answer = world.check("ada", "eu", "dam:asset delete", include_trace=True)
    roles = {(role.role, role.source, role.held_in.workspace_id, role.from_role) for role in answer.trace.roles}
    assert ("admin", "flowed", "hq", "admin") in roles
    assert {place for _, _, place, _ in roles} == {"hq"}
    assert [rule.rule for rule in answer.trace.rules] == ["p, role:admin, *, *, *, active, allow"]
    matched = answer.trace.rules[0]
    text = (Path(world.server.policy) / "policy.csv").read_text().splitlines()
    assert text[matched.line - 1] == matched.rule
    assert (matched.effect, matched.role) == ("allow", "admin")


def test_a_trace_knows_ownership_direct_roles_permissions_and_module_lists(world: Tenants) -> None:
    def held(subject: str) -> dict[str, pb.HeldRole]:
        roles = world.check(subject, "hq", "workspace view", include_trace=True).trace.roles
        return {f"{role.role} {role.source}": role for role in roles}

    assert held("owen")["owner ownership"].held_in.workspace_id == "hq"
    assert "viewer direct" in held("pam")
    assert any(name.startswith("perm:can-manage-users") for name in held("pam"))
    assert list(held("lim")["admin direct"].modules.modules) == ["dam"]
    assert not held("ada")["admin direct"].HasField("modules")
    assert held("olga")["admin flowed"].held_in.organization_id == "acme"
    assert held("zoe") == {}


def test_a_denial_has_a_trace_too(world: Tenants) -> None:
    answer = world.check("vic", "hq", "dam:asset delete", include_trace=True)
    assert answer.decision == DENY
    assert [role.role for role in answer.trace.roles] == ["viewer"]
    assert not answer.trace.rules


# --- Check: who can fix it --------------------------------------------------------------------------------------------


def fixers(world: Tenants, asker: str | None, subject: str, workspace: str, question: str) -> list[str]:
    resource, _, action = question.partition(" ")
    request = pb.CheckRequest(
        subject=subject, workspace_id=workspace, resource=resource, action=action, include_remedy=True
    )
    return list(world.client(asker).authorization.Check(request).denial.remedy.user_ids)


def test_who_can_fix_it_is_told_to_those_who_may_list_members(world: Tenants) -> None:
    found = fixers(world, "ada", "vic", "hq", "dam:asset delete")
    assert set(found) >= {"ada", "owen"}
    # Not those who hold less than it takes: a limited, a permitted and a temporary admin.
    assert set(found) <= {"ada", "owen", "olga", "root"}
    assert set(fixers(world, None, "mia", "hq", "dam:asset delete")) == set(found)  # mia, a member, may list members


@pytest.mark.parametrize("asker", [None, "vic", "zoe", "gone", "nobody"])
def test_who_can_fix_it_is_not_told_to_others(world: Tenants, asker: str | None) -> None:
    assert fixers(world, asker, "vic", "hq", "dam:asset delete") == []


def test_who_can_fix_it_is_not_told_to_strangers_of_the_workspace(world: Tenants) -> None:
    assert fixers(world, None, "zoe", "hq", "workspace view") == []


def test_at_most_ten_are_named(world: Tenants) -> None:
    owner = world.user()
    workspace = world.workspace(owner).id
    for _ in range(12):
        world.member(owner, workspace, role="admin")
    member = world.member(owner, workspace)
    assert len(fixers(world, owner, member, workspace, "dam:asset delete")) == 10


def test_those_named_can_really_do_it(world: Tenants) -> None:
    owner, member = world.user(), world.user()
    workspace = world.workspace(owner).id
    world.member(owner, workspace, user=member, role="viewer")
    others: list[dict[str, Any]] = [
        {"modules": modules("dam")},
        {"role": "viewer", "permissions": ["can-manage-users"]},
        {},
    ]
    for terms in others:
        world.member(owner, workspace, **{"role": "admin", **terms})
    named = fixers(world, owner, member, workspace, "dam:asset delete")
    assert len(named) == 3  # the operator, the owner and one of the admins
    for user in named:
        update = memberships_pb2.UpdateMemberRequest(workspace_id=workspace, user_id=member, role="admin")
        update.update_mask.paths.append("role")
        world.client(user).memberships.UpdateMember(update)
        assert world.reason(member, workspace, "dam:asset delete") == ""
        update.role = "viewer"
        world.client(owner).memberships.UpdateMember(update)


# --- BatchCheck -------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-145")
def test_a_batch_answers_items_and_their_actions_in_order(world: Tenants) -> None:
    answer = batch(
        world,
        item("vic", "hq", "dam:asset", "read", "update", "delete"),
        item("zoe", "hq", "workspace", "view"),
        item("ada", "eu", "dam:asset/42", "delete", "read"),
        pb.BatchCheckItem(subject="olga", organization_id="acme", resource="organization", actions=["view"]),
        pb.BatchCheckItem(subject="zoe", platform=True, resource="workspace", actions=["create"]),
        pb.BatchCheckItem(subject="zoe", resource="workspace", actions=["create"]),
    )
    found = [(one.decision == ALLOW, one.reason, one.http_status) for one in answer.answers]
    assert found == [
        (True, "", 0),
        (False, "ROLE_INSUFFICIENT", 403),
        (False, "ROLE_INSUFFICIENT", 403),
        (False, "NOT_A_MEMBER", 403),
        (True, "", 0),
        (True, "", 0),
        (True, "", 0),
        (True, "", 0),
        (False, "WORKSPACE_ID_MISSING", 400),
    ]
    assert answer.revision
    assert answer.policy_version
    assert answer.decision_id


def test_a_bad_item_fails_alone(world: Tenants) -> None:
    bad = [
        (item("a b", "hq", "workspace", "view"), "subject"),
        (item("ada", "h q", "workspace", "view"), "workspace_id"),
        (item("ada", "hq", "nonsense", "view"), "resource"),
        (item("ada", "hq", "workspace", "fly"), "action"),
    ]
    good = item("ada", "hq", "workspace", "view")
    answers = batch(world, *(one for pair in bad for one in (pair[0], good))).answers
    assert [one.decision for one in answers[1::2]] == [ALLOW] * len(bad)
    for (_, field), one in zip(bad, answers[::2], strict=True):
        assert (one.decision, one.reason, one.http_status) == (pb.DECISION_UNSPECIFIED, "", 0)
        assert field in one.error


def test_one_bad_action_leaves_the_others_of_its_item_answered(world: Tenants) -> None:
    answers = batch(world, item("ada", "hq", "dam:asset", "read", "fly", "delete")).answers
    assert [one.decision for one in answers] == [ALLOW, pb.DECISION_UNSPECIFIED, ALLOW]


def test_a_batch_has_at_most_1000_decisions(world: Tenants) -> None:
    assert len(batch(world, *(item("ada", "hq", "workspace", "view") for _ in range(1_000))).answers) == 1_000
    thirds = [item("ada", "hq", "dam:asset", "read", "update", "delete") for _ in range(334)]
    refused = refusal(world.client().authorization.BatchCheck, pb.BatchCheckRequest(items=thirds))
    assert (refused.code, refused.fields) == (INVALID, ("items",))


def test_a_batch_without_items_has_no_answers(world: Tenants) -> None:
    found = attempt(world.client().authorization.BatchCheck, pb.BatchCheckRequest())
    assert found.code == INVALID if isinstance(found, Refusal) else not found.answers


# --- GetAccess --------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-106", "REQ-107", "REQ-112", "REQ-129", "REQ-138")
def test_access_is_everything_a_frontend_wants_at_once(world: Tenants) -> None:
    found = access(world, "pam", workspace_id="hq")
    assert (found.role, list(found.permissions)) == ("viewer", ["can-manage-users"])
    assert sorted(found.modules) == ["analytics", "collaboration", "dam"]
    assert (found.is_active, found.is_owner, found.state) == (True, False, places_pb2.STATE_ACTIVE)
    rights = (found.can_manage_workspace, found.can_create_child, found.can_customize_branding)
    assert rights == (False, False, False)
    assert list(found.allowed["dam:asset"].actions) == ["read"]
    assert list(found.allowed["member"].actions) == ["add", "remove", "update", "view"]
    assert "schedule" not in found.allowed
    assert found.revision
    assert found.policy_version


@pytest.mark.req("REQ-106", "REQ-107")
def test_access_of_an_owner_and_of_an_inherited_admin(world: Tenants) -> None:
    owner = access(world, "owen", workspace_id="eu")
    assert (owner.role, owner.is_owner, owner.is_active) == ("owner", True, True)
    assert not owner.HasField("membership")
    assert owner.can_manage_workspace
    assert owner.can_create_child
    admin = access(world, "ada", workspace_id="eu")
    assert (admin.role, admin.is_owner, admin.is_active) == ("admin", False, True)
    assert not admin.HasField("membership")
    assert "delete" in admin.allowed["dam:asset"].actions
    assert ("admin", "flowed", "hq") in {(role.role, role.source, role.held_in.workspace_id) for role in admin.roles}


@pytest.mark.req("REQ-097", "REQ-138")
@pytest.mark.parametrize(
    ("subject", "may_enter", "membership"),
    [
        ("pam", True, ("viewer", True)),
        ("soon", True, ("admin", True)),
        ("idle", False, ("admin", False)),
        ("gone", False, None),
        ("zoe", False, None),
    ],
)
def test_access_says_whether_the_subject_may_enter_and_whether_its_own_membership_counts(
    world: Tenants, subject: str, may_enter: bool, membership: tuple[str, bool] | None
) -> None:
    found = access(world, subject, workspace_id="hq")
    assert found.is_active == may_enter == (world.reason(subject, "hq") == "")
    own = found.membership
    assert (own.role, own.is_active) == (membership or ("", False))
    assert found.HasField("membership") == (membership is not None)
    assert own.HasField("expires_at") == (subject == "soon")


def test_staff_may_enter_the_platform_and_everybody_holds_something_there(world: Tenants) -> None:
    assert [access(world, subject, platform=True).is_active for subject in ("root", "zoe", "gone")] == [
        True,
        True,
        False,
    ]
    assert access(world, "root", platform=True).membership.role == "operator"


def test_access_is_what_check_says_one_by_one(world: Tenants) -> None:
    info = world.client().policy.GetPolicyInfo(policy_pb2.GetPolicyInfoRequest())
    types = {resource.type: list(resource.actions) for resource in info.catalog.resources}
    types |= {"workspace": ["view", "update", "create_child", "delete", "leave"], "member": ["view", "add"]}
    for subject in ("ada", "mia", "vic", "lim", "pam", "soon", "idle", "olga", "owen", "zoe", "root", "gone"):
        for workspace in ("hq", "eu", "frozen", "bare", "paid"):
            found = access(world, subject, workspace_id=workspace)
            for kind, actions in types.items():
                answers = batch(world, item(subject, workspace, kind, *actions)).answers
                allowed = {action for action, one in zip(actions, answers, strict=True) if one.decision == ALLOW}
                assert allowed == set(found.allowed[kind].actions) & set(actions), (subject, workspace, kind)


def test_access_of_a_stranger_is_empty(world: Tenants) -> None:
    found = access(world, "zoe", workspace_id="hq")
    assert (found.role, list(found.roles), list(found.modules), dict(found.allowed)) == ("", [], [], {})


def test_access_at_the_platform_and_in_an_organization(world: Tenants) -> None:
    assert list(access(world, "zoe", platform=True).allowed["workspace"].actions) == ["create"]
    found = access(world, "olga", organization_id="acme")
    assert found.role == "organization-owner"
    assert "create" in found.allowed["workspace"].actions


@pytest.mark.parametrize("place", [{"workspace_id": "a b"}, {"organization_id": "*"}])
def test_access_in_a_malformed_place_is_refused(world: Tenants, place: dict[str, Any]) -> None:
    refused = refusal(world.client().authorization.GetAccess, pb.GetAccessRequest(subject="ada", **place))
    assert (refused.code, refused.fields) == (INVALID, tuple(place))


@pytest.mark.req("REQ-128")
def test_an_etag_says_that_nothing_changed(world: Tenants) -> None:
    owner = world.user()
    workspace = world.workspace(owner).id
    member = world.member(owner, workspace)
    first = access(world, member, workspace_id=workspace)
    world.workspace(world.user())  # somebody else's business
    same = access(world, member, workspace_id=workspace, if_none_match=first.etag)
    assert (same.not_modified, same.etag) == (True, first.etag)
    assert not same.role
    assert not same.allowed
    request = memberships_pb2.UpdateMemberRequest(workspace_id=workspace, user_id=member, role="viewer")
    request.update_mask.paths.append("role")
    world.client(owner).memberships.UpdateMember(request)
    changed = access(world, member, workspace_id=workspace, if_none_match=first.etag)
    assert (changed.not_modified, changed.role) == (False, "viewer")
    assert changed.etag != first.etag


def test_etags_of_different_people_differ(world: Tenants) -> None:
    mine = access(world, "ada", workspace_id="hq").etag
    assert not access(world, "vic", workspace_id="hq", if_none_match=mine).not_modified
    assert not access(world, "ada", workspace_id="eu", if_none_match=mine).not_modified


# --- Explain ----------------------------------------------------------------------------------------------------------


def explain(world: Tenants, asker: str | None, subject: str, workspace: str, question: str) -> pb.ExplainResponse:
    resource, _, action = question.partition(" ")
    check = pb.CheckRequest(subject=subject, workspace_id=workspace, resource=resource, action=action)
    return world.client(asker).authorization.Explain(pb.ExplainRequest(check=check))


def test_an_explanation_has_every_step_and_the_answer_of_check(world: Tenants) -> None:
    found = explain(world, "ada", "vic", "hq", "dam:asset delete")
    assert found.check.denial.reason == "ROLE_INSUFFICIENT"
    assert found.check.HasField("trace")
    assert set(found.check.denial.remedy.user_ids) >= {"ada", "owen"}
    steps = {step.step: step for step in found.steps}
    assert steps["WORKSPACE_SUSPENDED"].passed
    assert not steps["ROLE_INSUFFICIENT"].passed
    assert steps["ROLE_INSUFFICIENT"].remedy.role == "admin"
    assert not steps["WORKSPACE_SUSPENDED"].HasField("remedy")
    assert all(step.detail for step in found.steps)


def test_an_explanation_shows_all_that_stands_in_the_way(world: Tenants) -> None:
    found = explain(world, None, "zoe", "frozen", "dam:asset read")
    failed = [step.step for step in found.steps if not step.passed and step.step.isupper()]
    assert failed == list(found.check.denial.reasons) == ["NOT_A_MEMBER", "WORKSPACE_SUSPENDED", "ROLE_INSUFFICIENT"]
    assert not found.check.denial.remedy.user_ids


def test_an_allow_is_explained_too(world: Tenants) -> None:
    found = explain(world, None, "ada", "eu", "dam:asset delete")
    assert found.check.decision == ALLOW
    assert all(step.passed for step in found.steps)
    assert "rules" in [step.step for step in found.steps]


def test_a_malformed_question_is_not_explained(world: Tenants) -> None:
    check = pb.CheckRequest(subject="a b", workspace_id="hq", resource="workspace", action="view")
    refused = refusal(world.client().authorization.Explain, pb.ExplainRequest(check=check))
    assert refused.code == INVALID
    assert refused.fields[0].endswith("subject")


# --- at_least_revision ------------------------------------------------------------------------------------------------

WITH_REVISION = [
    ("Check", pb.CheckRequest(subject="ada", workspace_id="hq", resource="workspace", action="view")),
    ("BatchCheck", pb.BatchCheckRequest()),
    ("CheckRoute", pb.CheckRouteRequest(subject="ada", workspace_id="hq")),
    ("GetAccess", pb.GetAccessRequest(subject="ada", workspace_id="hq")),
    ("LookupWorkspaces", pb.LookupWorkspacesRequest(subject="ada", resource="workspace", action="view")),
    ("LookupSubjects", pb.LookupSubjectsRequest(workspace_id="hq", resource="workspace", action="view")),
]


@pytest.mark.parametrize(("method", "request_"), WITH_REVISION, ids=[name for name, _ in WITH_REVISION])
def test_a_revision_of_another_database_is_unknown(world: Tenants, method: str, request_: Any) -> None:
    epoch, _, rest = world.revision.partition(".")
    foreign = f"{int(epoch, 16) ^ 1:012x}.{rest}"
    asked = type(request_)()
    asked.CopyFrom(request_)
    asked.at_least_revision = foreign
    refused = refusal(getattr(world.client().authorization, method), asked)
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REVISION_UNKNOWN")
    assert refused.violations == ("REVISION_UNKNOWN",)


def test_a_revision_that_was_never_reached_is_not_answered_from_an_older_state(world: Tenants) -> None:
    epoch, number, *_ = world.revision.split(".")
    asked = pb.CheckRequest(subject="ada", workspace_id="hq", resource="workspace", action="view")
    asked.at_least_revision = f"{epoch}.{int(number) + 1000}"
    refused = refusal(world.client().authorization.Check, asked, timeout=1)
    assert refused.code in {
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "1",
        ".",
        "aaaaaaaaaaaa.",
        ".1",
        "aaaaaaaaaaaa.-1",
        "aaaaaaaaaaaa.1.1",
        "a" * 500,
        "{epoch}",
        "{epoch}.x",
        "{epoch}.-1",
        "{epoch}.1e3",
        "{epoch}. 0",
        "{epoch}.\u0661",
        "{epoch}." + "9" * 5_000,
    ],
)
def test_a_malformed_revision_is_not_an_unknown_one(world: Tenants, token: str) -> None:
    asked = pb.CheckRequest(subject="ada", workspace_id="hq", resource="workspace", action="view")
    asked.at_least_revision = token.replace("{epoch}", world.revision.partition(".")[0])
    refused = refusal(world.client().authorization.Check, asked)
    assert (refused.code, refused.reason, refused.fields) == (INVALID, "INVALID_ARGUMENT", ("at_least_revision",))
    explained = refusal(world.client().authorization.Explain, pb.ExplainRequest(check=asked))
    assert (explained.code, explained.fields) == (INVALID, ("check.at_least_revision",))


def test_explain_takes_a_revision_too(world: Tenants) -> None:
    check = pb.CheckRequest(subject="ada", workspace_id="hq", resource="workspace", action="view")
    check.at_least_revision = "aaaaaaaaaaaa.1"
    refused = refusal(world.client().authorization.Explain, pb.ExplainRequest(check=check))
    assert refused.reason == "REVISION_UNKNOWN"
