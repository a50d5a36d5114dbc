import contextlib
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

from wsauthz.store import revisions
from wsauthz.store import tables as t
from wsauthz.store.database import Database
from wsauthz.store.revisions import Mark, Revision

WRITERS, EACH = 8, 25


def write(database: Database, *names: str) -> Revision:
    with database.write() as connection:
        revision, _ = revisions.advance(connection)
        revisions.record(connection, revision, [("user", {"id": name, "is_active": True}) for name in names])
    return revision


def test_a_new_database_is_at_revision_zero_of_an_epoch_of_its_own(database: Database) -> None:
    with database.read() as connection:
        revision = revisions.current(connection)
        installation = revisions.installation(connection)
    assert (revision.value, revision.pruned) == (0, 0)
    assert len(revision.epoch) == 12
    assert int(revision.epoch, 16) >= 0
    assert revision.token == f"{revision.epoch}.0"
    assert installation.epoch == revision.epoch
    assert len(installation.secret) == 32
    assert installation.secret.hex() not in repr(installation)


def test_revisions_of_concurrent_writers_are_contiguous_and_committed_in_order(
    database: Database, database_url: str
) -> None:
    seen: list[int] = []
    done = threading.Event()

    def writer(number: int, through: Database) -> None:
        for count in range(EACH):
            write(through, f"{number}-{count}")

    def follower() -> None:
        at = 0
        while not done.is_set() or at < WRITERS * EACH:
            with database.read() as connection:
                newest = revisions.current(connection)
                found = revisions.changes_after(connection, at, 7)
            seen.extend(change.revision for change in found)
            assert found or newest.value == at, "a revision became visible before an earlier one"
            at = seen[-1] if seen else 0

    with (
        closing(Database(database_url, wait_seconds=30)) as one,
        closing(Database(database_url, wait_seconds=30)) as two,
    ):
        threads = [threading.Thread(target=writer, args=(n, (one, two)[n % 2])) for n in range(WRITERS)]
        following = threading.Thread(target=follower)
        following.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done.set()
        following.join(30)
    assert seen == list(range(1, WRITERS * EACH + 1))
    with database.read() as connection:
        assert revisions.current(connection).value == WRITERS * EACH


def test_a_refused_write_uses_no_revision(database: Database) -> None:
    with contextlib.suppress(LookupError), database.write() as connection:
        revision, _ = revisions.advance(connection)
        revisions.record(connection, revision, [("user", {"id": "ann", "is_active": True})])
        raise LookupError
    assert write(database, "bob").value == 1
    with database.read() as connection:
        assert [change.values["id"] for change in revisions.changes_after(connection, 0, 10)] == ["bob"]


def test_times_never_run_against_the_order_of_revisions(database: Database) -> None:
    times = []
    for _ in range(5):
        with database.write() as connection:
            times.append(revisions.advance(connection)[1])
    assert times == sorted(times)
    assert all(time.utcoffset() == timedelta(0) for time in times)
    with database.read() as connection:
        assert timedelta(0) <= revisions.database_time(connection) - times[-1] < timedelta(seconds=30)


def test_a_transaction_sees_what_was_committed_while_it_waited(database: Database, database_url: str) -> None:
    entered, leave = threading.Event(), threading.Event()
    found: list[int] = []

    def first() -> None:
        with database.write() as connection:
            revision, _ = revisions.advance(connection)
            revisions.record(connection, revision, [("user", {"id": "ann", "is_active": True})])
            entered.set()
            leave.wait(10)

    def second() -> None:
        with closing(Database(database_url, wait_seconds=10)) as other, other.write() as connection:
            revisions.advance(connection)
            found.extend(change.revision for change in revisions.changes_after(connection, 0, 10))

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    leave.set()
    for thread in threads:
        thread.join(20)
    assert found == [1]


def test_changes_come_in_order_and_in_whole_revisions(database: Database) -> None:
    write(database, "a", "b", "c")
    write(database, "d")
    write(database, "e", "f")

    def after(value: int, limit: int) -> list[str]:
        with database.read() as connection:
            return [change.values["id"] for change in revisions.changes_after(connection, value, limit)]

    assert after(0, 100) == list("abcdef")
    assert after(0, 6) == list("abcdef")
    assert after(0, 5) == list("abcd")
    assert after(0, 3) == list("abc")
    assert after(0, 2) == list("abc")
    assert after(1, 2) == ["d"]
    assert after(2, 2) == list("ef")
    assert after(3, 2) == []


def test_a_revision_without_changes_is_still_one(database: Database) -> None:
    write(database)
    with database.read() as connection:
        assert revisions.current(connection).value == 1
        assert revisions.changes_after(connection, 0, 10) == []


def test_values_come_back_as_they_were_recorded(database: Database) -> None:
    values = {"id": "ü", "modules": ["dam"], "none": None, "expires_at": 1767225600.000001, "child_workspaces": False}
    with database.write() as connection:
        revision, _ = revisions.advance(connection)
        revisions.record(connection, revision, [("workspace", values), revisions.RELOAD])
    with database.read() as connection:
        found = revisions.changes_after(connection, 0, 10)
    assert [(change.kind, change.values) for change in found] == [("workspace", values), ("reload", {})]


def test_pruning_says_from_where_changes_are_kept(database: Database) -> None:
    for name in "abc":
        write(database, name)
    with database.read() as connection:
        third = connection.execute(
            t.changes.select().where(t.changes.c.revision == 3).with_only_columns(t.changes.c.created_at)
        ).scalar_one()
    with database.write() as connection:
        assert revisions.prune_changes(connection, third) == 1
        assert revisions.prune_changes(connection, third) == 0
    with database.read() as connection:
        assert revisions.current(connection).pruned == 1
        assert [change.revision for change in revisions.changes_after(connection, 0, 10)] == [2, 3]
    with database.write() as connection:
        assert revisions.prune_changes(connection, third + timedelta(days=1)) == 1
        revision, _ = revisions.advance(connection)
    assert (revision.value, revision.pruned) == (4, 2)


def test_of_several_servers_that_notice_a_restore_one_renews_the_epoch(database: Database) -> None:
    with database.read() as connection:
        now = revisions.current(connection)
    lost = replace(now, value=now.value + 1)
    renewed = []
    for _ in range(3):
        with database.write() as connection:
            renewed.append((revisions.renew_epoch(connection, lost, Mark()), revisions.current(connection).epoch))
    assert [is_renewed for is_renewed, _ in renewed] == [True, False, False]
    assert len({epoch for _, epoch in renewed} - {now.epoch}) == 1
