"""The file of an SQLite database cannot be written to: a clean error, reads go on, and it passes without a restart."""

import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy.engine import make_url

from tests.faults.load import OK, Told, question, tell, workspace_of
from tests.serving import BUNDLES, Client, ServerProcess
from wsauthz.v1 import memberships_pb2

WRITE_SECONDS = 3.0
TRIES = 2


@contextmanager
def full(process: ServerProcess, _url: str) -> Iterator[None]:
    """Let no file of a server grow any more, its log among them."""
    assert process.process is not None
    pid = process.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def locked(_process: ServerProcess, url: str) -> Iterator[None]:
    """Have another process write and not come to an end."""
    with closing(sqlite3.connect(str(make_url(url).database), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def write(client: Client, workspace: str, user: str) -> Told:
    """Add a member."""
    return tell(client.memberships.AddMember, memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=user))


@pytest.mark.parametrize("fault", [full, locked])
def test_writes_are_unavailable_reads_go_on_and_it_passes(sqlite_url: str, fault: object) -> None:
    assert callable(fault)
    with ServerProcess(sqlite_url, BUNDLES / "dam") as process:
        client = process.client("ann")
        workspace = workspace_of(client)
        client.mirror(*(f"user{number}" for number in range(TRIES)))
        members = memberships_pb2.ListMembersRequest(workspace_id=workspace)
        with fault(process, sqlite_url):
            for number in range(TRIES):
                told = write(client, workspace, f"user{number}")
                assert told.code == "UNAVAILABLE"
                assert told.seconds < WRITE_SECONDS
                assert tell(client.authorization.Check, question(workspace, "ann")).allowed
                assert tell(client.memberships.ListMembers, members).code == OK
        began = time.monotonic()
        while (told := write(client, workspace, "user0")).code != OK:
            assert time.monotonic() < began + WRITE_SECONDS, told
        there = {each.membership.user_id for each in client.memberships.ListMembers(members).members}
        assert there == {"ann", "user0"}  # nothing of what was refused
