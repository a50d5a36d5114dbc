import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from tests.databases import Databases
from tests.postgres import connect
from tests.rpc import tables
from tests.rpc.bundles import copy_bundle
from tests.rpc.conftest import serving, sqlite_database
from tests.rpc.tenants import Tenants
from tests.serving import Refusal, attempt, refusal
from wsauthz.v1 import authorization_pb2, places_pb2, settings_pb2, users_pb2, workspaces_pb2
from wsauthz.v1.workspace_states_pb2 import (
    DeactivateWorkspaceRequest,
    ReinstateWorkspaceRequest,
    SuspendWorkspaceRequest,
)


def switch(tenants: Tenants, actor: str, workspace: str, request_id: str = "") -> users_pb2.SwitchWorkspaceResponse:
    request = users_pb2.SwitchWorkspaceRequest(workspace_id=workspace, request_id=request_id)
    return tenants.client(actor).users.SwitchWorkspace(request)


def switching(tenants: Tenants, actor: str, workspace: str) -> Refusal:
    request = users_pb2.SwitchWorkspaceRequest(workspace_id=workspace)
    return refusal(tenants.client(actor).users.SwitchWorkspace, request)


def default_of(tenants: Tenants, user: str) -> str:
    return tenants.client(user).users.GetUser(users_pb2.GetUserRequest(user_id=user)).user.default_workspace_id


def subscribe(tenants: Tenants, workspace: str, plan: str, status: Any = 1) -> settings_pb2.Subscription:
    request = settings_pb2.SetSubscriptionRequest(workspace_id=workspace, plan=plan, status=status)
    return tenants.operator.settings.SetSubscription(request).subscription


def subscription(tenants: Tenants, actor: str, workspace: str) -> settings_pb2.GetSubscriptionResponse:
    request = settings_pb2.GetSubscriptionRequest(workspace_id=workspace)
    return tenants.client(actor).settings.GetSubscription(request)


def entered(tenants: Tenants, user: str) -> list[dict[str, Any]]:
    return tables.found(tenants, f"SELECT * FROM entries WHERE user_id = '{user}' ORDER BY workspace_id")


def suspend(tenants: Tenants, workspace: str) -> None:
    tenants.operator.states.SuspendWorkspace(SuspendWorkspaceRequest(workspace_id=workspace))


