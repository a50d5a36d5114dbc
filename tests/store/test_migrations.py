import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.forked import context
from wsauthz.model.errors import Unavailable
from wsauthz.store import migrations, revisions, schema
from wsauthz.store.database import Connection, Database
from wsauthz.store.tables import metadata


def test_an_empty_database_says_what_to_do(empty_database_url: str) -> None:
    assert migrations.current(empty_database_url) is None
    assert migrations.check(empty_database_url) == [
        "the database has no tables of wsauthz yet: run `wsauthz db upgrade`"
    ]


def test_looking_at_a_missing_file_does_not_make_it(tmp_path: Path) -> None:
    assert migrations.current(f"sqlite:///{tmp_path / 'x.db'}") is None
    assert list(tmp_path.iterdir()) == []


def test_upgrading_twice_changes_nothing(empty_database_url: str) -> None:
    migrations.upgrade(empty_database_url)
    first = migrations.current(empty_database_url)
    with closing(Database(empty_database_url)) as database, database.write() as connection:
        epoch = revisions.advance(connection)[0].epoch
    migrations.upgrade(empty_database_url)
    assert migrations.current(empty_database_url) == first == schema.HEAD
    with closing(Database(empty_database_url)) as database, database.read() as connection:
        assert revisions.current(connection).notice == f"{epoch}.1"


def test_databases_have_epochs_and_secrets_of_their_own(tmp_path: Path) -> None:
    installations = set()
    for name in ("a", "b"):
        migrations.upgrade(f"sqlite:///{tmp_path / name}")
        with closing(Database(f"sqlite:///{tmp_path / name}")) as database, database.read() as connection:
            installation = revisions.installation(connection)
            installations |= {installation.epoch, installation.secret}
    assert len(installations) == 4


def test_migrations_lead_to_the_tables_of_the_program(database_url: str) -> None:
    assert migrations.check(database_url) == []


def test_migrations_lead_to_the_very_schema_that_the_tables_make(empty_database_url: str) -> None:
    """Collations, checks and the conditions of indexes too, which Alembic does not compare."""
    with closing(Database(empty_database_url)) as database:
        with database.write() as connection:
            metadata.create_all(connection)
            made = _schema(connection)
            metadata.drop_all(connection)
        migrations.upgrade(empty_database_url)
        with database.read() as connection:
            assert _schema(connection) == made
    assert any("deleted_at IS NULL" in line for line in made)


def test_a_difference_is_named(database_url: str) -> None:
    with closing(Database(database_url)) as database, database.write() as connection:
        connection.execute(text("DROP INDEX email_taken"))
        connection.execute(text("ALTER TABLE users ADD COLUMN shoe_size INTEGER"))
    problems = migrations.check(database_url)
    assert len(problems) == 2
    assert any("add_index email_taken" in problem for problem in problems)
    assert any("remove_column users shoe_size" in problem for problem in problems)


def test_tables_and_indexes_of_others_are_no_problem(database_url: str) -> None:
    with closing(Database(database_url)) as database, database.write() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(text("CREATE INDEX users_name ON users (name)"))
    assert migrations.check(database_url) == []
    migrations.upgrade(database_url)


def test_a_schema_of_a_newer_program_is_recognised(database_url: str) -> None:
    with closing(Database(database_url)) as database, database.write() as connection:
        connection.execute(text("UPDATE wsauthz_version SET version_num = '9999'"))
    assert migrations.check(database_url) == [
        "the schema is at revision 9999, which this program does not know: use a newer program"
    ]


def test_several_processes_may_upgrade_at_once(empty_database_url: str) -> None:
    with context().Pool(3) as pool:
        pool.map(migrations.upgrade, [empty_database_url] * 3, chunksize=1)
        pool.close()
        pool.join()
    assert migrations.check(empty_database_url) == []
    with closing(Database(empty_database_url)) as database, database.read() as connection:
        assert revisions.current(connection).value == 0


def test_an_interrupted_upgrade_is_simply_repeated(empty_database_url: str) -> None:
    killed = (
        "import os, sys\n"
        "from alembic import op\n"
        "from wsauthz.store import migrations\n"
        "create, made = op.create_table, []\n"
        "def create_or_die(*columns, **options):\n"
        "    made.append(create(*columns, **options))\n"
        "    if len(made) == 7: os._exit(9)\n"
        "op.create_table = create_or_die\n"
        "migrations.upgrade(sys.argv[1])\n"
    )
    ended = subprocess.run([sys.executable, "-c", killed, empty_database_url], check=False)
    assert ended.returncode == 9
    assert migrations.current(empty_database_url) is None
    migrations.upgrade(empty_database_url)
    assert migrations.check(empty_database_url) == []


def test_an_upgrade_of_a_newer_schema_is_refused_and_changes_nothing(database_url: str) -> None:
    with closing(Database(database_url)) as database, database.write() as connection:
        connection.execute(text("UPDATE wsauthz_version SET version_num = '9999'"))
    with pytest.raises(migrations.SchemaUnknown, match="9999"):
        migrations.upgrade(database_url)
    assert migrations.current(database_url) == "9999"


def test_a_database_that_is_away_is_unavailable(tmp_path: Path) -> None:
    for act in (migrations.upgrade, migrations.current, migrations.check):
        with pytest.raises(Unavailable):
            act("postgresql://nobody@127.0.0.1:1/none")


def _schema(connection: Connection) -> set[str]:
    """Return everything the database knows of our tables, one text each, whatever the order of columns."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")).scalars()
        # A column that was added later stands in the line of the one before it.
        lines = {f"{sql.split('(', 1)[0]}|{part.strip()}" for sql in found for part in re.split("[,\n]", sql)}
    else:
        lines = set()
        for query in _POSTGRESQL_CATALOG:
            lines |= {" ".join(str(value) for value in row) for row in connection.execute(text(query))}
    return {re.sub(r"\s+", " ", line) for line in lines if "wsauthz_version" not in line}


_COLUMNS = "table_name, column_name, data_type, is_nullable, column_default, collation_name"
_POSTGRESQL_CATALOG = (
    f"SELECT {_COLUMNS} FROM information_schema.columns WHERE table_schema = 'public'",
    "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid > 0",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
)


def test_the_newest_migration_is_the_one_that_a_start_looks_for(database_url: str) -> None:
    assert migrations.current(database_url) == schema.HEAD
    schema.ensure(database_url)
    assert migrations.check(database_url) == []


def test_a_command_is_told_the_same_without_alembic(database_url: str) -> None:
    assert schema.check(database_url) == []
    with closing(Database(database_url)) as database, database.write() as connection:
        connection.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    assert schema.check(database_url) == migrations.check_revision(database_url) != []


def test_a_command_is_told_that_there_is_no_schema_yet(empty_database_url: str) -> None:
    assert schema.check(empty_database_url) == migrations.check_revision(empty_database_url) != []


def test_a_command_that_finds_no_file_does_not_make_it(tmp_path: Path) -> None:
    assert schema.check(f"sqlite:///{tmp_path / 'x.db'}")
    assert list(tmp_path.iterdir()) == []


def test_ensuring_the_schema_makes_it(empty_database_url: str) -> None:
    schema.ensure(empty_database_url)
    assert migrations.check(empty_database_url) == []
