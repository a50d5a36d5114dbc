"""Another server becomes the database: a standby that is promoted, or a dump that is restored."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy.engine import make_url

from tests.faults.load import OK, question, tell, workspace_of
from tests.faults.proxy import Proxy
from tests.faults.replicas import Replica, replicas
from tests.faults.site import weakened
from tests.postgres import PostgresServer, connect
from tests.serving import BUNDLES, ServerProcess
from wsauthz.model.errors import Unavailable
from wsauthz.store import revisions
from wsauthz.store.database import Database
from wsauthz.store.migrations import upgrade
from wsauthz.v1 import memberships_pb2, users_pb2

BACK_SECONDS: Final = 10.0
DETECTED_SECONDS: Final = 5.0


class Standby(PostgresServer):
    """A copy of another server that follows it until it is promoted."""

    def __init__(self, primary: PostgresServer) -> None:
        """Prepare; the primary must run."""
        super().__init__(hot_standby="on")
        self._password = primary._password
        self._primary = primary

    def promote(self) -> None:
        """Make it a primary, and return when it is one."""
        self.execute("SELECT pg_promote(true, 60)")

    def _initdb(self) -> None:
        """Copy the primary as it runs."""
        copy: list[str | Path] = [
            self._binaries / "pg_basebackup",
            "-D",
            self.folder / "data",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        ]
        source: list[str | Path] = ["-h", self._primary.folder, "-p", str(self._primary.port), "-U", "postgres"]
        if self._account:
            os.chown(self.folder, self._account["user"], self._account["group"])
        subprocess.run([*copy, *source], check=True, cwd=self.folder, **self._account)


@contextmanager
def pair() -> Iterator[tuple[PostgresServer, Standby]]:
    """Give a primary with our schema and a standby that follows it."""
    with PostgresServer(wal_level="replica", max_wal_senders=4) as primary:
        upgrade(primary.url())
        with Standby(primary) as standby:
            yield primary, standby


def add(process: ServerProcess | Replica, workspace: str, user: str) -> Any:
    """Mirror somebody and add them, whatever comes of it."""
    mirrored = tell(process.client("ann").users.UpsertUser, users_pb2.UpsertUserRequest(user_id=user))
    if mirrored.code != OK:
        return mirrored
    request = memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=user)
    return tell(process.client("ann").memberships.AddMember, request)


def must_add(process: ServerProcess | Replica, workspace: str, user: str) -> str:
    """Add a member, again if the server is slow or does not know the workspace yet, and return the revision."""
    deadline = time.monotonic() + BACK_SECONDS
    while (told := add(process, workspace, user)).code != OK:
        assert time.monotonic() < deadline, told.code
        time.sleep(0.1)
    return str(told.answer.revision)


def value_at(url: str) -> Any:
    """Return the revision that a server has."""
    with connect(url) as connection:
        row = connection.execute("SELECT value FROM revision").fetchone()
    return row and row[0]


def wait_until_copied(primary: PostgresServer, standby: Standby) -> None:
    """Wait until the standby has everything."""
    deadline = time.monotonic() + BACK_SECONDS
    while value_at(standby.url()) != value_at(primary.url()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def seconds_until_written(process: ServerProcess, workspace: str, since: float) -> float:
    """Write until it is done, and return when that was."""
    number = 0
    while add(process, workspace, f"late{number}").code != OK:
        number += 1
        assert time.monotonic() - since < 6 * BACK_SECONDS
        time.sleep(0.02)
    return time.monotonic() - since


def both(primary: PostgresServer, standby: Standby) -> str:
    """Return a URL with both servers in it, the primary first."""
    ports = f"{primary.port},{standby.port}"
    url = make_url(primary.url(tcp=True)).set(host=None, port=None)
    return url.update_query_dict({"host": "127.0.0.1,127.0.0.1", "port": ports}).render_as_string(hide_password=False)


def test_a_standby_is_not_written_to_and_is_back_when_promoted(capsys: pytest.CaptureFixture[str]) -> None:
    with pair() as (primary, standby):
        with closing(Database(standby.url())) as database:
            with pytest.raises(Unavailable), database.write() as connection:
                revisions.advance(connection)
            with pytest.raises(Unavailable), database.read() as connection:
                revisions.current(connection)
        with (
            Proxy(primary.port) as proxy,
            ServerProcess(_at(primary, proxy.port), BUNDLES / "dam", WSAUTHZ_STALE_SECONDS="2") as moved,
            ServerProcess(both(primary, standby), BUNDLES / "dam") as knowing,
        ):
            workspace = workspace_of(moved.client("ann"))
            must_add(knowing, workspace, "before")
            wait_until_copied(primary, standby)
            proxy.point_at(standby.port)  # too early: it is a standby still
            time.sleep(2.5)
            assert add(moved, workspace, "lost").code == "UNAVAILABLE"
            # What a standby says does not make old answers fresh.
            assert tell(moved.client().authorization.Check, question(workspace, "ann")).code == "UNAVAILABLE"
            primary.kill()
            standby.promote()
            promoted = time.monotonic()
            seconds = [seconds_until_written(each, workspace, promoted) for each in (moved, knowing)]
            with capsys.disabled():
                sys.stdout.write(f"\nwrites are back {seconds[0]:.2f} and {seconds[1]:.2f} s after the promotion\n")
            assert max(seconds) < BACK_SECONDS
            assert tell(moved.client().authorization.Check, question(workspace, "before")).allowed


@pytest.mark.faults
def test_without_looking_a_standby_is_taken_for_the_database() -> None:
    with (
        pair() as (primary, standby),
        Proxy(primary.port) as proxy,
        ServerProcess(
            _at(primary, proxy.port, target_session_attrs="any"),
            BUNDLES / "dam",
            WSAUTHZ_STALE_SECONDS="2",
            **weakened("standby"),
        ) as moved,
    ):
        workspace = workspace_of(moved.client("ann"))
        wait_until_copied(primary, standby)
        proxy.point_at(standby.port)
        time.sleep(2.5)
        assert tell(moved.client().authorization.Check, question(workspace, "ann")).code == OK


def _at(server: PostgresServer, port: int, **query: str) -> str:
    url = make_url(server.url(tcp=True)).set(port=port).update_query_dict(query)
    return url.render_as_string(hide_password=False)


def restored(tmp_path: Path, without: str = "") -> tuple[float, list[str], list[bool]]:
    """Restore an older dump under running replicas, as an operator does.

    Returns:
        After how many seconds the last replica had noticed; what it says to tokens from before; and whether it allows
        what only the lost future allowed.

    """
    with PostgresServer() as server:
        server.execute("CREATE DATABASE wsauthz")
        url = server.url("wsauthz")
        upgrade(url)
        with replicas(url, 2, without=without) as group:
            a, b = group
            ann = a.client("ann")
            workspace = workspace_of(ann)
            dump = tmp_path / "dump"
            tools = server._binaries
            where: list[str | Path] = ["-h", server.folder, "-p", str(server.port), "-U", "postgres"]
            subprocess.run([tools / "pg_dump", *where, "-Fc", "-f", dump, "wsauthz"], check=True)
            lost = [must_add(a, workspace, f"lost{number}") for number in range(5)]
            assert tell(b.client().authorization.Check, question(workspace, "lost4", lost[-1])).allowed
            command = [tools / "pg_restore", *where, "--clean", "--if-exists", "--single-transaction", "-d", "wsauthz"]
            subprocess.run([*command, dump], check=True, stderr=subprocess.PIPE)
            since = time.monotonic()
            noticed = since
            while time.monotonic() < since + DETECTED_SECONDS:
                asked = [tell(each.client().authorization.Check, question(workspace, "lost4")) for each in group]
                if any(each.allowed for each in asked):
                    noticed = time.monotonic()
                time.sleep(0.05)
            for number in range(6):
                must_add(a, workspace, f"new{number}")
            codes = [
                tell(each.client().authorization.Check, question(workspace, "ann", token), timeout=3).code
                for each in group
                for token in (lost[0], lost[-1])
            ]
            time.sleep(1)
            allowed = [
                tell(each.client().authorization.Check, question(workspace, f"lost{number}")).allowed
                for each in group
                for number in range(5)
            ]
            return noticed - since, codes, allowed


def test_a_restored_dump_is_noticed_and_nothing_of_the_lost_future_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds, codes, allowed = restored(tmp_path)
    with capsys.disabled():
        sys.stdout.write(f"\nthe restored dump was noticed after {seconds:.2f} s\n")
    assert seconds < DETECTED_SECONDS - 1
    assert codes == ["FAILED_PRECONDITION"] * 4
    assert not any(allowed)


@pytest.mark.faults
def test_without_a_new_epoch_old_tokens_are_known_by_their_digests(tmp_path: Path) -> None:
    _, codes, _ = restored(tmp_path, without="epoch")
    assert codes == ["FAILED_PRECONDITION"] * 4


@pytest.mark.faults
def test_without_a_new_epoch_and_digests_old_tokens_are_taken_for_new_ones(tmp_path: Path) -> None:
    _, codes, allowed = restored(tmp_path, without="epoch,digests")
    assert set(codes) != {"FAILED_PRECONDITION"} or any(allowed)
