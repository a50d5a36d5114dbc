"""Servers that live as long as a test module, each on a fresh, migrated database of its own.

Modules that are marked `transports` run on grpcio and, on SQLite, on the native transport; with `--transport native`
every module runs on that alone. A fixture with a server that outlives a test must ask for `transport`.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.databases import Databases
from tests.rpc.filling import fill, state_of
from tests.rpc.tenants import STATE, Tenants
from tests.serving import BUNDLES, Serving
from wsauthz.policy.bundle import read_bundle
from wsauthz.rpc import budget
from wsauthz.rpc.methods import core_vocabulary

MakeDatabase = Callable[[], Any]
NATIVE: Final = "native"


@contextmanager
def sqlite_database(template: Path) -> Iterator[str]:
    """Make an SQLite database for the block."""
    with tempfile.TemporaryDirectory(prefix="wsauthz-test-") as folder:
        path = Path(folder) / "wsauthz.db"
        with closing(sqlite3.connect(template)) as migrated, closing(sqlite3.connect(path)) as fresh:
            migrated.backup(fresh)
        yield f"sqlite:///{path}"


def database_for(request: pytest.FixtureRequest, kind: str) -> AbstractContextManager[str]:
    """Return a fresh database of a kind, sqlite or postgresql, for a block."""
    if kind == "sqlite":
        return sqlite_database(request.getfixturevalue("sqlite_template"))
    databases: Databases = request.getfixturevalue("postgresql_databases")
    return databases.lend()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests on the transports that they are meant for."""
    if metafunc.config.getoption("--transport") == NATIVE:
        metafunc.parametrize("transport", [NATIVE], indirect=True, scope="module")
    elif metafunc.definition.get_closest_marker("transports"):
        metafunc.parametrize("transport", ["grpcio", NATIVE], indirect=True, scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave PostgreSQL out on the native transport: the database does not see what carries the calls."""
    left_out = [item for item in items if isinstance(item, pytest.Function) and _is_native_on_postgresql(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        out = set(left_out)
        items[:] = [item for item in items if item not in out]


def _is_native_on_postgresql(item: pytest.Function) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if parameters.get("transport") != NATIVE:
        return False
    if not {"postgresql_url", "postgresql_databases"}.isdisjoint(item.fixturenames):
        return True
    return any(isinstance(value, str) and value.startswith("postgresql") for value in parameters.values())


@pytest.fixture(scope="module", autouse=True)
def transport(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return what carries the calls of the servers that are started."""
    before, Serving.transport = Serving.transport, getattr(request, "param", "grpcio")
    yield Serving.transport
    Serving.transport = before


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def make_database(request: pytest.FixtureRequest, transport: str) -> MakeDatabase:
    """Return what makes a database for a block; the module's tests run once on each kind."""
    return partial(database_for, request, request.param)


@pytest.fixture
def is_sampled(request: pytest.FixtureRequest) -> bool:
    """Tell whether a sample is enough: on PostgreSQL, where SQLite has had everything, unless with ``--soak``."""
    return "postgresql" in request.node.name and not request.config.getoption("--soak")


@contextmanager
def serving(database: Any, bundle: str | Path, state: Mapping[str, Any] = STATE) -> Iterator[Tenants]:
    """Serve a shipped bundle, or one at a path, on a state, for the block."""
    with database as url:
        fill(url, state_of(state), read_bundle(BUNDLES / bundle, core_vocabulary()).catalog)
        with Serving(url, BUNDLES / bundle) as server:
            yield Tenants(server)


@pytest.fixture(scope="module")
def dam(make_database: MakeDatabase) -> Iterator[Tenants]:
    """Return a server of the dam bundle with an operator, on each kind of database."""
    with serving(make_database(), "dam") as tenants:
        yield tenants


@pytest.fixture(scope="module")
def oneglanse(make_database: MakeDatabase) -> Iterator[Tenants]:
    """Return a server of the oneglanse bundle with an operator, on each kind of database."""
    with serving(make_database(), "oneglanse") as tenants:
        yield tenants


@pytest.fixture(scope="module")
def sqlite_dam(sqlite_template: Path, transport: str) -> Iterator[Tenants]:
    """Return a server of the dam bundle with an operator, on SQLite."""
    with serving(sqlite_database(sqlite_template), "dam") as tenants:
        yield tenants


@pytest.fixture(scope="module")
def sqlite_oneglanse(sqlite_template: Path, transport: str) -> Iterator[Tenants]:
    """Return a server of the oneglanse bundle with an operator, on SQLite."""
    with serving(sqlite_database(sqlite_template), "oneglanse") as tenants:
        yield tenants


@pytest.fixture(scope="module")
def refusals_are_free() -> Iterator[None]:
    """Let servers listen on to callers who are refused all the time, as some tests are on purpose."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(budget, "FREE_REFUSALS", 1e9)
        yield
