"""The commands, run in this process on real databases; with `ServerProcess` they ask a real server process."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.running import EXAMPLES, Run
from tests.serving import BUNDLES


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the shipped bundles without their tests, which would run anew with every command."""
    copy = tmp_path_factory.mktemp("bundles") / "policies"
    shutil.copytree(BUNDLES, copy, ignore=shutil.ignore_patterns("tests.yaml"))
    return copy


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, bundles: Path) -> None:
    """Leave nothing of the outer settings, but where PostgreSQL is."""
    for name in os.environ:
        if name.startswith("WSAUTHZ_") and not name.startswith("WSAUTHZ_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WSAUTHZ_POLICY", str(bundles / "dam"))


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs commands; their database is a fresh, migrated one, once SQLite and once PostgreSQL."""
    monkeypatch.setenv("WSAUTHZ_DATABASE_URL", database_url)
    return Run(database_url)


@pytest.fixture
def run_sqlite(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs commands on SQLite only, for what is not about the database."""
    monkeypatch.setenv("WSAUTHZ_DATABASE_URL", sqlite_url)
    return Run(sqlite_url)


@pytest.fixture
def example(run: Run) -> Run:
    """Return what runs commands on examples/dam.yaml."""
    assert run("import", EXAMPLES / "dam.yaml").status == 0
    return run


@pytest.fixture(scope="session")
def example_database(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, bundles: Path) -> str:
    """Return the URL of examples/dam.yaml in SQLite, imported once and only read by tests."""
    path = tmp_path_factory.mktemp("example") / "wsauthz.db"
    with closing(sqlite3.connect(sqlite_template)) as template, closing(sqlite3.connect(path)) as fresh:
        template.backup(fresh)
    url = f"sqlite:///{path}"
    outcome = Run(url)("import", EXAMPLES / "dam.yaml", "--database", url, "--policy", bundles / "dam")
    assert outcome.status == 0, outcome.err
    return url


@pytest.fixture
def example_sqlite(example_database: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs commands that change nothing on examples/dam.yaml, on SQLite only."""
    monkeypatch.setenv("WSAUTHZ_DATABASE_URL", example_database)
    return Run(example_database)
