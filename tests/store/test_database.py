import contextlib
import dataclasses
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import Table, select, text
from sqlalchemy.engine import make_url

from tests.postgres import PostgresServer, execute
from tests.store import samples
from wsauthz.model.errors import Unavailable
from wsauthz.store import poolers, revisions, users
from wsauthz.store import tables as t
from wsauthz.store.database import Database, UnusableUrl, parse_url

SESSION: Final = """
SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
    current_setting('idle_in_transaction_session_timeout'), current_setting('timezone'),
    (SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql AND statement LIKE 'SELECT 1%')
"""


def test_libpq_urls_and_sqlite_files_are_accepted() -> None:
    assert parse_url("postgresql://ann:pw@db:5433/app?sslmode=require").drivername == "postgresql+psycopg"
    assert parse_url("postgresql+psycopg:///app").drivername == "postgresql+psycopg"
    assert parse_url("sqlite:///wsauthz.db").database == "wsauthz.db"


@pytest.mark.parametrize(
    "url",
    ["", "wsauthz.db", "mysql://u:secret@h/d", "sqlite://", "sqlite:///:memory:", "postgresql+asyncpg://u:secret@h/d"],
)
def test_other_urls_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(UnusableUrl) as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_what_a_block_wrote_is_there_when_it_ends_well_and_gone_when_it_does_not(database: Database) -> None:
    with contextlib.suppress(LookupError), database.write() as connection:
        users.add(connection, samples.user("ann"))
        raise LookupError
    with database.write() as connection:
        users.add(connection, samples.user("bob"))
        connection.rollback()
    with database.write() as connection:
        users.add(connection, samples.user("cleo"))
    with database.read() as connection:
        assert [user.id for user in users.every(connection)] == ["cleo"]


def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(Unavailable), database.read() as connection:
        users.add(connection, samples.user("ann"))
    with database.write() as connection:
        users.add(connection, samples.user("ann"))


def test_a_read_sees_one_state_whatever_is_written_meanwhile(database: Database) -> None:
    with database.read() as reading:
        assert revisions.current(reading).value == 0
        with database.write() as writing:
            revisions.advance(writing)
            users.add(writing, samples.user("ann"))
        assert users.find(reading, "ann") is None
        assert revisions.current(reading).value == 0
    with database.read() as reading:
        assert users.find(reading, "ann") is not None
        assert revisions.current(reading).value == 1


def test_a_writer_that_waits_does_not_keep_readers_waiting(database: Database, database_url: str) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with database.write() as connection:
            revisions.advance(connection)
            entered.set()
            leave.wait(10)

    def wait() -> None:
        with closing(Database(database_url, wait_seconds=10)) as other, other.write() as connection:
            revisions.advance(connection)

    threads = [threading.Thread(target=hold), threading.Thread(target=wait)]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    began = time.monotonic()
    for _ in range(20):
        with database.read() as connection:
            assert revisions.current(connection).value == 0
    assert time.monotonic() - began < 1
    leave.set()
    for thread in threads:
        thread.join(10)
    with database.read() as connection:
        assert revisions.current(connection).value == 2


def test_writers_wait_for_each_other_only_so_long(database: Database, database_url: str) -> None:
    with closing(Database(database_url, wait_seconds=0.2)) as hasty, database.write() as connection:
        revisions.advance(connection)
        began = time.monotonic()
        with pytest.raises(Unavailable), hasty.write() as other:
            revisions.advance(other)
        assert time.monotonic() - began < 2
    with closing(Database(database_url, wait_seconds=0.2)) as hasty, hasty.write() as connection:
        with pytest.raises(Unavailable), hasty.write():
            pass
        revisions.advance(connection)
    with database.read() as connection:
        assert revisions.current(connection).value == 2


def test_readers_wait_for_a_connection_only_so_long(database_url: str) -> None:
    with closing(Database(database_url, readers=1, wait_seconds=0.1)) as small, small.read() as connection:
        revisions.current(connection)
        with pytest.raises(Unavailable), small.read() as other:
            revisions.current(other)


def test_a_connection_given_back_after_the_close_is_closed(database_url: str) -> None:
    database = Database(database_url)
    raw: list[Any] = []
    with database.read() as reading, database.write() as writing:
        for connection in (reading, writing):
            revisions.current(connection)
            raw.append(connection.connection.dbapi_connection)
        database.close()
        revisions.current(reading)
    for each in raw:
        with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError)):
            each.execute("SELECT 1")


def test_a_closed_database_makes_no_more_connections(database_url: str) -> None:
    database = Database(database_url)
    database.close()
    with pytest.raises(Unavailable), database.read():
        pass
    with pytest.raises(Unavailable), database.write():
        pass


def test_a_hanging_statement_is_cut_off(postgresql_url: str) -> None:
    with closing(Database(postgresql_url, wait_seconds=0.2)) as database:
        with pytest.raises(Unavailable), database.write() as connection:
            connection.execute(text("SELECT pg_sleep(30)"))
        with database.write() as connection:
            revisions.advance(connection)


