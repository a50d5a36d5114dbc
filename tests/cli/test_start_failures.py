"""Everything that can be wrong with a database when a command starts: one sentence with the cause, exit status 2."""

import importlib
import os
import pkgutil
import resource
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import alembic.command
import psycopg
import pytest
import sqlalchemy.exc
from alembic.util.exc import CommandError
from sqlalchemy.engine import URL, make_url

from tests.cli.running import Outcome, Run
from tests.postgres import PostgresServer, execute
from tests.serving import BUNDLES
from wsauthz.cli.failures import sentences
from wsauthz.store import migrations
from wsauthz.store.causes import cause_of
from wsauthz.store.database import Database

SERVE: Final = ("serve", "--listen", "127.0.0.1:0", "--metrics-listen", "", "--policy", str(BUNDLES / "dam"))
UPGRADE: Final = ("db", "upgrade")
LIST: Final = ("platform", "list")
CANARY: Final = "canary-7f3a"
"""Passwords; nothing prints it."""
QUOTED: Final = f"SELECT '{CANARY}'"


def run(*arguments: str, limit: int | None = None) -> Outcome:
    """Run a command; `serve` in a process of its own, because a server that starts after all would never return."""
    if arguments[0] != "serve" and limit is None:
        return Run("")(*arguments)
    program = Path(sys.executable).parent / "wsauthz"

    def limit_files() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    environment = {name: value for name, value in os.environ.items() if not name.startswith("WSAUTHZ_")}
    ended = subprocess.run(
        [program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=limit_files,
    )
    return Outcome(status=ended.returncode, out=ended.stdout, err=ended.stderr)


def assert_is_a_sentence(url: str, commands: tuple[tuple[str, ...], ...], parts: tuple[str, ...]) -> None:
    """Run commands, and compare what they say."""
    for command in commands:
        outcome = run(*command, "--database", url)
        assert (outcome.status, outcome.out) == (2, ""), (command, outcome)
        assert len(outcome.err.splitlines()) == 1, outcome.err
        for part in parts:
            assert part in outcome.err, (command, outcome.err)
        for secret in (CANARY, "Traceback", "[SQL", "sqlalche.me"):
            assert secret not in outcome.err


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Return a server with databases and roles that lack something; its superuser has the canary as password."""
    with PostgresServer() as started:
        started.execute(f"ALTER ROLE postgres PASSWORD '{CANARY}'")
        for role in ("ann", "owner", "crowd LOGIN CONNECTION LIMIT 0", "sleeper NOLOGIN"):
            name, _, options = role.partition(" ")
            started.execute(f"CREATE ROLE {name} {options or 'LOGIN'} PASSWORD '{CANARY}'")
        for name in ("empty", "made", "older", "newer", "readonly", "strange", "damaged"):
            started.execute(f"CREATE DATABASE {name}")
        for name, encoding in (("latin", "LATIN1"), ("bytes", "SQL_ASCII")):
            started.execute(
                f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'"
            )
        for name in ("made", "newer", "damaged"):
            migrations.upgrade(started.url(name))
        upgrade_to_the_first(started.url("older"))
        for name in ("older", "newer"):
            execute(started.url(name), "GRANT ALL ON ALL TABLES IN SCHEMA public TO ann")
            execute(started.url(name), "GRANT ALL ON SCHEMA public TO ann")
        execute(started.url("newer"), "UPDATE wsauthz_version SET version_num = '9999'")
        execute(started.url("strange"), "CREATE TABLE users (name text)")
        execute(started.url("damaged"), "DROP TABLE revision")
        started.execute("ALTER DATABASE readonly SET default_transaction_read_only = on")
        yield started


def upgrade_to_the_first(url: str) -> None:
    """Bring a database to the schema of the first version; later ones alter its tables."""
    with closing(Database(url, wait_seconds=30)) as database, database.write() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0001")


def change(**parts: Any) -> Callable[[URL], URL]:
    """Return what changes parts of a URL."""
    return lambda url: url.set(**parts)


def option(**options: str) -> Callable[[URL], URL]:
    """Return what adds options to the URL of a database without tables."""
    return lambda url: url.set(database="empty").update_query_dict(options)


ANN: Final = {"username": "ann"}
POSTGRESQL: Final[dict[str, tuple[Callable[[URL], URL], tuple[tuple[str, ...], ...], tuple[str, ...]]]] = {
    "wrong password": (
        change(password=f"{CANARY}-wrong"),
        (SERVE, UPGRADE, LIST),
        ('password authentication failed for user "postgres"', "check the user and the password"),
    ),
    "unknown role": (change(username="nobody-here"), (SERVE,), ("nobody-here", "check the user and the password")),
    "no login": (change(username="sleeper"), (SERVE,), ("not permitted to log in", "GRANT CONNECT")),
    "unknown database": (
        change(database="nothing"),
        (SERVE, UPGRADE, LIST),
        ('database "nothing" does not exist', "create it with the encoding UTF8"),
    ),
    "closed port": (change(port=1), (SERVE, UPGRADE, LIST), ("Connection refused", "check host and port")),
    "unknown host": (change(host="no.invalid"), (SERVE,), ("no.invalid", "check the host of the database URL")),
    "no TLS": (option(sslmode="require"), (SERVE,), ("does not support SSL", "check sslmode")),
    "wrong sslmode": (option(sslmode="always"), (SERVE,), ('"always"', "check the options of the database URL")),
    "wrong number": (option(connect_timeout="soon"), (SERVE,), ("connect_timeout",)),
    "unknown option": (
        option(passwrod=CANARY),
        (SERVE, UPGRADE, LIST),
        ("the database URL has an unknown option 'passwrod'; did you mean password?",),
    ),
    "an option of the driver": (option(autocommit="1"), (SERVE,), ("unknown option 'autocommit'",)),
    "no connections left": (change(username="crowd"), (SERVE,), ("too many connections", "more connections")),
    "no grant to create tables": (
        change(**ANN, database="empty"),
        (SERVE, UPGRADE),
        ("permission denied for schema public", "GRANT USAGE, CREATE ON SCHEMA"),
    ),
    "no grant on tables": (
        change(**ANN, database="made"),
        (SERVE, UPGRADE, LIST, ("db", "check"), ("db", "current")),
        ("permission denied for table wsauthz_version", "GRANT SELECT, INSERT, UPDATE, DELETE"),
    ),
    "tables of another role": (
        change(**ANN, database="older"),
        (SERVE, UPGRADE),
        ("must be owner of", "run `wsauthz db upgrade` as the owner"),
    ),
    "a newer schema": (
        change(database="newer"),
        (SERVE, UPGRADE, LIST),
        ("the schema is at revision 9999, which this program does not know: use a newer program",),
    ),
    "tables of another program": (
        change(database="strange"),
        (SERVE, UPGRADE),
        ('relation "users" already exists', "of wsauthz' own"),
    ),
    "a table is missing": (change(database="damaged"), (SERVE,), ('relation "revision" does not exist',)),
    "LATIN1": (change(database="latin"), (SERVE, UPGRADE), ("the encoding of the database is LATIN1", "UTF8")),
    "SQL_ASCII": (change(database="bytes"), (SERVE, UPGRADE), ("the encoding of the database is SQL_ASCII", "UTF8")),
    "read only": (change(database="readonly"), (SERVE, UPGRADE), ("read-only", "name the primary")),
}


@pytest.mark.parametrize("name", POSTGRESQL)
def test_what_is_wrong_with_postgresql_is_a_sentence(server: PostgresServer, name: str) -> None:
    changed, commands, parts = POSTGRESQL[name]
    url = changed(make_url(server.url(tcp=True)).set(password=CANARY, drivername="postgresql"))
    assert_is_a_sentence(url.render_as_string(hide_password=False), commands, parts)


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Answer the first bytes of every connection to a port, and hang up; the address."""

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(8)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=run, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_a_server_of_something_else_is_a_sentence() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        url = f"postgresql://ann:{CANARY}@{address}/x"
        assert_is_a_sentence(url, (SERVE,), ("The database is unavailable: connection failed",))


def test_a_missing_certificate_is_a_sentence() -> None:
    with answering(b"S") as address:  # as PostgreSQL says that it has TLS
        url = f"postgresql://ann:{CANARY}@{address}/x?sslmode=verify-full&sslrootcert=/nowhere/ca.pem"
        assert_is_a_sentence(url, (SERVE,), ("/nowhere/ca.pem", "check sslmode and sslrootcert"))


# --- SQLite -----------------------------------------------------------------------------------------------------------


def other_tables(path: Path) -> None:
    """Make a database of another program."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (name)")


def newer(path: Path) -> None:
    """Make a database of a newer version."""
    migrations.upgrade(f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE wsauthz_version SET version_num = '9999'")


def half(path: Path) -> None:
    """Make a database, and cut it off in the middle."""
    migrations.upgrade(f"sqlite:///{path}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


SQLITE: Final[dict[str, tuple[Callable[[Path], object], tuple[tuple[str, ...], ...], tuple[str, ...]]]] = {
    "a directory": (Path.mkdir, (SERVE, UPGRADE), ("is a directory: name a file in it",)),
    "another kind of file": (
        lambda path: path.write_bytes(b"noise" * 1000),
        (SERVE, UPGRADE, LIST, ("db", "check")),
        ("file is not a database", "name an SQLite database that is whole"),
    ),
    "cut off": (half, (SERVE,), ("database disk image is malformed", "restore a backup")),
    "tables of another program": (other_tables, (SERVE, UPGRADE), ("table users already exists", "wsauthz' own")),
    "a newer schema": (newer, (SERVE, UPGRADE, LIST), ("revision 9999, which this program does not know",)),
}


@pytest.mark.parametrize("name", SQLITE)
def test_what_is_wrong_with_an_sqlite_file_is_a_sentence(tmp_path: Path, name: str) -> None:
    make, commands, parts = SQLITE[name]
    for number, command in enumerate(commands):
        path = tmp_path / f"{number}.db"
        make(path)
        assert_is_a_sentence(f"sqlite:///{path}", (command,), parts)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/nowhere/x.db", "/nowhere/x.db: No such file or directory"),
        ("/sys/x.db", "/sys/x.db: Permission denied"),
        (f"{__file__}/x.db", "Not a directory"),
    ],
)
def test_a_folder_that_cannot_be_written_to_is_a_sentence(path: str, why: str) -> None:
    assert_is_a_sentence(f"sqlite:///{path}", (SERVE, UPGRADE), (why,))


@pytest.mark.parametrize("url", ["sqlite:///file:x.db?uri=true", "sqlite:///x.db?timeout=soon", "sqlite:///x.db?a=b"])
def test_an_sqlite_url_has_no_options(url: str) -> None:
    assert_is_a_sentence(url, (SERVE, UPGRADE), ("an SQLite database must be a file, without options",))


def test_a_locked_file_is_a_sentence(sqlite_url: str) -> None:
    with closing(sqlite3.connect(str(make_url(sqlite_url).database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert_is_a_sentence(sqlite_url, (SERVE,), ("database is locked", "another process is writing"))


@pytest.mark.parametrize("limit", [0, 8192])
@pytest.mark.parametrize("command", [SERVE, UPGRADE])
def test_a_full_disk_is_a_sentence(tmp_path: Path, limit: int, command: tuple[str, ...]) -> None:
    failed = run(*command, "--database", f"sqlite:///{tmp_path / 'x.db'}", limit=limit)
    assert (failed.status, failed.out) == (2, "")
    assert len(failed.err.splitlines()) == 1
    assert "make room on the disk" in failed.err


# --- every class ------------------------------------------------------------------------------------------------------


def below(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    """Yield a class and all that derive from it."""
    yield kind
    for derived in kind.__subclasses__():
        yield from below(derived)


def of_packages() -> list[type[BaseException]]:
    """Return every error of the drivers, of SQLAlchemy, of Alembic and of the file system that is known once loaded."""
    for package in (psycopg, sqlalchemy, alembic):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if module.name.endswith((".exc", ".errors", ".util")):
                importlib.import_module(module.name)
    kinds = {
        found
        for root in (psycopg.Error, sqlite3.Error, sqlalchemy.exc.SQLAlchemyError, CommandError, OSError)
        for found in below(root)
        if found.__module__.partition(".")[0] in {"psycopg", "sqlite3", "sqlalchemy", "alembic", "builtins", "ssl"}
    }
    return sorted(kinds, key=lambda kind: (kind.__module__, kind.__qualname__))


KINDS: Final = of_packages()


def instance(kind: type[BaseException]) -> BaseException:
    """Return an error of the class that quotes a statement with its values, as SQLAlchemy's do."""
    orig = sqlite3.OperationalError("what the driver says")
    if issubclass(kind, sqlalchemy.exc.StatementError) and kind.__module__ == "sqlalchemy.exc":
        quoting = kind.__new__(kind)
        sqlalchemy.exc.StatementError.__init__(quoting, "what the driver says", QUOTED, {"x": CANARY}, orig)
        return quoting
    if issubclass(kind, ssl.SSLError | OSError):
        return kind(5, "what the driver says", "/a/file")
    made = kind.__new__(kind)
    made.args = ("what the driver says",)
    return made


def test_there_are_hundreds_of_classes() -> None:
    assert len(KINDS) > 250
    assert {psycopg.errors.InsufficientPrivilege, sqlite3.DatabaseError, CommandError, PermissionError} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
def test_every_error_that_can_be_raised_at_start_is_a_sentence(kind: type[BaseException]) -> None:
    error = instance(kind)
    assert isinstance(error, Exception)
    said = sentences(error)
    assert said is not None
    assert len(said) == 1
    assert "what the driver says" in said[0]
    assert CANARY not in said[0]
    assert "\n" not in said[0]


def test_a_cause_has_no_secret_of_the_url() -> None:
    url = make_url(f"postgresql://ann:{CANARY}@h/d?sslpassword={CANARY}2")
    error = psycopg.OperationalError(f"missing {CANARY}2 and {CANARY}\nin the\tconnection info")
    assert cause_of(error, url).startswith("missing *** and *** in the connection info")
