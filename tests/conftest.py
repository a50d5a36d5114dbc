"""What every test may ask for: databases, and the long form of the long checks.

`database_url` runs a test twice, on SQLite and on PostgreSQL; `sqlite_url` and `postgresql_url` give one of them. Each
is the URL of a fresh, migrated database of the test's own; `empty_database_url` is the same before the migrations.
"""

import gc
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from sqlalchemy.engine import make_url

from tests.databases import Databases, fresh_database
from tests.postgres import PostgresServer
from wsauthz.policy import current, scenarios
from wsauthz.policy.bundle import Bundle, read_bundle
from wsauthz.policy.catalog import CoreVocabulary

# Before grpc is loaded: what it does when a process forks has crashed children that were to become a PostgreSQL.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

SERVER = pytest.StashKey[PostgresServer]()
SOAK_SECONDS = 3600

hypothesis.settings.register_profile("test", max_examples=30, deadline=None)
hypothesis.settings.register_profile("soak", max_examples=2000, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --soak, --faults and --transport."""
    parser.addoption("--soak", action="store_true", help="run the long form of the long checks as well")
    parser.addoption("--faults", action="store_true", help="run the long form of the fault tests as well")
    parser.addoption(
        "--transport",
        choices=["grpcio", "native"],
        default="grpcio",
        help="native: RPC tests run on that alone; else on grpcio, and those that are marked `transports` on both",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let hypothesis look further in a soak run."""
    hypothesis.settings.load_profile("soak" if config.getoption("--soak") else "test")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out unless they are asked for; then give them their time."""
    for form in ("soak", "faults"):
        long = [item for item in items if item.get_closest_marker(form)]
        if config.getoption(f"--{form}"):
            for item in long:
                own = item.get_closest_marker("timeout")
                if own is None or own.args[0] < SOAK_SECONDS:
                    item.add_marker(pytest.mark.timeout(SOAK_SECONDS), append=False)
        elif long:
            left_out = set(long)
            items[:] = [item for item in items if item not in left_out]
            config.hook.pytest_deselected(items=long)


def pytest_collection_finish() -> None:
    """Keep the collector away from thousands of tests and from all that was imported for them; they stay anyway."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Start one PostgreSQL for all workers of a parallel run and tell them where it is."""
    node.workerinput["postgres_url"] = _server_url(node.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the PostgreSQL that this process started."""
    if server := config.stash.get(SERVER, None):
        server.close()


def _server_url(config: pytest.Config) -> str:
    """Answer the URL of the PostgreSQL of this run, started on first use."""
    if url := os.environ.get("WSAUTHZ_TEST_POSTGRES"):
        return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    if hasattr(config, "workerinput"):
        return str(config.workerinput["postgres_url"])
    if SERVER not in config.stash:
        server = PostgresServer(
            fsync="off", full_page_writes="off"
        )  # killed, it loses nothing; only the machine may not
        config.stash[SERVER] = server
        server.start()
    return config.stash[SERVER].url()


@pytest.fixture(scope="session", autouse=True)
def _bundles_are_tested_once() -> Iterator[None]:
    """Let this process not repeat the tests of a bundle that has passed them: half the cost of starting a server."""
    passed: list[tuple[str, CoreVocabulary]] = []

    def load_once(directory: Path, core: CoreVocabulary) -> Bundle:
        bundle = read_bundle(directory, core)
        if (bundle.version, core) not in passed:  # the version is a hash over all files of the bundle
            scenarios.refuse_failing(bundle, time.time())
            passed.append((bundle.version, core))
        return bundle

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(current, "load", load_once)
        yield


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config) -> str:
    """Return the superuser's URL of the PostgreSQL server of this run; it is shared: make databases of your own."""
    return _server_url(pytestconfig)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite database, made once and never opened by a test."""
    path = tmp_path_factory.mktemp("template") / "wsauthz.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_databases(postgres_url: str) -> Iterator[Databases]:
    """Return what lends fresh, migrated PostgreSQL databases, to fixtures that outlive a test."""
    with fresh_database(postgres_url) as template:
        _migrate(template)
        databases = Databases(postgres_url, str(make_url(template).database))
        yield databases
        databases.close()


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """Return the URL of a fresh, migrated SQLite database."""
    path = tmp_path / "wsauthz.db"
    with closing(sqlite3.connect(sqlite_template)) as template, closing(sqlite3.connect(path)) as fresh:
        template.backup(fresh)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgresql_databases: Databases) -> Iterator[str]:
    """Return the URL of a fresh, migrated PostgreSQL database."""
    with postgresql_databases.lend() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a fresh, migrated database; the test runs once on SQLite and once on PostgreSQL."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a fresh database without tables; the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        with fresh_database(request.getfixturevalue("postgres_url")) as url:
            yield url


def _migrate(url: str) -> None:
    """Bring the database at `url` to the newest schema."""
    from wsauthz.store.migrations import upgrade  # late, so that tests without a database load no SQL

    upgrade(url)
