import psycopg
import pytest

from tests.databases import Databases
from tests.postgres import connect


def revision(url: str) -> tuple[object, ...]:
    with connect(url) as connection:
        found = connection.execute("SELECT value, epoch, secret FROM revision").fetchone()
    assert found is not None
    return tuple(found)


def test_what_is_lent_again_is_a_new_database(postgresql_databases: Databases) -> None:
    with postgresql_databases.lend() as url:
        before = revision(url)
        with connect(url) as connection:
            connection.execute("UPDATE revision SET value = 7, audit_count = 3, audit_head = 'x'")
            connection.execute("INSERT INTO changes VALUES (7, 1, 'user', '{}', now())")
        left_open = connect(url)
        left_open.execute("SELECT pg_advisory_lock(1)")
    with postgresql_databases.lend() as again:
        assert again == url
        value, epoch, secret = revision(again)
        assert value == 0
        assert epoch != before[1]
        assert secret != before[2]
        with connect(again) as connection:
            assert connection.execute("SELECT count(*) FROM changes").fetchone() == (0,)
            assert connection.execute("SELECT audit_count, audit_head FROM revision").fetchone() == (0, "")
            assert connection.execute("SELECT pg_try_advisory_lock(1)").fetchone() == (True,)
    with pytest.raises(psycopg.OperationalError):
        left_open.execute("SELECT 1")
    left_open.close()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE users ADD COLUMN shoe_size integer",
        "ALTER TABLE users ALTER COLUMN name DROP NOT NULL",
        "ALTER TABLE users RENAME TO people",
        "DROP INDEX email_taken",
        "ALTER TABLE users DROP CONSTRAINT user_id_taken CASCADE",
        "CREATE SCHEMA cron",
        "DROP TABLE wsauthz_version",
        "UPDATE wsauthz_version SET version_num = 'x'",
        "CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = 3', current_database()); END $$",
    ],
)
def test_what_has_another_schema_is_not_lent_again(postgresql_databases: Databases, statement: str) -> None:
    with postgresql_databases.lend() as url, connect(url) as connection:
        connection.execute(statement.encode())
    with postgresql_databases.lend() as other:
        assert other != url
