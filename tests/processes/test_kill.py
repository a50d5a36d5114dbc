"""SIGKILL in the middle of writes: acknowledged is durable, the rest is all or nothing (reliability.md section 3)."""

import contextlib
import random
import sys
import threading
import time

import grpc
import pytest
import sqlalchemy

from tests.serving import BUNDLES, Client, ServerCommand, ServerProcess
from tests.wholeness import whole_revisions
from wsauthz.store.database import Database
from wsauthz.store.tables import memberships
from wsauthz.v1 import memberships_pb2, users_pb2, workspaces_pb2

READY_SECONDS = 5.0
WRITERS = 4


class Writers:
    """Threads that add members as fast as they can, and remember who was acknowledged."""

    def __init__(self, process: ServerProcess, workspace_id: str, names: str) -> None:
        self.acknowledged: set[str] = set()
        self._stop = threading.Event()
        self._channel = grpc.insecure_channel(process.address)
        self._client = Client(self._channel, "ann")
        self._threads = [
            threading.Thread(target=self._write, args=(workspace_id, f"{names}-{number}")) for number in range(WRITERS)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Stop writing."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._channel.close()

    def _write(self, workspace_id: str, names: str) -> None:
        number = 0
        while not self._stop.is_set():
            user = f"{names}-{number}"
            request = memberships_pb2.AddMemberRequest(workspace_id=workspace_id, user_id=user)
            with contextlib.suppress(grpc.RpcError):
                self._client.mirror(user)
                self._client.memberships.AddMember(request)
                self.acknowledged.add(user)
            number += 1


def prepare(client: Client) -> tuple[str, str]:
    """Create a workspace in a new organization, so that a member is two rows; return both ids."""
    client.users.UpsertUser(users_pb2.UpsertUserRequest(user_id="ann"))
    created = client.workspaces.CreateWorkspace(
        workspaces_pb2.CreateWorkspaceRequest(name="North", new_organization=workspaces_pb2.NewOrganization())
    )
    return created.workspace.id, created.organization.id


def check_database(url: str, workspace_id: str, organization_id: str, acknowledged: set[str]) -> None:
    """Assert that every acknowledged member is there, and that nothing is there by half."""
    database = Database(url)
    try:
        with database.read() as connection:

            def users_of(column: sqlalchemy.ColumnElement[str | None], place: str) -> set[str]:
                rows = connection.execute(sqlalchemy.select(memberships.c.user_id).where(column == place))
                return set(rows.scalars())

            inside = users_of(memberships.c.workspace_id, workspace_id)
            assert acknowledged <= inside
            assert users_of(memberships.c.organization_id, organization_id) == inside
            whole_revisions(connection)
    finally:
        database.close()


def kill_repeatedly(database_url: str, times: int) -> tuple[int, float]:
    """Kill a writing server this often; return how many writes were acknowledged and the slowest start."""
    chance = random.Random(7)
    acknowledged: set[str] = set()
    slowest = 0.0
    with ServerCommand(database_url, BUNDLES / "dam") as process:
        workspace_id, organization_id = prepare(process.client("ann"))
        for round_number in range(times):
            writers = Writers(process, workspace_id, f"round{round_number}")
            time.sleep(0.05 + chance.random() * 0.5)
            process.kill()
            writers.join()
            acknowledged |= writers.acknowledged
            slowest = max(slowest, process.start())
            check_database(database_url, workspace_id, organization_id, acknowledged)
    return len(acknowledged), slowest


def test_killing_a_writing_server_loses_nothing_and_halves_nothing(database_url: str) -> None:
    written, _ = kill_repeatedly(database_url, 1)
    assert written > 0


@pytest.mark.soak
def test_killing_a_writing_server_fifty_times(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    written, slowest = kill_repeatedly(database_url, 50)
    with capsys.disabled():
        sys.stdout.write(f"\n50 kills, {written} acknowledged writes, none lost; slowest start {slowest:.2f} s\n")
    assert written > 0
    assert slowest < READY_SECONDS
