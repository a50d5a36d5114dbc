from datetime import timedelta

from tests.store import samples
from wsauthz.store import entries, workspaces
from wsauthz.store.database import Database
from wsauthz.store.entries import Entry

FIRST = samples.NOW
SECOND = FIRST + timedelta(hours=1)
THIRD = FIRST + timedelta(hours=2)


def entry(entered_at: object, previous: object) -> Entry:
    times = {"entered_at": entered_at, "previous_entered_at": previous}
    return Entry(user_id="ann", workspace_id="w", **times)  # type: ignore[arg-type]  # times


def test_an_entry_remembers_the_one_before(database: Database) -> None:
    with database.write() as connection:
        workspaces.add(connection, samples.workspace("w"))
        assert entries.find(connection, "ann", "w") is None
        entries.enter(connection, "ann", "w", now=FIRST)
        assert entries.find(connection, "ann", "w") == entry(FIRST, None)
        entries.enter(connection, "ann", "w", now=SECOND)
        assert entries.find(connection, "ann", "w") == entry(SECOND, FIRST)
        entries.enter(connection, "ann", "w", now=THIRD)
        assert entries.find(connection, "ann", "w") == entry(THIRD, SECOND)
        assert entries.find(connection, "bob", "w") is None


def test_an_entry_that_comes_late_moves_nothing_back(database: Database) -> None:
    with database.write() as connection:
        workspaces.add(connection, samples.workspace("w"))
        entries.enter(connection, "ann", "w", now=FIRST)
        entries.enter(connection, "ann", "w", now=THIRD)
        for late in (SECOND, THIRD):
            entries.enter(connection, "ann", "w", now=late)
            assert entries.find(connection, "ann", "w") == entry(THIRD, FIRST)
