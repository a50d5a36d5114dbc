"""What is older than a day is deleted, a little at a time, by however many servers; nothing else ever is."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from tests.rpc.streams import wait_for
from tests.rpc.tenants import Tenants
from tests.serving import BUNDLES, Serving
from wsauthz.replica import retention
from wsauthz.store import revisions
from wsauthz.store import tables as t
from wsauthz.store.database import Database

NOW = datetime.now(UTC)
OLD = NOW - timedelta(hours=25)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Return a migrated database of the test's own; once SQLite, once PostgreSQL."""
    with closing(Database(database_url, wait_seconds=10)) as opened:
        yield opened


def fill(database: Database, *sizes: int, at: datetime, answers: int = 0) -> None:
    """Make revisions with so many changes each, and answers to named requests, at a time."""
    with database.write() as connection:
        for size in sizes:
            revision, _ = revisions.advance(connection)
            rows: list[dict[str, Any]] = [
                {"revision": revision.value, "ordinal": each, "kind": "unrelated", "values": {}, "created_at": at}
                for each in range(size)
            ]
            connection.execute(insert(t.changes), rows)
        names = dict.fromkeys(("caller", "actor", "method", "body_hash"), "x")
        for each in range(answers):
            row = {**names, "request_id": f"{at} {each}", "answer": b"", "created_at": at}
            connection.execute(insert(t.request_ids), row)


def kept(database: Database) -> tuple[list[int], int, int]:
    """Return the revisions with changes, which was the last to be pruned, and how many answers there are."""
    with database.read() as connection:
        found = connection.execute(select(t.changes.c.revision).distinct().order_by(t.changes.c.revision)).scalars()
        answers = connection.execute(select(func.count()).select_from(t.request_ids)).scalar_one()
        return list(found), revisions.current(connection).pruned, answers


def test_what_is_old_goes_and_what_is_not_stays(database: Database) -> None:
    fill(database, 1, 2, 3, 1, at=OLD, answers=3)
    fill(database, 1, 1, at=NOW - timedelta(hours=23), answers=2)
    assert list(retention.prune(database)) == [("changes", 6), ("request_ids", 3)]
    assert kept(database) == ([4, 5, 6], 3, 2)
    assert list(retention.prune(database)) == []


def test_it_is_done_a_little_at_a_time_and_never_half_a_revision(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_MOST_AT_ONCE", 10)
    fill(database, 4, 4, 4, 25, 10, 1, 9, 2, at=OLD, answers=25)
    fill(database, 3, at=NOW)
    pruned = list(retention.prune(database))
    assert [count for kind, count in pruned if kind == "changes"] == [8, 4, 25, 10, 10]
    assert [count for kind, count in pruned if kind == "request_ids"] == [10, 10, 5]
    assert kept(database) == ([8, 9], 7, 0)


def test_the_revision_that_was_the_current_one_a_day_ago_stays(database: Database) -> None:
    """Its token has been given since."""
    fill(database, 1, 1, 3, at=OLD)
    assert list(retention.prune(database)) == [("changes", 2)]
    assert kept(database) == ([3], 2, 0)
    assert list(retention.prune(database)) == []


def test_a_revision_that_is_partly_old_stays(database: Database) -> None:
    fill(database, 1, 4, at=OLD)
    with database.write() as connection:
        last = (t.changes.c.revision == 2) & (t.changes.c.ordinal == 3)
        connection.execute(update(t.changes).where(last).values(created_at=NOW))
    assert list(retention.prune(database)) == [("changes", 1)]
    assert kept(database) == ([2], 1, 0)


def test_several_may_do_it_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_MOST_AT_ONCE", 5)
    monkeypatch.setattr(retention, "_PAUSE_SECONDS", 0)
    fill(database, *[1] * 60, at=OLD, answers=60)
    fill(database, 1, at=NOW, answers=1)
    others = [Database(database.url.render_as_string(hide_password=False), wait_seconds=10) for _ in range(3)]

    def prune(one: Database) -> Counter[str]:
        found: Counter[str] = Counter()
        for kind, count in retention.prune(one):
            found[kind] += count
        return found

    with ThreadPoolExecutor(len(others)) as pool:
        found = sum(pool.map(prune, others), Counter[str]())
    for other in others:
        other.close()
    while rest := prune(database):
        found += rest
    assert found == {"changes": 59, "request_ids": 60}
    assert kept(database) == ([60, 61], 59, 1)


def test_a_server_does_it_by_itself_and_counts_it(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "EVERY_SECONDS", 0.2)
    with Serving(database_url, BUNDLES / "dam") as server:
        tenants = Tenants(server)
        owner = tenants.user()
        workspace = tenants.workspace(owner).id
        database = server.server.database
        before = kept(database)[0]
        assert before == [1, 2]
        with database.write() as connection:
            connection.execute(update(t.changes).values(created_at=OLD))
        wait_for(lambda: kept(database) == ([2], 1, 0))
        wait_for(lambda: server.server.metrics.pruned["changes"] >= 1)
        assert tenants.reason(owner, workspace) == ""
        member = tenants.member(owner, workspace)
        assert tenants.reason(member, workspace) == ""
        with database.read() as connection:
            assert connection.execute(select(func.count()).select_from(t.audit_entries)).scalar_one() > 2
