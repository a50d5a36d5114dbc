from typing import Any

import grpc
import pytest

from tests.rpc import tables
from tests.rpc.tenants import OPERATOR, Tenants, modules
from tests.serving import Refusal, refusal
from wsauthz.v1 import settings_pb2 as pb
from wsauthz.v1 import workspaces_pb2
from wsauthz.v1.settings_pb2 import SubscriptionStatus as Status
from wsauthz.v1.workspace_states_pb2 import SuspendWorkspaceRequest


def request_of(workspace: str, plan: str, status: Any = Status.SUBSCRIPTION_STATUS_ACTIVE, **fields: Any) -> Any:
    return pb.SetSubscriptionRequest(workspace_id=workspace, plan=plan, status=status, **fields)


def set_(tenants: Tenants, workspace: str, plan: str, *status: Any, **fields: Any) -> pb.Subscription:
    request = request_of(workspace, plan, *status, **fields)
    return tenants.operator.settings.SetSubscription(request).subscription


def setting(tenants: Tenants, workspace: str, plan: str, *status: Any, **fields: Any) -> Refusal:
    return refusal(tenants.operator.settings.SetSubscription, request_of(workspace, plan, *status, **fields))


def get(tenants: Tenants, actor: str, workspace: str) -> pb.GetSubscriptionResponse:
    request = pb.GetSubscriptionRequest(workspace_id=workspace)
    return tenants.client(actor).settings.GetSubscription(request)


def view(tenants: Tenants, workspace: str) -> workspaces_pb2.GetWorkspaceResponse:
    request = workspaces_pb2.GetWorkspaceRequest(workspace_id=workspace)
    return tenants.operator.workspaces.GetWorkspace(request)