def test_a_lost_connection_is_replaced(postgresql_url: str) -> None:
    with closing(Database(postgresql_url)) as database:
        kill = "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database() "
        with database.write() as connection:
            revisions.advance(connection)
        with database.read() as reading:
            revisions.current(reading)
            execute(postgresql_url, kill + "AND pid <> pg_backend_pid()")
            with pytest.raises(Unavailable):
                revisions.current(reading)
        with database.write() as connection:
            revisions.advance(connection)
        with database.read() as reading:
            assert revisions.current(reading).value == 2


@pytest.mark.parametrize(
    ("is_direct", "left"), [(False, ("0", "0", "0", "Asia/Tokyo", 0)), (True, ("10s", "1s", "10s", "UTC", 1))]
)
def test_only_connections_to_postgresql_itself_leave_something_in_their_session(
    postgresql_url: str, is_direct: bool, left: tuple[object, ...]
) -> None:
    execute(postgresql_url, f"ALTER DATABASE \"{make_url(postgresql_url).database}\" SET timezone = 'Asia/Tokyo'")
    with closing(Database(postgresql_url, is_direct=is_direct)) as database, database.read() as connection:
        for _ in range(10):
            connection.execute(select(1))
        raw: Any = connection.connection.driver_connection
        assert connection.execute(text(SESSION)).one() == ("10s", "1s", "10s", "UTC", int(is_direct))
        connection.commit()
        assert raw.execute(SESSION).fetchone() == left


def test_a_direct_connection_to_postgresql_is_not_taken_for_a_pooler(postgresql_url: str) -> None:
    with closing(Database(postgresql_url, is_direct=True)) as database:
        poolers.check(database)


def test_a_server_that_is_away_is_unavailable_and_comes_back_by_itself() -> None:
    with PostgresServer() as server, closing(Database(server.url(tcp=True))) as database:
        with database.read() as connection:
            connection.execute(select(1))
        server.stop()
        for use in (database.read, database.write):
            began = time.monotonic()
            with pytest.raises(Unavailable) as caught, use() as connection:
                connection.execute(select(1))
            assert time.monotonic() - began < 3
            assert str(caught.value) == "The service is not available; try again"
        server.start()
        with database.write() as connection:
            connection.execute(select(1))


def test_a_missing_folder_or_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    scribble = tmp_path / "scribble.db"
    scribble.write_bytes(b"not a database" * 1000)
    for path in (tmp_path / "missing" / "x.db", scribble):
        with closing(Database(f"sqlite:///{path}")) as database:
            for use in (database.read, database.write):
                with pytest.raises(Unavailable), use() as connection:
                    connection.execute(select(1))


def test_a_full_disk_is_unavailable_and_passes(sqlite_url: str) -> None:
    with closing(Database(sqlite_url)) as database:
        with database.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
            with pytest.raises(Unavailable):
                users.add(connection, samples.user("bob", name="x" * 1_000_000))
        with database.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
            users.add(connection, samples.user("ann"))


def test_a_mistake_in_a_statement_is_not_called_storage_trouble(database: Database) -> None:
    with pytest.raises(Exception, match="nonsense") as caught, database.read() as connection:
        connection.execute(text("SELECT * FROM nonsense"))
    assert not isinstance(caught.value, Unavailable)


def test_acknowledged_writes_are_on_disk_and_cascades_are_on(sqlite_url: str) -> None:
    with closing(Database(sqlite_url)) as database:
        for use in (database.read, database.write):
            with use() as connection:
                pragmas = {
                    name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                    for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
                }
            assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 1000}


def test_reads_work_while_another_process_holds_the_file(sqlite_url: str) -> None:
    path = str(make_url(sqlite_url).database)
    with closing(Database(sqlite_url, wait_seconds=0.1)) as database, closing(sqlite3.connect(path)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        with database.read() as connection:
            assert revisions.current(connection).value == 0
        with pytest.raises(Unavailable), database.write():
            pass
        other.execute("ROLLBACK")
        with database.write() as connection:
            revisions.advance(connection)


def test_search_text_folds_case_beyond_ascii_on_sqlite(sqlite_url: str) -> None:
    with closing(Database(sqlite_url)) as database, database.read() as connection:
        assert connection.execute(text("SELECT lower('ÄÖ'), lower(NULL)")).one() == ("äö", None)


def test_tables_have_every_column_of_their_nouns_and_no_other() -> None:
    nouns: list[tuple[Table, Any]] = [
        (t.users, samples.user("x")),
        (t.organizations, samples.organization("x")),
        (t.workspaces, samples.workspace("x")),
        (t.memberships, samples.membership("x", "y")),
        (t.invitations, samples.invitation("x", "y")),
        (t.subscriptions, samples.subscription("x")),
    ]
    for table, noun in nouns:
        assert list(table.c.keys()) == [field.name for field in dataclasses.fields(noun)], table.name
