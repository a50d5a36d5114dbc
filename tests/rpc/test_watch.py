"""What a client that watches is told: every revision once, in order, and of each only what decisions depend on."""

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.rpc.conftest import MakeDatabase, serving
from tests.rpc.streams import PATIENCE_SECONDS, Stream, fact, is_gapless, mirror, plain, wait_for
from tests.rpc.tenants import OPERATOR, Tenants, modules
from tests.rpc.test_state_machine import Everything
from tests.serving import BUNDLES, Serving
from wsauthz.policy.facts import Facts
from wsauthz.replica import watchers
from wsauthz.replica.watchers import Told, Watcher
from wsauthz.replica.writing import write
from wsauthz.store import snapshot
from wsauthz.store.database import Database
from wsauthz.tenancy import platform
from wsauthz.tenancy.transaction import Caller
from wsauthz.v1 import (
    memberships_pb2,
    organizations_pb2,
    settings_pb2,
    users_pb2,
    workspace_states_pb2,
    workspaces_pb2,
)
from wsauthz.v1 import watch_pb2 as pb

CANARY: Final = "canary"


@pytest.fixture
def tenants(database_url: str) -> Iterator[Tenants]:
    """Return a server on a database in which there is only an operator, made like everything else; on each kind."""
    with Serving(database_url, BUNDLES / "dam") as server:
        by = Caller(caller="cli", actor="", method="platform/grant")
        write(server.server.replica, by, lambda tx: platform.grant(tx, user_id=OPERATOR, role="operator"))
        yield Tenants(server)


def mask(*paths: str) -> FieldMask:
    """Return a mask of fields."""
    return FieldMask(paths=paths)


def fresh(database: Database) -> Facts:
    """Return the facts that a server would load now."""
    facts = Facts()
    with database.read() as connection:
        for kind, values in snapshot.load(connection):
            facts.apply(kind, values)
    return facts


def much(tenants: Tenants) -> str:
    """Make a tenant with a bit of everything, change some of it, delete some of it; return its owner."""
    owner, other = tenants.user(), tenants.user()
    organization = tenants.organization(owner)
    workspace = tenants.workspace(owner, organization_id=organization.id)
    child = tenants.child(owner, workspace.id, modules=modules("dam"))
    member = tenants.member(owner, workspace.id, role="viewer", modules=modules("dam"), expires_at={"seconds": 1 << 33})
    tenants.member(owner, child.id, user=other, permissions=["can-manage-users"])
    client = tenants.client(owner)
    client.memberships.RemoveMember(memberships_pb2.RemoveMemberRequest(workspace_id=workspace.id, user_id=member))
    client.settings.SetModules(settings_pb2.SetModulesRequest(workspace_id=workspace.id, modules=["dam"]))
    client.workspaces.UpdateWorkspace(
        workspaces_pb2.UpdateWorkspaceRequest(
            workspace_id=workspace.id, workspace=workspaces_pb2.Workspace(notes=CANARY), update_mask=mask("notes")
        )
    )
    client.states.TransferOwnership(workspace_states_pb2.TransferOwnershipRequest(workspace_id=child.id, user_id=other))
    alone = tenants.workspace(other)
    tenants.client(other).workspaces.DeleteWorkspace(workspaces_pb2.DeleteWorkspaceRequest(workspace_id=alone.id))
    tenants.client(other).users.DeleteAccount(users_pb2.DeleteAccountRequest())
    return owner


# --- order ------------------------------------------------------------------------------------------------------------


def test_a_stream_tells_every_revision_from_where_it_began(tenants: Tenants) -> None:
    with Stream(tenants.client()) as first:
        assert first.started == tenants.revision
        much(tenants)
        with Stream(tenants.client()) as second:
            assert second.started == tenants.revision
            much(tenants)
            assert is_gapless(first.seen(tenants.revision))
            assert is_gapless(second.seen(tenants.revision))
            assert first.told[-len(second.told) :] == second.told


