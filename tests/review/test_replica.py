"""What a replica holds stays one revision of the database, whatever happens to reads and writes in between."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete, update

from tests.tenancy.world import World, policy
from wsauthz.model.errors import InvalidArgument, RevisionUnknown, TooManyRequests, Unavailable
from wsauthz.model.places import PLATFORM
from wsauthz.replica import arrivals, writing
from wsauthz.replica import replica as replicas
from wsauthz.store import revisions, snapshot
from wsauthz.store.revisions import Change, Revision, parse_token
from wsauthz.store.tables import changes, revision, users
from wsauthz.tenancy.enrolment import enrol


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    """Return a database under the dam bundle."""
    made = World(sqlite_url, policy("dam"))
    yield made
    made.database.close()


@pytest.fixture
def other(world: World) -> Iterator[World]:
    """Return another replica of the same database."""
    made = World.__new__(World)
    made.open(str(world.database.url), policy("dam"))
    yield made
    made.database.close()


def user(user_id: str, *, is_active: bool = True) -> dict[str, Any]:
    """Return the values of a change."""
    return {"id": user_id, "is_active": is_active}


def test_changes_that_do_not_follow_what_is_held_are_not_applied(world: World) -> None:
    """Whatever lies between would be lost for good, a revocation perhaps."""
    replica, held = world.replica, world.revision
    replica.apply([Change(revision=held + 2, kind="user", values=user("late"))], replica.revision.epoch, held + 2)
    assert (world.revision, "late" in replica.facts.users) == (held, False)


def test_a_revision_whose_changes_are_missing_makes_a_replica_load_anew(world: World, other: World) -> None:
    """Every revision has a change, so what is not there was lost."""
    world.user("ann")
    world.user("bob")
    with world.database.write() as connection:
        connection.execute(delete(changes).where(changes.c.revision == other.revision + 1))
    other.replica.catch_up()
    assert (other.revision, set(other.replica.facts.users)) == (world.revision, set(world.replica.facts.users))


def test_a_writer_does_not_decide_without_a_revision_whose_changes_are_missing(world: World, other: World) -> None:
    """There are changes to apply, but not up to the revision before its own."""
    world.user("ann")
    world.user("bob")
    with world.database.write() as connection:
        connection.execute(delete(changes).where(changes.c.revision == world.revision))
    assert other.write("", lambda tx: {"ann", "bob"} <= set(tx.facts.users))


def test_a_writer_does_not_decide_on_half_applied_facts(world: World, other: World) -> None:
    """A writer that was waiting when applying failed finds facts that nobody may trust."""
    world.user("ann")
    apply, broken = other.replica.facts.apply, [True]

    def fail_once(kind: str, values: Any) -> None:
        if broken.pop():
            raise KeyError(kind)
        apply(kind, values)

    other.replica.facts.apply = fail_once  # type: ignore[method-assign]
    with pytest.raises(KeyError):
        other.replica.catch_up()
    broken.append(False)
    seen: list[Any] = []
    passed, calls = other.replica.check_ready, [0]

    def ready_when_the_writer_came() -> None:
        calls[0] += 1
        if calls[0] > 1:
            passed()

    other.replica.check_ready = ready_when_the_writer_came  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        other.write("", lambda tx: seen.append(tx.facts))
    assert not seen


def test_one_load_at_a_time_so_that_an_older_one_never_replaces_a_newer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two loads after a restore could else swap in the wrong order."""
    running, most = [0], [0]
    load = snapshot.load

    def counted(connection: Any) -> Any:
        running[0] += 1
        most[0] = max(most[0], running[0])
        yield from load(connection)
        threading.Event().wait(0.05)
        running[0] -= 1

    monkeypatch.setattr(snapshot, "load", counted)
    threads = [threading.Thread(target=world.replica.load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_reload_leaves_nothing_of_the_old_facts_in_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Places are cycles, and what is frozen is never collected."""
    monkeypatch.setattr(replicas, "_WORTH_FREEZING", 0)
    world.workspace("op")
    world.replica.load()
    count = _places()
    for _ in range(3):
        world.replica.load()
    assert _places() <= count


def _places() -> int:
    gc.unfreeze()
    found = sum(type(each).__name__ == "Place" for each in gc.get_objects())
    gc.freeze()
    return found


def restore(world: World, value: int, without: str = "") -> None:
    """Take the database back to a revision, and a user out of it, as restoring a backup does."""
    with world.database.write() as connection:
        connection.execute(update(revision).values(value=value))
        connection.execute(delete(changes).where(changes.c.revision > value))
        connection.execute(delete(users).where(users.c.id == without))


def test_a_replica_that_sees_the_revision_go_back_gives_the_database_a_new_epoch(world: World, other: World) -> None:
    """Else another replica that polls a little later would take the new history for the one it has."""
    world.user("ann")
    other.replica.catch_up()
    before = world.replica.revision
    restore(world, before.value - 1)
    world.replica.catch_up()
    world.write("", enrol, PLATFORM, "bob", role="operator")
    assert world.revision == before.value
    assert world.replica.revision.epoch != before.epoch
    other.replica.catch_up()
    assert "bob" in other.replica.facts.grants
    with other.database.read() as connection:
        assert revisions.current(connection).epoch == other.replica.revision.epoch


@pytest.mark.parametrize("first", ["poll", "write"])
def test_a_replica_that_was_cut_off_while_a_restored_database_outgrew_it_notices(
    world: World, other: World, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has seen the revision go back: the one who restored it started its servers anew."""
    world.user("ann")
    other.replica.catch_up()
    before = other.replica.revision
    restore(world, before.value - 1, without="ann")
    world.replica.load()  # started anew
    for name in ("bob", "cleo"):
        world.user(name)
    assert world.revision > before.value
    if first == "poll":
        other.replica.catch_up()
    else:
        monkeypatch.setattr(writing, "_SURE_SECONDS", 0.0)
        other.user("dan")
    assert set(other.replica.facts.users) >= {"bob", "cleo"}
    assert "ann" not in other.replica.facts.users
    assert other.replica.revision.epoch != before.epoch
    world.replica.catch_up()
    assert world.replica.revision == other.replica.revision


def test_a_replica_whose_newest_write_was_lost_notices_even_if_another_has_its_number(
    world: World, other: World
) -> None:
    """A failover loses what is newest, and what is newest nobody has polled yet."""
    world.user("ann")
    before = world.replica.revision
    restore(world, before.value - 1, without="ann")
    other.replica.load()  # started anew
    other.user("bob")
    assert other.replica.revision.notice == before.notice
    assert other.replica.revision.token != before.token
    world.replica.catch_up()
    assert "bob" in world.replica.facts.users
    assert "ann" not in world.replica.facts.users
    assert world.replica.revision.epoch != before.epoch


@pytest.mark.parametrize("number", ["9" * 5000, "\u0663", "", "-1", "1.5"])
def test_a_token_whose_number_is_none_is_malformed(world: World, number: str) -> None:
    """Python refuses to read numbers of thousands of digits with an error of its own."""
    with pytest.raises(InvalidArgument):
        parse_token(f"{world.replica.revision.epoch}.{number}")


def test_a_token_above_the_databases_revision_is_unknown_after_one_poll(world: World) -> None:
    """The database was asked after the token came, and has not got so far."""
    token = Revision(epoch=world.replica.revision.epoch, value=world.revision + 5)

    async def wait() -> None:
        waiting = asyncio.ensure_future(world.replica.reached(token, 5.0))
        await asyncio.sleep(0.01)
        world.replica.catch_up()
        with pytest.raises(RevisionUnknown):
            await waiting

    asyncio.run(wait())


def test_so_many_requests_wait_for_a_revision_at_once_and_no_more(
    world: World, other: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes then is told to try again."""
    monkeypatch.setattr(arrivals, "MOST_WAITING", 2)
    other.user("ann")
    token = other.replica.revision

    async def wait() -> None:
        waiting = [asyncio.ensure_future(world.replica.reached(token, 5.0)) for _ in range(2)]
        await asyncio.sleep(0.01)
        with pytest.raises(TooManyRequests):
            await world.replica.reached(token, 5.0)
        world.replica.catch_up()
        await asyncio.gather(*waiting)
        await world.replica.reached(token, 5.0)

    asyncio.run(wait())