@pytest.mark.req("REQ-088", "REQ-130", "REQ-133")
def test_a_subscription_is_what_the_billing_system_said_last(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    assert get(dam, owner, workspace) == pb.GetSubscriptionResponse()
    made = set_(dam, workspace, "trial", Status.SUBSCRIPTION_STATUS_TRIALING)
    assert (made.workspace_id, made.plan, made.plan_type) == (workspace, "trial", "trial")
    assert made.status == Status.SUBSCRIPTION_STATUS_TRIALING
    assert made.created_at == made.updated_at == made.plan_changed_at
    assert get(dam, owner, workspace) == pb.GetSubscriptionResponse(subscription=made)
    changed = set_(dam, workspace, "professional", Status.SUBSCRIPTION_STATUS_PAST_DUE, plan_type="invoice")
    assert (changed.plan, changed.plan_type, changed.created_at) == ("professional", "invoice", made.created_at)
    assert get(dam, owner, workspace).subscription == changed
    shown = view(dam, workspace)
    assert (shown.plan, shown.plan_type) == ("professional", "invoice")


@pytest.mark.req("REQ-132")
def test_only_another_plan_moves_the_time_of_the_plan(dam: Tenants) -> None:
    workspace = dam.workspace(dam.user()).id
    made = set_(dam, workspace, "trial")
    for status in (Status.SUBSCRIPTION_STATUS_EXPIRED, Status.SUBSCRIPTION_STATUS_ACTIVE):
        same = set_(dam, workspace, "trial", status)
        assert same.plan_changed_at == made.plan_changed_at
        assert same.updated_at.ToNanoseconds() > made.updated_at.ToNanoseconds()
    assert set_(dam, workspace, "trial", plan_type="gift").plan_changed_at == made.plan_changed_at
    other = set_(dam, workspace, "free")
    assert other.plan_changed_at == other.updated_at
    assert other.plan_changed_at.ToNanoseconds() > made.plan_changed_at.ToNanoseconds()


def test_the_same_subscription_again_writes_nothing(dam: Tenants) -> None:
    workspace = dam.workspace(dam.user()).id
    made, revision = set_(dam, workspace, "professional"), dam.revision
    assert set_(dam, workspace, "professional") == made
    assert set_(dam, workspace, "professional", plan_type="paid") == made
    assert dam.revision == revision


@pytest.mark.req("REQ-088")
def test_children_without_a_subscription_of_their_own_use_the_nearest_one(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    child = dam.child(owner, root).id
    grandchild = dam.child(owner, child).id
    everywhere = (root, child, grandchild)
    assert {dam.reason(owner, each, "dam:brand edit") for each in everywhere} == {"PLAN_FEATURE_MISSING"}
    of_root = set_(dam, root, "professional")
    assert [get(dam, owner, each).subscription for each in everywhere] == [of_root] * 3
    assert {dam.reason(owner, each, "dam:brand edit") for each in everywhere} == {""}
    of_child = set_(dam, child, "free")
    assert [get(dam, owner, each).subscription for each in everywhere] == [of_root, of_child, of_child]
    reasons = [dam.reason(owner, each, "dam:brand edit") for each in everywhere]
    assert reasons == ["", "PLAN_FEATURE_MISSING", "PLAN_FEATURE_MISSING"]
    assert [view(dam, each).plan for each in everywhere] == ["professional", "free", "free"]
    set_(dam, root, "free")
    assert dam.reason(owner, root, "dam:brand edit") == "PLAN_FEATURE_MISSING"


def test_a_plan_that_a_child_had_from_above_has_not_changed_when_it_becomes_its_own(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    child = dam.child(owner, root).id
    above = set_(dam, root, "professional")
    own = set_(dam, child, "professional")
    assert (own.workspace_id, own.plan_changed_at) == (child, above.plan_changed_at)
    assert own.created_at.ToNanoseconds() > above.created_at.ToNanoseconds()


@pytest.mark.req("REQ-131")
def test_an_expired_or_cancelled_one_warns_and_denies_nothing(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    child = dam.child(owner, workspace).id
    for status in Status.values()[1:]:
        set_(dam, workspace, "professional", status)
        lapsed = status in {Status.SUBSCRIPTION_STATUS_EXPIRED, Status.SUBSCRIPTION_STATUS_CANCELLED}
        expected = ["SUBSCRIPTION_EXPIRED"] if lapsed else []
        for place in (workspace, child):
            assert list(get(dam, owner, place).warnings) == expected
            answer = dam.check(owner, place, "dam:brand edit")
            assert (answer.denial.reason, list(answer.warnings)) == ("", expected)


def test_a_plan_changes_no_modules(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner, modules=modules("dam", "analytics")).id
    set_(dam, workspace, "free")  # which has dam only
    shown = view(dam, workspace)
    assert list(shown.workspace.modules) == list(shown.modules) == ["dam", "analytics"]
    assert dam.reason(owner, workspace, "analytics:report read") == ""


@pytest.mark.parametrize("plan", ["", "platinum", "Professional", " professional", "x" * 1000, "a\x00b"])
def test_a_plan_that_the_catalog_lacks(dam: Tenants, plan: str) -> None:
    workspace = dam.workspace(dam.user()).id
    revision = dam.revision
    refused = setting(dam, workspace, plan)
    assert (refused.code, refused.reason, refused.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "UNKNOWN_PLAN",
        ("plan",),
    )
    assert len(refused.message) < 200
    assert dam.revision == revision


def test_without_plans_in_the_catalog_a_plan_is_any_short_text(oneglanse: Tenants) -> None:
    workspace = oneglanse.workspace(oneglanse.user()).id
    made = set_(oneglanse, workspace, "  Deal of the day ")
    assert (made.plan, made.plan_type) == ("Deal of the day", "")
    assert set_(oneglanse, workspace, "x" * 100, plan_type=" y" + "y" * 63).plan_type == "y" * 64
    for plan in ("", "  ", "x" * 101, "a\nb", "a\x00b"):
        refused = setting(oneglanse, workspace, plan)
        assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ("plan",)), plan


@pytest.mark.parametrize("plan_type", ["y" * 65, "a\x00b", "a\nb"])
def test_a_plan_type_too_long_or_with_control_characters(dam: Tenants, plan_type: str) -> None:
    refused = setting(dam, dam.workspace(dam.user()).id, "free", plan_type=plan_type)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("plan_type",))


@pytest.mark.parametrize("status", [0, 6, 99, -1])
def test_a_status_is_required_and_known(dam: Tenants, status: int) -> None:
    refused = setting(dam, dam.workspace(dam.user()).id, "free", status)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("status",))


def test_a_subscription_of_no_workspace(dam: Tenants) -> None:
    refused = setting(dam, "workspace_unknown", "free")
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")
    owner = dam.user()
    gone = dam.workspace(owner).id
    set_(dam, gone, "free")
    dam.client(owner).workspaces.DeleteWorkspace(workspaces_pb2.DeleteWorkspaceRequest(workspace_id=gone))
    assert setting(dam, gone, "professional") == refused
    request = pb.GetSubscriptionRequest(workspace_id=gone)
    assert refusal(dam.operator.settings.GetSubscription, request).reason == "WORKSPACE_NOT_FOUND"


def test_only_the_platform_sets_subscriptions(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    refused = refusal(dam.client(owner).settings.SetSubscription, request_of(workspace, "free"))
    assert (refused.code, refused.kind) == (grpc.StatusCode.PERMISSION_DENIED, "AuthError")
    unknown = refusal(dam.client(owner).settings.SetSubscription, request_of("workspace_unknown", "free"))
    assert unknown == refused
    assert get(dam, owner, workspace) == pb.GetSubscriptionResponse()


@pytest.mark.req("REQ-130")
def test_who_may_not_view_a_subscription_is_not_shown_it(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    made = set_(dam, workspace, "free")
    viewer = dam.member(owner, workspace, role="viewer")
    assert get(dam, viewer, workspace).subscription == made
    dam.operator.states.SuspendWorkspace(SuspendWorkspaceRequest(workspace_id=workspace))
    request = pb.GetSubscriptionRequest(workspace_id=workspace)
    refused = refusal(dam.client(viewer).settings.GetSubscription, request)
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "WORKSPACE_SUSPENDED")
    assert get(dam, owner, workspace).subscription == made
    foreign = refusal(dam.client(dam.user()).settings.GetSubscription, request)
    unknown = refusal(dam.client(owner).settings.GetSubscription, pb.GetSubscriptionRequest(workspace_id="nowhere"))
    assert foreign == unknown
    assert foreign.reason == "WORKSPACE_NOT_FOUND"


def audited(tenants: Tenants, workspace: str) -> list[dict[str, Any]]:
    sql = f"SELECT after FROM audit_entries WHERE target_kind = 'subscription' AND target_id = '{workspace}'"
    return [tables.json_of(row["after"]) for row in tables.found(tenants, f"{sql} ORDER BY number")]


def test_the_audit_of_a_subscription_holds_words_of_the_catalog_only(dam: Tenants, oneglanse: Tenants) -> None:
    workspace = dam.workspace(dam.user()).id
    set_(dam, workspace, "free", plan_type="Canary")
    set_(dam, workspace, "free", Status.SUBSCRIPTION_STATUS_CANCELLED, plan_type="Canary")
    assert audited(dam, workspace) == [{"plan": "free", "status": 1}, {"plan": "free", "status": 5}]
    workspace = oneglanse.workspace(oneglanse.user()).id
    set_(oneglanse, workspace, "Canary deal")
    assert audited(oneglanse, workspace) == [{"status": 1}]


def test_a_retry_of_a_subscription_gets_the_first_answer(dam: Tenants) -> None:
    workspace = dam.workspace(dam.user()).id
    made = set_(dam, workspace, "trial", request_id="billing-1")
    set_(dam, workspace, "professional")
    assert set_(dam, workspace, "trial", request_id="billing-1") == made
    assert get(dam, OPERATOR, workspace).subscription.plan == "professional"