def test_a_stream_can_be_resumed_from_every_revision_there_was(tenants: Tenants) -> None:
    with Stream(tenants.client()) as live:
        much(tenants)
        live.seen(tenants.revision)
    for position, revision in enumerate([live.started, *live.revisions[:-1]]):
        with Stream(tenants.client(), revision) as resumed:
            assert resumed.started == revision
            assert resumed.seen(tenants.revision).told == live.told[position:]


def test_a_stream_from_the_newest_revision_tells_only_what_comes(tenants: Tenants) -> None:
    tenants.user()
    with Stream(tenants.client(), tenants.revision) as stream:
        user = tenants.user()
        assert [fact(change)[1]["id"] for change in stream.seen(tenants.revision).changes] == [user]


def test_a_revision_that_no_decision_depends_on_is_told_without_changes(tenants: Tenants) -> None:
    with Stream(tenants.client()) as stream:
        user = tenants.user()
        before = tenants.client().users.UpsertUser(users_pb2.UpsertUserRequest(user_id=user, name=CANARY)).revision
        assert stream.seen(before).told[-1] == pb.WatchResponse(event=pb.WATCH_EVENT_REVISION, revision=before)


def test_history_is_read_in_pages_and_joined_to_what_goes_on(tenants: Tenants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "_PAGE", 2)
    begin = tenants.revision
    much(tenants)
    with Stream(tenants.client(), begin) as stream:
        much(tenants)
        assert is_gapless(stream.seen(tenants.revision))


def resumed_while_written(tenants: Tenants, monkeypatch: pytest.MonkeyPatch) -> Stream:
    """Return a stream that was resumed while others wrote: after what came before was read, and before it was told."""
    read, written = threading.Event(), threading.Event()
    kept = watchers.kept

    def hesitating(*arguments: Any) -> Any:
        found = kept(*arguments)
        read.set()
        assert written.wait(PATIENCE_SECONDS)
        return found

    begin = tenants.revision
    tenants.user()
    monkeypatch.setattr(watchers, "kept", hesitating)
    stream = Stream(tenants.client(), begin)
    assert read.wait(PATIENCE_SECONDS)
    for _ in range(3):
        tenants.user()
    written.set()
    with stream:
        tenants.user()
        return stream.seen(tenants.revision)


