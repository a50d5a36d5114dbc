"""A database that is restored while no server runs: what was lost is unknown afterwards, and everything else is not."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import grpc
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from tests.cli.running import Run
from tests.postgres import execute
from tests.processes.test_two_processes import workspace_of
from tests.rpc.streams import Stream, is_gapless
from tests.serving import BUNDLES, Client, Serving, attempt
from wsauthz.store.database import Database
from wsauthz.store.migrations import upgrade
from wsauthz.v1 import authorization_pb2, memberships_pb2, users_pb2, workspaces_pb2

BEFORE: Final = "UPDATE revision SET value = value + 1"
"""How a version that knows nothing of digests takes a revision."""
UNKNOWN: Final = (grpc.StatusCode.FAILED_PRECONDITION, "REVISION_UNKNOWN")


class Backup:
    """A copy of a database, made and restored while nobody uses it."""

    def __init__(self, url: str, server_url: str) -> None:
        self._url = make_url(url)
        self._server_url = server_url
        self._name = f"{self._url.database}_copy"
        if self._url.get_backend_name() == "sqlite":
            _copy(str(self._url.database), self._name)
        else:
            execute(server_url, f'CREATE DATABASE "{self._name}" TEMPLATE "{self._url.database}" STRATEGY FILE_COPY')

    def restore(self) -> None:
        """Bring the database back to what it was."""
        if self._url.get_backend_name() == "sqlite":
            _copy(self._name, str(self._url.database))
        else:
            execute(self._server_url, f'DROP DATABASE "{self._url.database}" WITH (FORCE)')
            copied = f'CREATE DATABASE "{self._url.database}" TEMPLATE "{self._name}" STRATEGY FILE_COPY'
            execute(self._server_url, copied)

    def remove(self) -> None:
        """Leave nothing behind."""
        if self._url.get_backend_name() != "sqlite":
            execute(self._server_url, f'DROP DATABASE "{self._name}" WITH (FORCE)')


def _copy(source: str, target: str) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


@contextmanager
def backup(url: str, server_url: str) -> Iterator[Backup]:
    """Make a backup for the block."""
    made = Backup(url, server_url)
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def url(empty_database_url: str) -> str:
    """Return the URL of a migrated database that nobody has open."""
    upgrade(empty_database_url)
    return empty_database_url


def serving(url: str) -> Serving:
    return Serving(url, BUNDLES / "dam")


def add(client: Client, workspace: str, user: str) -> str:
    """Add a member; return the revision."""
    request = memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=user)
    return str(client.memberships.AddMember(request).revision)


def user(client: Client, user_id: str) -> str:
    """Make a user; return the revision."""
    return str(client.users.UpsertUser(users_pb2.UpsertUserRequest(user_id=user_id)).revision)


def reads(client: Client, workspace: str, subject: str, token: str) -> list[Any]:
    """Return the answers of several reads from a state on, of a decision and of management."""
    check = authorization_pb2.CheckRequest(
        subject=subject, workspace_id=workspace, resource="workspace", action="view", at_least_revision=token
    )
    get = workspaces_pb2.GetWorkspaceRequest(workspace_id=workspace, at_least_revision=token)
    return [attempt(client.authorization.Check, check), attempt(client.workspaces.GetWorkspace, get)]


def test_a_token_of_a_lost_history_is_unknown(url: str, postgres_url: str) -> None:
    """Also when the new history is as long as the lost one, and longer."""
    with serving(url) as server:
        workspace = workspace_of(server.client("ann"))
        server.client().mirror("cleo")
        kept = user(server.client(), "dan")
    with backup(url, postgres_url) as made:
        with serving(url) as server:
            lost = [add(server.client("ann"), workspace, name) for name in ("dan", "cleo")]
        made.restore()
        with serving(url) as server:
            ann = server.client("ann")
            found = []
            for number in range(4):
                found.append([refusal_of(ann, workspace, token) for token in lost])
                assert not any(hasattr(each, "code") for each in reads(ann, workspace, "ann", kept))
                with Stream(ann, kept) as stream:
                    assert is_gapless(stream.seen(user(ann, f"new{number}")))
            assert found == [[[UNKNOWN] * 3] * 2] * 4


def refusal_of(client: Client, workspace: str, token: str) -> list[Any]:
    """Return what reads and Watch answer to a token."""
    with Stream(client, token) as stream:
        refused = [*reads(client, workspace, "dan", token), stream.end()]
    return [(each.code, each.reason) if hasattr(each, "reason") else each for each in refused]


def test_revisions_of_a_version_without_digests_are_known_without_one(url: str) -> None:
    """Both versions write in turn, and every token that was given stays good."""
    with serving(url) as server:
        ann = server.client("ann")
        workspace = workspace_of(ann)
        ann.mirror(*(f"new{number}" for number in range(3)))
        begin = user(ann, "bob")
        tokens = [begin]
        epoch = begin.partition(".")[0]
        for number in range(3):
            value = old_version_writes(server, f"old{number}")
            tokens += [f"{epoch}.{value}", add(ann, workspace, f"new{number}")]
        tokens.append(f"{epoch}.{old_version_writes(server, 'last')}")  # the newest one when a server starts
        with Stream(ann, begin) as stream:
            assert stream.seen(tokens[-1]).revisions == tokens[1:]
        for _ in range(2):
            for token in tokens:
                assert not any(hasattr(each, "code") for each in reads(ann, workspace, "ann", token)), token
                with Stream(ann, token) as stream:
                    assert stream.started == token
            server.server.replica.load()  # as a server that starts does
        for token in tokens:
            wrong = token.rpartition(".")[0] if token.count(".") == 2 else f"{token}.00000000"
            assert refusal_of(ann, workspace, wrong) == [UNKNOWN] * 3


def old_version_writes(server: Serving, name: str) -> int:
    """Write as the version before does beside this server, which is given time to follow; return the revision."""
    database = Database(server.database_url)
    changed = (
        "INSERT INTO changes (revision, ordinal, kind, \"values\", created_at) VALUES (:at, 0, 'user', :values, :now)"
    )
    with database.write() as connection:
        connection.execute(text(BEFORE))
        value = int(connection.execute(text("SELECT value FROM revision")).scalar_one())
        values = {"at": value, "values": f'{{"id": "{name}", "is_active": true}}', "now": "2026-01-01 00:00:00"}
        connection.execute(text(changed), values)
    database.close()
    server.server.replica.catch_up()
    assert server.server.replica.revision.value == value
    return value


def test_a_new_epoch_makes_every_token_unknown_and_is_audited(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSAUTHZ_DATABASE_URL", url)
    with serving(url) as server:
        ann = server.client("ann")
        workspace = workspace_of(ann)
        before = user(ann, "bob")
        with Stream(ann) as stream:
            outcome = Run(url)("db", "new-epoch")
            refused = stream.end()  # of the server that runs
        assert (refused.code, refused.reason) == UNKNOWN
        assert outcome.status == 0
        epoch = server.server.replica.revision.epoch
        assert outcome.out.startswith(f"The epoch is {epoch}, it was {before.partition('.')[0]}.")
        assert refusal_of(ann, workspace, before) == [UNKNOWN] * 3
        after = user(ann, "cleo")
        assert after.startswith(f"{epoch}.")
        assert not any(hasattr(each, "code") for each in reads(ann, workspace, "ann", after))
        with server.server.database.read() as connection:
            audited = text("SELECT caller, target_id FROM audit_entries WHERE method = 'db/new-epoch'")
            ((caller, target),) = connection.execute(audited).all()
        assert (caller.startswith("cli:"), target) == (True, before.partition(".")[0])