# --- the answer -------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-072", "REQ-098", "REQ-100", "REQ-106", "REQ-130")
def test_a_switch_answers_what_the_single_questions_answer(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    subscribe(dam, workspace, "professional")
    viewer = dam.member(owner, workspace, role="viewer")
    for actor in (owner, viewer):
        answer, client = switch(dam, actor, workspace), dam.client(actor)
        assert answer.user == client.users.GetUser(users_pb2.GetUserRequest(user_id=actor)).user
        assert answer.user.default_workspace_id == workspace
        request = workspaces_pb2.GetWorkspaceRequest(workspace_id=workspace)
        assert answer.workspace == client.workspaces.GetWorkspace(request)
        asked = authorization_pb2.GetAccessRequest(subject=actor, workspace_id=workspace)
        access = client.authorization.GetAccess(asked)
        access.ClearField("etag")
        access.ClearField("revision")
        assert answer.access == access
        assert answer.access.is_owner == (actor == owner)
        assert answer.subscription == subscription(dam, actor, workspace)
        assert (answer.subscription.subscription.plan, answer.subscription_error) == ("professional", "")
        assert answer.revision == dam.revision


@pytest.mark.req("REQ-071", "REQ-128")
def test_a_user_goes_from_one_of_its_workspaces_to_another(dam: Tenants) -> None:
    user, other = dam.user(), dam.user()
    first, second = dam.workspace(user, "One").id, dam.workspace(other, "Two").id
    dam.member(other, second, user=user)
    items = dam.client(user).workspaces.ListUserWorkspaces(workspaces_pb2.ListUserWorkspacesRequest()).workspaces
    for workspace in (item.id for item in items):
        answer = switch(dam, user, workspace)
        assert answer.workspace.workspace.id == default_of(dam, user) == workspace
        resolved = dam.client(user).users.ResolveCurrentWorkspace(users_pb2.ResolveCurrentWorkspaceRequest())
        assert resolved.workspace_id == workspace
    assert {item.id for item in items} == {first, second}
    assert {entry["workspace_id"] for entry in entered(dam, user)} == {first, second}


@pytest.mark.req("REQ-143")
def test_a_creator_goes_on_to_the_new_child(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    subscribe(dam, root, "professional")
    child = dam.child(owner, root).id
    answer = switch(dam, owner, child)
    assert (answer.workspace.workspace.parent_workspace_id, answer.access.is_owner) == (root, True)
    assert answer.subscription.subscription.workspace_id == root
    assert default_of(dam, owner) == child


def test_the_same_workspace_again_makes_no_revision_but_is_entered_again(dam: Tenants) -> None:
    user = dam.user()
    workspace = dam.workspace(user).id
    first, revision = switch(dam, user, workspace), dam.revision
    (entry,) = entered(dam, user)
    assert entry["previous_entered_at"] is None
    second = switch(dam, user, workspace)
    assert (second.user, second.revision, dam.revision) == (first.user, first.revision, revision)
    (again,) = entered(dam, user)
    assert again["entered_at"] > again["previous_entered_at"] == entry["entered_at"]


def test_a_retry_of_a_switch_gets_the_first_answer_and_enters_once(dam: Tenants) -> None:
    user = dam.user()
    first, second = dam.workspace(user, "One").id, dam.workspace(user, "Two").id
    answer = switch(dam, user, first, "r-1")
    before = entered(dam, user)
    assert switch(dam, user, first, "r-1") == answer
    assert entered(dam, user) == before
    switch(dam, user, second)
    assert switch(dam, user, first, "r-1") == answer
    assert default_of(dam, user) == second


def test_entries_are_in_no_audit_and_no_change(dam: Tenants) -> None:
    user = dam.user()
    workspace = dam.workspace(user).id
    switch(dam, user, workspace)
    of_user = f"SELECT * FROM audit_entries WHERE actor = '{user}' AND method = 'UserService/SwitchWorkspace'"
    (entry,) = tables.found(dam, of_user)
    assert (entry["target_kind"], entry["target_id"]) == ("user", user)
    assert tables.json_of(entry["before"]) == {"default_workspace_id": None}
    assert tables.json_of(entry["after"]) == {"default_workspace_id": workspace}
    switch(dam, user, workspace)
    assert len(tables.found(dam, of_user)) == 1


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-102")
def test_a_workspace_the_actor_may_not_view_is_as_unknown_as_none(dam: Tenants) -> None:
    user = dam.user()
    own, foreign = dam.workspace(user).id, dam.workspace(dam.user()).id
    switch(dam, user, own)
    before, revision = entered(dam, user), dam.revision
    assert switching(dam, user, foreign) == switching(dam, user, "workspace_unknown")
    refused = switching(dam, user, foreign)
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert (default_of(dam, user), entered(dam, user), dam.revision) == (own, before, revision)


def test_a_deleted_workspace_cannot_be_switched_to(dam: Tenants) -> None:
    user = dam.user()
    workspace = dam.workspace(user).id
    switch(dam, user, workspace)
    dam.client(user).workspaces.DeleteWorkspace(workspaces_pb2.DeleteWorkspaceRequest(workspace_id=workspace))
    assert switching(dam, user, workspace) == switching(dam, user, "workspace_unknown")
    assert default_of(dam, user) == ""


@pytest.mark.parametrize("workspace", ["", " ", "a b", "*", "a" * 129])
def test_a_malformed_workspace_is_named(dam: Tenants, workspace: str) -> None:
    refused = switching(dam, dam.user(), workspace)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("workspace_id",))


def test_a_suspended_or_inactive_workspace_is_shown_as_it_is_where_the_bundle_lets_it_be_viewed(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    subscribe(dam, workspace, "professional")
    viewer = dam.member(owner, workspace, role="viewer")
    suspend(dam, workspace)
    answer = switch(dam, viewer, workspace)
    assert answer.workspace.state == answer.access.state == places_pb2.STATE_SUSPENDED
    assert answer.workspace.workspace.is_suspended
    assert (answer.HasField("subscription"), answer.subscription_error) == (False, "WORKSPACE_SUSPENDED")
    assert switch(dam, owner, workspace).subscription.subscription.plan == "professional"
    dam.operator.states.DeactivateWorkspace(DeactivateWorkspaceRequest(workspace_id=workspace))
    assert switch(dam, viewer, workspace).access.state == places_pb2.STATE_INACTIVE


def test_a_bundle_may_hide_what_is_suspended(sqlite_template: Path, tmp_path: Path) -> None:
    bundle = copy_bundle("dam", tmp_path, tests=False)
    shown = "p, role:viewer, *, workspace/*, view, any, allow"
    policy = bundle / "policy.csv"
    assert shown in policy.read_text()
    policy.write_text(policy.read_text().replace(shown, shown.replace("any", "active")))
    with serving(sqlite_database(sqlite_template), str(bundle)) as dam:
        owner = dam.user()
        workspace, other = dam.workspace(owner, "One").id, dam.workspace(owner, "Two").id
        switch(dam, owner, other)
        suspend(dam, workspace)
        assert switching(dam, owner, workspace) == switching(dam, owner, "workspace_unknown")
        assert default_of(dam, owner) == other
        dam.operator.states.ReinstateWorkspace(ReinstateWorkspaceRequest(workspace_id=workspace))
        assert switch(dam, owner, workspace).user.default_workspace_id == workspace


# --- the subscription -------------------------------------------------------------------------------------------------


def changed(tenants: Tenants, actor: str, workspace: str) -> bool:
    """Switch, and return whether the plan has changed, having seen that both ways of asking agree."""
    answer = switch(tenants, actor, workspace)
    assert answer.subscription == subscription(tenants, actor, workspace)
    return answer.subscription.plan_changed


@pytest.mark.req("REQ-132")
def test_a_changed_plan_is_told_until_the_workspace_is_entered_once_more(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    member = dam.member(owner, workspace)
    subscribe(dam, workspace, "trial")
    assert not subscription(dam, owner, workspace).plan_changed  # never entered
    assert not changed(dam, owner, workspace)
    subscribe(dam, workspace, "professional")
    assert subscription(dam, owner, workspace).plan_changed  # since the only entry
    assert changed(dam, owner, workspace)
    assert subscription(dam, owner, workspace).plan_changed  # still, until the next entry
    assert not changed(dam, owner, workspace)
    subscribe(dam, workspace, "professional", settings_pb2.SUBSCRIPTION_STATUS_PAST_DUE)
    assert not changed(dam, owner, workspace)
    assert not changed(dam, member, workspace)  # whose first entry this is
    subscribe(dam, workspace, "free")
    assert changed(dam, member, workspace)
    assert changed(dam, owner, workspace)


def set_default(tenants: Tenants, actor: str, workspace: str, request_id: str = "") -> None:
    request = users_pb2.UpdateProfileRequest(default_workspace_id=workspace, request_id=request_id)
    tenants.client(actor).users.UpdateProfile(request)


@pytest.mark.req("REQ-098", "REQ-100", "REQ-132")
def test_a_changed_plan_reaches_a_frontend_that_updates_the_profile_and_then_gets_the_subscription(
    dam: Tenants,
) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    subscribe(dam, workspace, "trial")
    set_default(dam, owner, workspace)
    assert not subscription(dam, owner, workspace).plan_changed
    subscribe(dam, workspace, "professional")
    set_default(dam, owner, workspace)  # the same default once more, which makes no revision
    assert subscription(dam, owner, workspace).plan_changed
    assert subscription(dam, owner, workspace).plan_changed  # reading it is not a visit
    set_default(dam, owner, workspace)
    assert not subscription(dam, owner, workspace).plan_changed
    subscribe(dam, workspace, "free")
    assert changed(dam, owner, workspace)  # both ways of entering count as the same visits


def test_a_profile_change_records_one_visit_and_nothing_else_does(dam: Tenants) -> None:
    user = dam.user()
    workspace, other = dam.workspace(user, "One").id, dam.workspace(user, "Two").id
    foreign = dam.workspace(dam.user()).id
    set_default(dam, user, workspace, "r-1")
    (visit,) = entered(dam, user)
    assert (visit["workspace_id"], visit["previous_entered_at"]) == (workspace, None)
    set_default(dam, user, workspace, "r-1")  # a retry is not a second visit
    set_default(dam, user, "")
    request = users_pb2.UpdateProfileRequest()
    dam.client(user).users.UpdateProfile(request)
    refusal(dam.client(user).users.UpdateProfile, users_pb2.UpdateProfileRequest(default_workspace_id=foreign))
    assert entered(dam, user) == [visit]
    switch(dam, user, other)
    assert len(entered(dam, user)) == 2


@pytest.mark.req("REQ-132")
def test_a_plan_that_changes_above_has_changed_for_who_was_in_the_child(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    child = dam.child(owner, root).id
    assert not changed(dam, owner, child)
    subscribe(dam, root, "trial")
    assert changed(dam, owner, child)
    assert not changed(dam, owner, root)
    assert not changed(dam, owner, child)


@pytest.mark.req("REQ-131")
def test_an_expired_subscription_warns_on_a_switch(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    subscribe(dam, workspace, "professional", settings_pb2.SUBSCRIPTION_STATUS_EXPIRED)
    answer = switch(dam, owner, workspace)
    assert list(answer.subscription.warnings) == list(answer.access.warnings) == ["SUBSCRIPTION_EXPIRED"]


def test_no_subscription_is_no_error(dam: Tenants) -> None:
    owner = dam.user()
    answer = switch(dam, owner, dam.workspace(owner).id)
    assert (answer.HasField("subscription"), answer.subscription_error) == (False, "")


@pytest.mark.req("REQ-101")
def test_who_may_not_view_the_subscription_switches_without_it(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    workspace = oneglanse.workspace(owner, new_organization=workspaces_pb2.NewOrganization(name="Acme")).id
    subscribe(oneglanse, workspace, "any")
    answer = switch(oneglanse, owner, workspace)
    assert (answer.HasField("subscription"), answer.subscription_error) == (False, "ROLE_INSUFFICIENT")
    assert default_of(oneglanse, owner) == workspace


# --- trouble ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-101")
@pytest.mark.parametrize("table", ["subscriptions", "entries"])
def test_trouble_with_the_subscription_breaks_no_switch(
    dam: Tenants, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    subscribe(dam, workspace, "professional")
    with tables.missing(dam, table), caplog.at_level(logging.ERROR):
        answer = switch(dam, owner, workspace, f"trouble-{table}-{workspace}")
        assert (answer.HasField("subscription"), answer.subscription_error) == (False, "UNAVAILABLE")
        assert (answer.workspace.workspace.id, answer.workspace.plan) == (workspace, "professional")
        assert answer.access.is_owner
        assert default_of(dam, owner) == workspace
        assert answer.revision == dam.revision
        assert switch(dam, owner, workspace).subscription_error == "UNAVAILABLE"  # without a revision, too
    assert "a subscription could not be read" in [record.message for record in caplog.records]
    assert len(entered(dam, owner)) == (0 if table == "entries" else 1)
    assert switch(dam, owner, workspace).subscription.subscription.plan == "professional"


@pytest.mark.req("REQ-102")
def test_any_other_trouble_leaves_everything_as_it_was(dam: Tenants) -> None:
    owner = dam.user()
    first, second = dam.workspace(owner, "One").id, dam.workspace(owner, "Two").id
    switch(dam, owner, first)
    before, revision = entered(dam, owner), dam.revision
    with tables.missing(dam, "audit_entries"):  # written last
        refused = switching(dam, owner, second)
    assert refused.code == grpc.StatusCode.INTERNAL
    assert (default_of(dam, owner), entered(dam, owner), dam.revision) == (first, before, revision)
    assert switch(dam, owner, second).user.default_workspace_id == second


def test_switches_at_once_all_succeed_and_one_is_the_last(dam: Tenants) -> None:
    owner = dam.user()
    workspaces = [dam.workspace(owner, f"W{number}").id for number in range(4)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda workspace: switch(dam, owner, workspace), workspaces * 4))
    assert [answer.workspace.workspace.id for answer in answers] == workspaces * 4
    last = max(answers, key=lambda answer: answer.user.updated_at.ToNanoseconds())
    assert default_of(dam, owner) == last.user.default_workspace_id
    assert {entry["workspace_id"] for entry in entered(dam, owner)} == set(workspaces)


@pytest.fixture(scope="module")
def postgresql_dam(postgresql_databases: Databases) -> Iterator[Tenants]:
    """Return a server of the dam bundle with an operator, on PostgreSQL."""
    with serving(postgresql_databases.lend(), "dam") as tenants:
        yield tenants


@contextmanager
def locked(tenants: Tenants, table: str) -> Iterator[psycopg.Connection[Any]]:
    """Let nobody read a table for the block; give a second connection, to look who waits for it."""
    url = tenants.server.database_url
    with connect(url) as holder, connect(url, autocommit=True) as looker:
        holder.execute(f"LOCK TABLE {table}".encode())
        yield looker


@pytest.mark.req("REQ-101")
def test_a_subscription_that_takes_too_long_breaks_no_switch(postgresql_dam: Tenants) -> None:
    owner = postgresql_dam.user()
    workspace = postgresql_dam.workspace(owner).id
    with locked(postgresql_dam, "subscriptions"):
        answer = switch(postgresql_dam, owner, workspace)
    assert answer.subscription_error == ""  # there is none, so that nobody had to look
    subscribe(postgresql_dam, workspace, "professional")
    with locked(postgresql_dam, "subscriptions"):
        answer = switch(postgresql_dam, owner, workspace)
    assert (answer.subscription_error, answer.workspace.plan) == ("UNAVAILABLE", "professional")


@pytest.mark.req("REQ-102")
def test_a_connection_lost_on_the_way_is_no_trouble_of_the_subscription_alone(postgresql_dam: Tenants) -> None:
    owner = postgresql_dam.user()
    first, second = (postgresql_dam.workspace(owner, name).id for name in ("One", "Two"))
    subscribe(postgresql_dam, second, "professional")
    switch(postgresql_dam, owner, first)
    request = users_pb2.SwitchWorkspaceRequest(workspace_id=second)
    method = postgresql_dam.client(owner).users.SwitchWorkspace
    with locked(postgresql_dam, "subscriptions") as looker, ThreadPoolExecutor(1) as pool:
        call = pool.submit(attempt, method, request)
        _end_whoever_waits(looker)
        refused = call.result()
    assert isinstance(refused, Refusal)
    assert refused.code == grpc.StatusCode.UNAVAILABLE
    assert default_of(postgresql_dam, owner) == first
    assert switch(postgresql_dam, owner, second).subscription_error == ""


def _end_whoever_waits(looker: psycopg.Connection[Any]) -> None:
    end = (
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 5
    while looker.execute(end.encode()).fetchone() is None:
        assert time.monotonic() < deadline, "nobody waits"