def test_what_is_written_while_a_stream_is_resumed_is_not_lost(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_gapless(resumed_while_written(tenants, monkeypatch))


def test_who_reads_what_came_before_and_then_listens_loses_it(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What protects is that a watcher listens from the beginning, and knows what comes next."""
    missing, hear, reads = Watcher.missing, Watcher.hear, [0]

    def missing_once(watcher: Watcher) -> int:
        reads[0] += 1
        return missing(watcher) if reads[0] == 1 else watcher.position

    def hear_late(watcher: Watcher, told: Sequence[Told], reached: int) -> None:
        if reads[0] > 1:
            hear(watcher, told, reached)

    def take_whatever_comes(watcher: Watcher) -> Told | None:
        return watcher.passed(watcher._waiting.popleft()) if watcher._waiting else None

    for name, weak in (("missing", missing_once), ("hear", hear_late), ("take", take_whatever_comes)):
        monkeypatch.setattr(Watcher, name, weak)
    assert not is_gapless(resumed_while_written(tenants, monkeypatch))


# --- what is told -----------------------------------------------------------------------------------------------------


def test_what_a_stream_tells_is_enough_to_have_the_same_facts(tenants: Tenants) -> None:
    much(tenants)
    with Stream(tenants.client(), f"{tenants.server.server.replica.revision.epoch}.0") as stream:
        much(tenants)
        stream.seen(tenants.revision)
    assert plain(mirror(stream.told)) == plain(fresh(tenants.server.server.database))


class Mirrored(Everything):
    """Everything that can be done, in any order; at the end a mirror of it is as what was done."""

    def __init__(self, make_database: MakeDatabase, bundle: str) -> None:
        super().__init__(make_database, BUNDLES / bundle)
        self.begin_with = fresh(self.database)
        self.begin_at = self.server.server.replica.token

    def teardown(self) -> None:
        """Watch from the beginning on."""
        try:
            if self.is_sound:
                now = self.server.server.replica.token
                with Stream(self.server.client(), self.begin_at) as stream:
                    stream.until(lambda: now in (self.begin_at, *stream.revisions[-1:]))
                assert is_gapless(stream)
                found = mirror(stream.told, self.begin_with)
                assert plain(found) == plain(fresh(self.database)) == plain(self.server.server.replica.facts)
        finally:
            self._stack.close()


def test_whatever_is_done_a_mirror_has_the_same_facts(make_database: MakeDatabase) -> None:
    run_state_machine_as_test(
        partial(Mirrored, make_database, "oneglanse"),  # type: ignore[arg-type]  # anything that returns a machine
        settings=settings(
            database=None,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            max_examples=2,
            stateful_step_count=50,
        ),
    )


def test_only_what_decisions_depend_on_is_told(tenants: Tenants) -> None:
    with Stream(tenants.client()) as stream:
        owner = tenants.user(email=f"{CANARY}@example.com", name=CANARY, image_url=f"https://{CANARY}.example.com")
        organization = tenants.client(owner).organizations.CreateOrganization(
            organizations_pb2.CreateOrganizationRequest(name=CANARY, slug=CANARY)
        )
        workspace = tenants.workspace(
            owner, CANARY, organization_id=organization.organization.id, domain=f"{CANARY}.example.com"
        )
        tenants.operator.settings.SetSubscription(
            settings_pb2.SetSubscriptionRequest(
                workspace_id=workspace.id,
                plan="professional",
                plan_type=CANARY,
                status=settings_pb2.SUBSCRIPTION_STATUS_TRIALING,
            )
        )
        changes = workspaces_pb2.Workspace(
            notes=CANARY,
            description=CANARY,
            phone=CANARY,
            settings=workspaces_pb2.WorkspaceSettings(
                branding=workspaces_pb2.Branding(logo=f"https://{CANARY}.example.com"), features={CANARY: True}
            ),
        )
        update = workspaces_pb2.UpdateWorkspaceRequest(
            workspace_id=workspace.id,
            workspace=changes,
            update_mask=mask("notes", "description", "phone", "settings.branding", "settings.features"),
        )
        assert tenants.operator.workspaces.UpdateWorkspace(update).workspace.notes == CANARY
        suspend = workspace_states_pb2.SuspendWorkspaceRequest(workspace_id=workspace.id, reason=CANARY)
        tenants.operator.states.SuspendWorkspace(suspend)
        stream.seen(tenants.revision)
    assert len(stream.told) == 6
    for message in stream.messages:
        assert CANARY.encode() not in message.SerializeToString()


# --- filters ----------------------------------------------------------------------------------------------------------


def told(tenants: Tenants, begin: str, **wanted: Any) -> list[tuple[str, Any]]:
    """Return which changes a filter lets through, all revisions being told: by kind and the ids they are known by."""
    with Stream(tenants.client(), begin, **wanted) as stream:
        assert is_gapless(stream.seen(tenants.revision))
    found = []
    for change in stream.changes:
        kind, values = fact(change)
        names = ("id", "workspace_id", "organization_id", "user_id") if kind == "membership" else ("id", "workspace_id")
        found.append((kind, tuple(values[name] for name in names if values.get(name))))
    return found


def test_filters_leave_out_what_surely_is_of_something_else(tenants: Tenants) -> None:
    ann, bob = tenants.user("ann"), tenants.user("bob")
    begin = tenants.revision
    acme, other = tenants.organization(ann).id, tenants.organization(bob).id
    north = tenants.workspace(ann, organization_id=acme).id
    south = tenants.workspace(bob, organization_id=other).id
    tenants.member(ann, north, user=bob)
    new = tenants.user()
    everything = told(tenants, begin)
    assert {kind for kind, _ in everything} == {"organization", "workspace", "membership", "user"}
    assert {(ids[0], ids[-1]) for kind, ids in everything if kind == "membership"} >= {(north, bob), (acme, ann)}

    def without(*ids: str) -> list[tuple[str, Any]]:
        return [each for each in everything if not set(ids) & set(each[1])]

    def of(found: list[tuple[str, Any]], *kinds: str) -> list[tuple[str, Any]]:
        return [each for each in found if each[0] in kinds]

    places = [pb.CHANGE_KIND_WORKSPACE, pb.CHANGE_KIND_MEMBERSHIP]
    assert told(tenants, begin, kinds=[pb.CHANGE_KIND_USER]) == of(everything, "user") == [("user", (new,))]
    assert told(tenants, begin, kinds=[pb.CHANGE_KIND_SUBSCRIPTION]) == []
    assert told(tenants, begin, workspace_ids=[north]) == without(south)
    assert told(tenants, begin, workspace_ids=[north], kinds=places) == of(without(south), "workspace", "membership")
    in_acme = [each for each in without(other) if each != ("workspace", (south,))]
    assert told(tenants, begin, organization_ids=[acme]) == in_acme
    assert told(tenants, begin, user_ids=[ann]) == without(bob, new)
    every = {"workspace_ids": [north, south], "organization_ids": [acme, other], "user_ids": [ann, bob]}
    assert told(tenants, begin, **every) == without(new)


@pytest.mark.parametrize("field", ["workspace_ids", "organization_ids", "user_ids"])
def test_a_filter_with_too_many_ids_is_refused(sqlite_dam: Tenants, field: str) -> None:
    ids = [f"id{count}" for count in range(1_001)]
    with Stream(sqlite_dam.client(), "", **{field: ids}) as stream:
        refused = stream.end()
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (f"filter.{field}",))
    with Stream(sqlite_dam.client(), "", **{field: ids[1:]}) as stream:
        assert stream.started == sqlite_dam.revision


# --- nothing to tell --------------------------------------------------------------------------------------------------


def test_a_stream_without_news_tells_that_it_is_there(sqlite_dam: Tenants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "HEARTBEAT_SECONDS", 0.1)
    with Stream(sqlite_dam.client()) as stream:
        stream.until(lambda: len(stream.messages) > 4)
        heartbeat = pb.WatchResponse(event=pb.WATCH_EVENT_HEARTBEAT, revision=stream.started)
        assert stream.messages[2:5] == [heartbeat] * 3
        sqlite_dam.user()
        now = sqlite_dam.revision
        stream.until(lambda: stream.messages[-1].event == pb.WATCH_EVENT_HEARTBEAT and now in stream.revisions)
        assert stream.messages[-1].revision == now


# --- who may, and how many --------------------------------------------------------------------------------------------


def test_so_many_watch_one_server_and_no_more(sqlite_dam: Tenants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "MOST_STREAMS", 2)
    hub = sqlite_dam.server.server.replica.watchers
    with Stream(sqlite_dam.client()), Stream(sqlite_dam.client()) as second:
        with Stream(sqlite_dam.client()) as third:
            refused = third.end()
        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
        assert refused.retry_seconds
        sqlite_dam.user()
        second.seen(sqlite_dam.revision)
    wait_for(lambda: hub.count == 0)
    with Stream(sqlite_dam.client()) as again:
        assert again.refusal is None


def test_streams_are_counted_while_they_last_and_by_how_they_ended(make_database: MakeDatabase) -> None:
    with serving(make_database(), "dam") as tenants:
        metrics = tenants.server.server.metrics
        with Stream(tenants.client()):
            assert metrics.streams() == 1
        with Stream(tenants.client(), "000000000000.1.00000000") as refused:
            refused.end()
        wait_for(lambda: metrics.streams() == 0)
        for code in ("CANCELLED", "FAILED_PRECONDITION"):
            wait_for(lambda code=code: metrics.calls["AuthorizationService/Watch", code] == 1)  # type: ignore[misc]
        assert metrics.calls["AuthorizationService/Watch", "OK"] == 0
