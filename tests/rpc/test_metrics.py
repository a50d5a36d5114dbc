"""What Prometheus scrapes of a server: counted right, and without anybody's id, address, code or token."""

import asyncio
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.rpc.bundles import copy_bundle
from tests.rpc.conftest import MakeDatabase
from tests.rpc.filling import fill, state_of
from tests.rpc.tables import missing
from tests.rpc.tenants import OPERATOR, STATE, Tenants
from tests.serving import BUNDLES, Refusal, Serving, attempt, refusal
from wsauthz.metrics import Metrics
from wsauthz.policy.bundle import read_bundle
from wsauthz.policy.catalog import Reason
from wsauthz.rpc import wrapper
from wsauthz.rpc.methods import core_vocabulary, methods
from wsauthz.store import audit
from wsauthz.v1 import (
    audit_pb2,
    authorization_pb2,
    invitations_pb2,
    memberships_pb2,
    policy_pb2,
    settings_pb2,
    users_pb2,
    workspace_states_pb2,
    workspaces_pb2,
)

Scrape = Mapping[tuple[str, ...], float]
"""The values of one series, by the values of its labels in the order of their names."""


class Metered(Tenants):
    """Tenants on a server whose metrics are scraped, as Prometheus does it."""

    def text(self) -> str:
        """Return the exposition."""
        scrapes = self.server.server._scrapes
        assert scrapes is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{scrapes.port}/metrics", timeout=10) as answer:
            found: str = answer.read().decode()
        return found

    def scrape(self, name: str) -> Scrape:
        """Return the values of one series."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
            if sample.name == name
        }

    def value(self, name: str) -> float:
        """Return the value of a series without labels."""
        return self.scrape(name)[()]

    def grown(self, name: str, work: Callable[[], None]) -> Scrape:
        """Return what the work has added to a series; what it has not touched is left out."""
        before = self.scrape(name)
        work()
        added = {labels: value - before.get(labels, 0) for labels, value in self.scrape(name).items()}
        return {labels: value for labels, value in added.items() if value}

    def code(self, workspace: str) -> str:
        """Return the invite code of a workspace."""
        request = invitations_pb2.GetInviteCodeRequest(workspace_id=workspace)
        return self.operator.invitations.GetInviteCode(request).code

    def join(self, actor: str, code: str) -> Any:
        """Join, or be refused."""
        request = invitations_pb2.JoinByCodeRequest(code=code)
        return attempt(self.client(actor).invitations.JoinByCode, request)

    def invite(self, actor: str, workspace: str, email: str, **fields: Any) -> Any:
        """Invite, or be refused."""
        request = invitations_pb2.CreateInvitationRequest(workspace_id=workspace, email=email, **fields)
        return attempt(self.client(actor).invitations.CreateInvitation, request)

    def accept(self, actor: str, token: str) -> Any:
        """Accept an invitation, or be refused."""
        request = invitations_pb2.AcceptInvitationRequest(token=token)
        return attempt(self.client(actor).invitations.AcceptInvitation, request)


@pytest.fixture(scope="module")
def metered(make_database: MakeDatabase) -> Iterator[Metered]:
    """Return a server of the oneglanse bundle with its metrics, on each kind of database.

    On PostgreSQL it has a scheduler that fails: the database lacks the extension.
    """
    with make_database() as url:
        fill(url, state_of(STATE), read_bundle(BUNDLES / "oneglanse", core_vocabulary()).catalog)
        scheduler = "pg_cron" if url.startswith("postgresql") else "none"
        with Serving(url, BUNDLES / "oneglanse", metrics_listen="127.0.0.1:0", scheduler=scheduler) as server:
            yield Metered(server)


# --- joining ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-150")
def test_joins_are_counted_by_method_and_result(metered: Metered) -> None:
    owner = metered.user()
    organization = metered.organization(owner)
    first, second = (metered.workspace(owner, name, organization_id=organization.id) for name in ("First", "Second"))
    user, removed, guesser = metered.user(), metered.user(), metered.user()
    metered.member(owner, first.id, user=removed)
    gone = memberships_pb2.RemoveMemberRequest(workspace_id=first.id, user_id=removed)
    metered.client(owner).memberships.RemoveMember(gone)

    def work() -> None:
        metered.join(user, metered.code(first.id))
        metered.join(user, first.id)
        metered.join(user, organization.slug)
        metered.join(user, f"{organization.slug}/{second.slug}")
        metered.join(user, " ")
        metered.join(removed, first.id)
        for number in range(12):
            metered.join(guesser, f"nobody-{number}")

    assert metered.grown("wsauthz_joins_total", work) == {
        ("invite_code", "joined"): 1,
        ("workspace_id", "already_member"): 1,
        ("organization", "select_workspace"): 1,
        ("organization_workspace", "joined"): 1,
        ("unknown", "invalid_code"): 1,
        ("workspace_id", "removed"): 1,
        ("unknown", "workspace_not_found"): 10,
        ("unknown", "too_many_attempts"): 2,
    }


@pytest.mark.req("REQ-150")
def test_invitations_are_counted_by_outcome_and_accepting_as_a_way_to_join(metered: Metered) -> None:
    owner, user, other = metered.user(), metered.user(), metered.user()
    workspace = metered.workspace(owner).id

    def send_and_accept() -> None:
        metered.invite(owner, workspace, f"{user}@example.com")
        token = metered.invite(owner, workspace, f"{user}@example.com").token
        metered.accept(other, token)
        metered.accept(user, token)
        metered.accept(user, token)

    def send_and_revoke() -> None:
        sent = metered.invite(owner, workspace, f"{other}@example.com").invitation.id
        request = invitations_pb2.RevokeInvitationRequest(workspace_id=workspace, invitation_id=sent)
        for _ in range(2):
            metered.client(owner).invitations.RevokeInvitation(request)
        metered.invite(owner, workspace, f"{other}@example.com", role="king")

    def joins() -> None:
        outcomes = metered.grown("wsauthz_invitations_total", send_and_accept)
        assert outcomes == {("created",): 2, ("replaced",): 1, ("accepted",): 1, ("refused",): 2}

    assert metered.grown("wsauthz_joins_total", joins) == {
        ("invitation", "joined"): 1,
        ("invitation", "invitation_email_mismatch"): 1,
        ("invitation", "invitation_used"): 1,
    }
    outcomes = metered.grown("wsauthz_invitations_total", send_and_revoke)
    assert outcomes == {("created",): 1, ("revoked",): 1, ("refused",): 1}


@pytest.mark.req("REQ-150")
def test_invitations_that_die_with_something_else_are_counted_as_revoked(metered: Metered) -> None:
    owner, second, third = metered.user(), metered.user(), metered.user()
    workspace = metered.workspace(owner).id
    for user in (second, third):
        metered.member(owner, workspace, user=user, role="owner")
        metered.invite(user, workspace, f"{user}-friend@example.com")
    metered.invite(owner, workspace, "somebody@example.com")

    def work() -> None:
        gone = memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=second)
        metered.client(owner).memberships.RemoveMember(gone)
        metered.client(third).users.DeleteAccount(users_pb2.DeleteAccountRequest(user_id=third))
        metered.client(owner).workspaces.DeleteWorkspace(workspaces_pb2.DeleteWorkspaceRequest(workspace_id=workspace))

    assert metered.grown("wsauthz_invitations_total", work) == {("revoked",): 3}


def test_what_is_rolled_back_is_not_counted(metered: Metered, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, user = metered.user(), metered.user()
    code = metered.code(metered.workspace(owner).id)

    def full(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    def fail() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(audit, "append", full)
            assert metered.join(user, code).code == grpc.StatusCode.INTERNAL

    def join() -> None:
        metered.join(user, code)

    assert metered.grown("wsauthz_joins_total", fail) == {}
    assert metered.grown("wsauthz_joins_total", join) == {("invite_code", "joined"): 1}


def test_a_repeated_request_is_not_counted_again(metered: Metered) -> None:
    owner, user = metered.user(), metered.user()
    workspace = metered.workspace(owner).id
    code = metered.code(workspace)

    def work() -> None:
        for _ in range(3):
            request = invitations_pb2.JoinByCodeRequest(code=code, request_id="once")
            metered.client(user).invitations.JoinByCode(request)

    assert metered.grown("wsauthz_joins_total", work) == {("invite_code", "joined"): 1}


# --- workspaces -------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-059", "REQ-150")
def test_analysis_resets_are_counted_when_name_or_domain_really_changed(metered: Metered) -> None:
    owner = metered.user()
    workspace = metered.workspace(owner, "North").id

    def work() -> None:
        for name, domain in (("North", ""), (" North ", ""), ("South", ""), ("South", "south.example"), ("", "")):
            request = workspaces_pb2.UpdateWorkspaceRequest(
                workspace_id=workspace, workspace=workspaces_pb2.Workspace(name=name, domain=domain)
            )
            request.update_mask.paths.extend(("name", "domain"))
            attempt(metered.client(owner).workspaces.UpdateWorkspace, request)

    assert metered.grown("wsauthz_analysis_resets_total", work) == {(): 2}


@pytest.mark.req("REQ-063", "REQ-150")
def test_a_schedule_that_the_scheduler_does_not_take_is_counted(metered: Metered) -> None:
    owner = metered.user()
    workspace = metered.workspace(owner).id

    def work() -> None:
        for schedule in ("0 6 * * 1", "0 7 * * 1", "nonsense"):
            request = settings_pb2.SetScheduleRequest(workspace_id=workspace, schedule=schedule)
            answer = attempt(metered.client(owner).settings.SetSchedule, request)
            assert isinstance(answer, Refusal) or (answer.schedule, answer.scheduler_synced) == (schedule, False)

    has_scheduler = metered.server.settings.scheduler == "pg_cron"
    assert metered.grown("wsauthz_schedule_failures_total", work) == ({(): 2} if has_scheduler else {})


@pytest.mark.req("REQ-150")
def test_workspaces_are_counted_by_the_state_that_counts(metered: Metered) -> None:
    owner = metered.user()

    def change(method: str, workspace: str) -> None:
        request = getattr(workspace_states_pb2, f"{method}Request")(workspace_id=workspace)
        getattr(metered.operator.states, method)(request)

    made: list[str] = []

    def make() -> None:
        made.extend(metered.workspace(owner).id for _ in range(3))
        made.append(metered.child(OPERATOR, made[0]).id)

    assert metered.grown("wsauthz_workspaces", make) == {("active",): 4}
    first, second, third, child = made
    assert metered.grown("wsauthz_workspaces", lambda: change("SuspendWorkspace", first)) == {
        ("active",): -2,
        ("suspended",): 2,
    }
    assert metered.grown("wsauthz_workspaces", lambda: change("DeactivateWorkspace", child)) == {
        ("suspended",): -1,
        ("inactive",): 1,
    }
    assert metered.grown("wsauthz_workspaces", lambda: change("ReinstateWorkspace", first)) == {
        ("suspended",): -1,
        ("active",): 1,
    }
    delete = metered.client(owner).workspaces.DeleteWorkspace

    def leave_nothing() -> None:
        for workspace in (first, second, third):
            delete(workspaces_pb2.DeleteWorkspaceRequest(workspace_id=workspace))

    assert metered.grown("wsauthz_workspaces", leave_nothing) == {("active",): -3, ("inactive",): -1}


# --- decisions, calls, the policy -------------------------------------------------------------------------------------


@pytest.mark.req("REQ-150")
def test_decisions_are_counted_by_outcome_and_reason_one_by_one(metered: Metered) -> None:
    owner, stranger = metered.user(), metered.user()
    workspace = metered.workspace(owner).id

    def work() -> None:
        metered.check(owner, workspace, "prompt read")
        metered.check(stranger, workspace, "prompt read")
        metered.check(stranger, "workspace_unknown", "prompt read")
        item = authorization_pb2.BatchCheckItem(subject=owner, workspace_id=workspace, resource="prompt")
        item.actions.extend(("read", "create", "fly"))
        metered.client().authorization.BatchCheck(authorization_pb2.BatchCheckRequest(items=[item]))
        for subject in (owner, stranger):
            route = authorization_pb2.CheckRouteRequest(subject=subject, workspace_id=workspace)
            metered.client().authorization.CheckRoute(route)

    assert metered.grown("wsauthz_decisions_total", work) == {
        ("allow", ""): 4,
        ("deny", "NOT_A_MEMBER"): 2,
        ("deny", "WORKSPACE_NOT_FOUND"): 1,
    }


def test_a_refusal_is_counted_before_it_leaves(metered: Metered, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = metered.user()
    abort = wrapper._abort

    async def abort_and_linger(*arguments: Any) -> None:
        try:
            await abort(*arguments)
        finally:
            await asyncio.sleep(0.5)

    monkeypatch.setattr(wrapper, "_abort", abort_and_linger)

    def work() -> None:
        refusal(metered.client(owner).workspaces.CreateWorkspace, workspaces_pb2.CreateWorkspaceRequest())

    added = metered.grown("wsauthz_rpc_total", work)
    assert added == {("INVALID_ARGUMENT", "WorkspaceService/CreateWorkspace"): 1}


@pytest.mark.req("REQ-150")
def test_calls_are_counted_by_method_and_status_and_timed(metered: Metered) -> None:
    owner = metered.user()
    method = "WorkspaceService/CreateWorkspace"

    def work() -> None:
        metered.workspace(owner)
        metered.workspace(owner)
        refusal(metered.client(owner).workspaces.CreateWorkspace, workspaces_pb2.CreateWorkspaceRequest())
        refusal(metered.client().workspaces.CreateWorkspace, workspaces_pb2.CreateWorkspaceRequest(name="North"))

    def counted() -> None:
        added = metered.grown("wsauthz_rpc_total", work)
        assert added == {("OK", method): 2, ("INVALID_ARGUMENT", method): 1, ("UNAUTHENTICATED", method): 1}

    assert metered.grown("wsauthz_rpc_seconds_count", counted) == {(method,): 4}
    assert metered.scrape("wsauthz_rpc_seconds_sum")[method,] > 0
    buckets = [count for (_, of), count in metered.scrape("wsauthz_rpc_seconds_bucket").items() if of == method]
    assert buckets == sorted(buckets)
    assert buckets[-1] == metered.scrape("wsauthz_rpc_seconds_count")[method,]


@pytest.mark.req("REQ-149", "REQ-150")
def test_reading_the_bundle_is_counted_by_its_result_and_a_refused_one_shows(sqlite_url: str, tmp_path: Path) -> None:
    bundle = copy_bundle("oneglanse", tmp_path, tests=False)
    fill(sqlite_url, state_of(STATE), read_bundle(bundle, core_vocabulary()).catalog)
    with Serving(sqlite_url, bundle, metrics_listen="127.0.0.1:0") as server:
        metered = Metered(server)
        good, began = (bundle / "policy.csv").read_text(), metered.value("wsauthz_policy_loaded_timestamp_seconds")

        def put(text: str) -> Scrape:
            def reload() -> None:
                (tmp_path / "new.csv").write_text(text)
                (tmp_path / "new.csv").replace(bundle / "policy.csv")
                metered.operator.policy.ReloadPolicy(policy_pb2.ReloadPolicyRequest())

            return metered.grown("wsauthz_policy_reloads_total", reload)

        # The server watches the directory, too, and may have been first, or still be reading what was there before.
        assert set(put(good)) <= {("unchanged",)}
        unchanged = metered.scrape("wsauthz_policy_info")
        assert put("nonsense")["refused",] >= 1
        assert (metered.value("wsauthz_policy_refused"), metered.scrape("wsauthz_policy_info")) == (1, unchanged)
        added = put(f"{good}p, role:member, *, audit/*, view, any, allow\n")
        assert added["changed",] == 1
        assert set(added) <= {("changed",), ("unchanged",), ("refused",)}
        assert metered.value("wsauthz_policy_refused") == 0
        assert metered.scrape("wsauthz_policy_info").keys() != unchanged.keys()
        assert metered.value("wsauthz_policy_loaded_timestamp_seconds") > began


# --- nothing of anybody -----------------------------------------------------------------------------------------------

_LABELS: Final = {"outcome", "reason", "method", "code", "le", "result", "kind", "state", "name", "version", "task"}
_WORDS: Final = re.compile(r"[a-z_]+|[A-Z_]+|[A-Za-z]+/[A-Za-z]+|[0-9a-f]{12}|[0-9.e-]+|\+Inf|")


@pytest.mark.req("REQ-035", "REQ-150")
def test_neither_ids_nor_codes_tokens_or_addresses_are_exposed(metered: Metered) -> None:
    owner, user = metered.user("canary"), metered.user("canary")
    organization = metered.organization(owner, "Canary Group")
    workspace = metered.workspace(owner, "Canary", organization_id=organization.id)
    code = metered.code(workspace.id)
    sent = metered.invite(owner, workspace.id, f"{user}@example.com")
    joined = metered.accept(user, sent.token)
    for wrong in (code, workspace.id, "canary-code", f"{organization.slug}/canary", "x" * 400):
        metered.join(metered.user("canary"), wrong)
    metered.accept(user, "canary-token")
    metered.check(user, workspace.id, "prompt/canary-42 read")
    metered.check(user, "workspace_canary", "prompt read")
    client = metered.client(user)
    refusal(client.users.GetUser, users_pb2.GetUserRequest(user_id="canary-unknown"))
    refusal(client.audit.ListAuditEntries, audit_pb2.ListAuditEntriesRequest(workspace_id=workspace.id))
    refusal(metered.client().authorization.Check, authorization_pb2.CheckRequest(subject="canary", resource="canary/1"))
    with missing(metered, "invitations"):
        refusal(client.invitations.GetInvitation, invitations_pb2.GetInvitationRequest(token=sent.token))

    text = metered.text()
    secrets = (owner, user, organization.id, organization.slug, workspace.id, joined.membership.id, sent.invitation.id)
    for secret in (*secrets, code, sent.token, "@", "canary", "Canary"):
        assert secret not in text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert {name for sample in samples for name in sample.labels} <= _LABELS
    assert all(_WORDS.fullmatch(value) for sample in samples for value in sample.labels.values())


@pytest.mark.req("REQ-150")
def test_labels_have_few_values_whatever_is_sent(metered: Metered) -> None:
    """Every series costs memory for good, so nothing that a caller makes up becomes one."""
    names = {f"{method.service}/{method.name}" for method in methods().values()}
    assert {method for _, method in metered.scrape("wsauthz_rpc_total")} <= names
    assert {reason for _, reason in metered.scrape("wsauthz_decisions_total")} <= {"", *(each.value for each in Reason)}
    before = len(metered.text().splitlines())
    user = metered.user()
    for number in range(20):
        metered.join(user, f"made-up-{number}")
        metered.check(f"made-up-{number}", f"made-up-{number}", f"prompt/{number} read", required_module=f"m{number}")
        attempt(metered.client(f"made-up-{number}").users.GetUser, users_pb2.GetUserRequest(user_id=f"u{number}"))
    assert len(metered.text().splitlines()) <= before + 5 + len(Metrics().histogram("any").buckets())
