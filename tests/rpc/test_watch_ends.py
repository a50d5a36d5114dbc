"""How streams end: by what, with what, and that nothing of them stays behind."""

import asyncio
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import grpc
import pytest
from sqlalchemy import delete, update

from tests.rpc.streams import Stream, is_gapless, mirror, plain, wait_for
from tests.rpc.tenants import Tenants
from tests.rpc.test_watch import fresh
from tests.serving import BUNDLES, Client, Refusal, Serving, decode, refusal
from wsauthz.policy.state_file import read_state
from wsauthz.replica import watchers
from wsauthz.replica.watchers import Told, Watcher
from wsauthz.replica.writing import write
from wsauthz.rpc import streams
from wsauthz.store import revisions
from wsauthz.store.database import Database
from wsauthz.store.tables import changes, revision
from wsauthz.tenancy.imports import import_state
from wsauthz.tenancy.transaction import Caller
from wsauthz.v1 import users_pb2
from wsauthz.v1 import watch_pb2 as pb

LONG: Final = "x" * 100
NEVER: Final = 3600.0
on_sqlite: Final = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what has more to do with clients than with databases."""
SMALL_WINDOW: Final = (("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0))


@pytest.fixture
def tenants(database_url: str) -> Iterator[Tenants]:
    """Return a server on an empty database, on each kind of database."""
    with Serving(database_url, BUNDLES / "dam") as server:
        yield Tenants(server)


def bulk(tenants: Tenants, count: int, size: int = 1) -> str:
    """Make so many revisions with so many changes each, as another process would, and return the last of them."""
    database = Database(tenants.server.database_url)
    last = ""
    for number in range(count):
        with database.write() as connection:
            at, _ = revisions.advance(connection)
            users = [{"id": f"{LONG}-{number}-{each}", "is_active": True} for each in range(size)]
            revisions.record(connection, at, [("user", values) for values in users])
            last = at.token
    database.close()
    wait_for(lambda: tenants.server.server.replica.token == last)
    return last


def grow_old(tenants: Tenants, before: str = "") -> None:
    """Prune the changes of revisions before one, or all, as if that were two days later."""
    database = Database(tenants.server.database_url)
    at = datetime.now(UTC) + timedelta(days=1)
    with database.read() as connection:
        if before:
            at = revisions.mark(connection, revisions.parse_token(before).value).made_at or at
    pruned = 0
    while found := prune_once(database, at):
        pruned += found
    assert pruned > 0
    database.close()


def prune_once(database: Database, before: datetime) -> int:
    with database.write() as connection:
        return revisions.prune_changes(connection, before)


@contextmanager
def stuck(tenants: Tenants, begin: str = "") -> Iterator[Any]:
    """Give a stream whose client has taken in nothing but the first two messages, and little fits on the way to it."""
    with grpc.insecure_channel(tenants.server.server.address, options=SMALL_WINDOW) as channel:
        call: Any = Client(channel).authorization.Watch(pb.WatchRequest(from_revision=begin))
        assert [next(call).event, next(call).event] == [pb.WATCH_EVENT_POLICY, pb.WATCH_EVENT_STARTED]
        yield call
        call.cancel()


def drain(call: Any) -> tuple[list[pb.WatchResponse], Refusal]:
    """Take everything in that has come, and return it with what it ends with."""
    found = []
    try:
        for message in call:
            found.append(message)  # noqa: PERF402 - what came before the error is wanted
    except grpc.RpcError as error:
        return found, decode(error)
    raise AssertionError("the stream just ended")


# --- slow clients -----------------------------------------------------------------------------------------------------


@on_sqlite
def test_a_client_that_takes_nothing_in_is_cut_off(tenants: Tenants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SEND_SECONDS", 0.5)
    hub = tenants.server.server.replica.watchers
    with stuck(tenants) as call, Stream(tenants.client()) as other:
        last = bulk(tenants, 40, 500)
        wait_for(lambda: hub.count == 1)  # without the client's doing anything
        found, refused = drain(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "CONSUMER_TOO_SLOW")
        assert is_gapless(other.seen(last))
    with Stream(tenants.client(), found[-1].revision) as resumed:
        assert len(found) + len(resumed.seen(last).told) == 40


@on_sqlite
def test_what_waits_for_a_client_is_bounded(tenants: Tenants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SEND_SECONDS", NEVER)
    monkeypatch.setattr(watchers, "MOST_WAITING_CHANGES", 2_000)
    hub = tenants.server.server.replica.watchers
    most = [0]
    hear = Watcher.hear

    def measured(watcher: Watcher, told: list[Told], reached: int) -> None:
        hear(watcher, told, reached)
        most[0] = max(most[0], sum(len(each.changes) for each in watcher._waiting))

    monkeypatch.setattr(Watcher, "hear", measured)
    with stuck(tenants) as call:
        for _ in range(20):  # never so much at once that it would not fit anyway
            bulk(tenants, 2, 500)
        (watcher,) = hub._watchers
        assert not watcher._waiting
        assert 0 < most[0] <= 2_000
        found, refused = drain(call)
    assert refused.reason == "CONSUMER_TOO_SLOW"
    assert 0 < len(found) < 40


@on_sqlite
def test_a_client_that_still_reads_what_came_before_is_not_slow(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchers, "MOST_WAITING_CHANGES", 1_000)
    begin = tenants.revision
    bulk(tenants, 20, 500)
    with stuck(tenants, begin) as call:
        last = bulk(tenants, 20, 500)
        told: list[pb.WatchResponse] = []
        while not told or told[-1].revision != last:
            told.append(next(call))
    assert len(told) == 40


# --- what is not kept -------------------------------------------------------------------------------------------------


def test_a_stream_from_before_what_is_kept_is_of_a_revision_that_is_unknown(tenants: Tenants) -> None:
    """Its digest is not kept, so that it may be of a history that was lost."""
    old = [tenants.revision]
    for _ in range(2):
        tenants.user()
        old.append(tenants.revision)
    tenants.user()
    kept = tenants.revision
    tenants.user()
    grow_old(tenants, before=tenants.revision)
    tenants.server.server.replica.catch_up()
    for begin in old:
        with Stream(tenants.client(), begin) as stream:
            refused = stream.end()
        assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REVISION_UNKNOWN")
        assert stream.messages == []
    with Stream(tenants.client(), kept) as stream:
        assert stream.seen(tenants.revision).revisions == [tenants.revision]
    grow_old(tenants)
    with Stream(tenants.client(), tenants.revision) as stream:
        tenants.user()
        stream.seen(tenants.revision)


def test_what_is_pruned_while_a_client_reads_on_is_out_of_range(tenants: Tenants) -> None:
    begin = tenants.revision
    bulk(tenants, 40, 500)
    with stuck(tenants, begin) as call:
        grow_old(tenants)
        found, refused = drain(call)
    assert (refused.code, refused.reason) == (grpc.StatusCode.OUT_OF_RANGE, "REVISION_PRUNED")
    assert 0 < len(found) < 40


def test_a_server_that_missed_what_was_pruned_loads_everything_and_ends_its_streams(database_url: str) -> None:
    """It answers rightly, and does not pretend to its clients that nothing was left out."""
    with (
        Serving(database_url, BUNDLES / "dam", poll_seconds=NEVER) as late,
        Serving(database_url, BUNDLES / "dam") as a,
    ):
        tenants = Tenants(a)
        late.run(late.server._follower.stop())  # it would be told of what the other one writes
        with Stream(late.client()) as stream:
            owner = tenants.user()
            workspace = tenants.workspace(owner).id
            grow_old(tenants)
            late.server.replica.catch_up()
            refused = stream.end()
        assert (refused.code, refused.reason) == (grpc.StatusCode.OUT_OF_RANGE, "REVISION_PRUNED")
        assert Tenants(late).reason(owner, workspace) == ""
        assert plain(late.server.replica.facts) == plain(fresh(a.server.database))
        with Stream(late.client(), tenants.revision) as stream:
            tenants.user()
            late.server.replica.catch_up()
            assert is_gapless(stream.seen(tenants.revision))


# --- other databases, and much at once --------------------------------------------------------------------------------


def test_a_restored_database_ends_the_streams_and_its_old_revisions_are_unknown(tenants: Tenants) -> None:
    tenants.user()
    begin = tenants.revision
    tenants.user()
    with Stream(tenants.client()) as stream:
        database = Database(tenants.server.database_url)
        lost = revisions.parse_token(tenants.revision).value
        with database.write() as connection:  # what restoring a backup does
            connection.execute(update(revision).values(value=lost - 1))
            connection.execute(delete(changes).where(changes.c.revision >= lost))
        database.close()
        refused = stream.end()
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REVISION_UNKNOWN")
    with Stream(tenants.client(), begin) as again:
        assert again.end().reason == "REVISION_UNKNOWN"
    with Stream(tenants.client()) as new:
        tenants.user()
        assert is_gapless(new.seen(tenants.revision))


def test_a_revision_that_nobody_has_made_yet_is_unknown(tenants: Tenants) -> None:
    tenants.user()
    epoch, value, digest = tenants.revision.split(".")
    later, other_epoch = f"{epoch}.{int(value) + 1}.{digest}", f"{'0' * 12}.{value}.{digest}"
    for token in (later, other_epoch, f"{epoch}.{value}"):
        with Stream(tenants.client(), token) as stream:
            refused = stream.end()
        assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REVISION_UNKNOWN")


@pytest.mark.parametrize("token", ["nothing", "5", "{epoch}.-1", "{epoch}", "{epoch}.1.1"])
def test_a_stream_does_not_begin_at_a_malformed_revision(tenants: Tenants, token: str) -> None:
    with Stream(tenants.client(), token.replace("{epoch}", tenants.revision.partition(".")[0])) as stream:
        refused = stream.end()
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("from_revision",))


def test_an_import_is_told_as_a_reload_and_the_stream_goes_on(tenants: Tenants) -> None:
    replica = tenants.server.server.replica
    by = Caller(caller="cli", actor="", method="import")
    begin = tenants.revision
    with Stream(tenants.client()) as stream, Stream(tenants.client(), "", kinds=[pb.CHANGE_KIND_USER]) as users:
        tenants.user()
        state = read_state("users: [{id: ann}]\nworkspaces: [{id: north, owner: ann}]", "yaml")
        reload = write(replica, by, lambda tx: import_state(tx, state)).revision.token
        tenants.user()
        assert is_gapless(stream.seen(tenants.revision))
        assert is_gapless(users.seen(tenants.revision))
    expected = pb.WatchResponse(
        event=pb.WATCH_EVENT_REVISION, revision=reload, changes=[pb.Change(reload=pb.ReloadChange())]
    )
    assert stream.told[1] == users.told[1] == expected
    with Stream(tenants.client(), begin) as resumed:
        assert resumed.seen(tenants.revision).told == stream.told
    begin_anew = fresh(tenants.server.server.database)
    with Stream(tenants.client(), reload) as after:
        assert plain(mirror(after.seen(tenants.revision).told, begin_anew)) == plain(replica.facts)


def test_a_large_revision_is_told_in_several_messages(tenants: Tenants) -> None:
    with Stream(tenants.client()) as stream:
        last = bulk(tenants, 1, 1_201)
        stream.seen(last)
    assert [(len(each.changes), each.continues) for each in stream.told] == [(500, True), (500, True), (201, False)]
    assert {each.revision for each in stream.told} == {last}
    assert len({change.user.user_id for change in stream.changes}) == 1_201


# --- servers that stop or cannot answer -------------------------------------------------------------------------------


def test_stopping_ends_streams_at_once_and_they_are_resumed_elsewhere(database_url: str) -> None:
    with Serving(database_url, BUNDLES / "dam") as other:
        tenants = Tenants(other)
        with Serving(database_url, BUNDLES / "dam", drain_seconds=8) as stopping:
            channel = grpc.insecure_channel(stopping.server.address)
            stream = Stream(Client(channel)).__enter__()
            began = time.monotonic()
        assert time.monotonic() - began < 4
        refused = stream.end()
        channel.close()
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
        tenants.user()
        with Stream(other.client(), stream.started) as resumed:
            assert is_gapless(resumed.seen(tenants.revision))


def test_facts_that_cannot_be_trusted_end_the_streams(tenants: Tenants) -> None:
    server = tenants.server.server
    tenants.user()
    tenants.server.run(server._follower.stop())  # it would load them anew at once

    def fail(kind: str, values: Any) -> None:
        raise KeyError(kind, values)

    with Stream(tenants.client()) as stream:
        server.replica.facts.apply = fail  # type: ignore[method-assign]
        upsert = tenants.client().users.UpsertUser
        assert refusal(upsert, users_pb2.UpsertUserRequest(user_id="ann")).code == grpc.StatusCode.INTERNAL
        refused = stream.end()
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    assert stream.told == []
    server.replica.catch_up()
    with Stream(tenants.client(), stream.started) as resumed:
        assert resumed.seen(server.replica.token).changes == [
            pb.Change(user=pb.UserChange(user_id="ann", is_active=True))
        ]


def test_a_server_that_is_not_ready_sends_no_heartbeat(tenants: Tenants, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "HEARTBEAT_SECONDS", 0.1)
    tenants.server.run(tenants.server.server._follower.stop())  # it would load the facts anew at once
    with Stream(tenants.client()) as stream:
        tenants.server.server.replica._answers_until = -math.inf
        assert stream.end().reason == "UNAVAILABLE"


# --- nothing stays ----------------------------------------------------------------------------------------------------


def bounded(threads: list[threading.Thread]) -> set[threading.Thread]:
    """Return the threads of the pools, which grow up to a number when there is work for one more."""
    pools = ("rpc_", "asyncio_", "connect_", "poll_", "watch_")
    return {thread for thread in threads if thread.name.startswith(pools)}


def test_a_client_that_leaves_leaves_nothing_behind(tenants: Tenants) -> None:
    async def tasks() -> int:
        return len(asyncio.all_tasks())

    server = tenants.server
    hub = server.server.replica.watchers
    tenants.user()
    with Stream(tenants.client()):
        pass
    wait_for(lambda: hub.count == 0)
    before, threads = server.run(tasks()), set(threading.enumerate())
    begin = tenants.revision
    for _ in range(2):
        open_streams = [Stream(tenants.client()) for _ in range(10)]
        for stream in open_streams:
            stream.__enter__()
        assert hub.count == 10
        with stuck(tenants, begin), stuck(tenants):  # they leave in the middle of a message
            bulk(tenants, 10, 500)
        for stream in open_streams:
            stream.__exit__()
        wait_for(lambda: hub.count == 0)
    wait_for(lambda: server.run(tasks()) <= before)
    wait_for(lambda: set(threading.enumerate()) - threads <= bounded(threading.enumerate()))
    assert len([thread for thread in bounded(threading.enumerate()) if thread.name.startswith("watch_")]) <= 1
    assert server.server._wrapper._workers.room.count == 0
