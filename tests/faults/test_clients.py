"""Clients that are idle, slow, too many, or gone: nobody else notices, and nothing of theirs stays behind."""

import random
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final

import grpc
import psutil
import pytest
from sqlalchemy import select

from tests.faults.load import OK, Told, question, tell, workspace_of
from tests.faults.site import weakened
from tests.serving import BUNDLES, Client, ServerProcess
from tests.wholeness import whole_revisions
from wsauthz.store.database import Database
from wsauthz.store.tables import audit_entries, memberships
from wsauthz.transport.limits import MOST_CONNECTIONS
from wsauthz.v1 import memberships_pb2

HANDSHAKE_SECONDS: Final = 10
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
IDLE: Final = 200
PATIENCE_SECONDS: Final = 2.0
CHANNELS: Final = 3
AT_ONCE: Final = 2_100
CANCELLED: Final = 200
WRITERS: Final = 8


@pytest.fixture
def server(sqlite_url: str) -> Iterator[ServerProcess]:
    with ServerProcess(sqlite_url, BUNDLES / "dam") as process:
        yield process


def handle(process: ServerProcess) -> psutil.Process:
    """Return a server's process to look at."""
    assert process.process is not None
    return psutil.Process(process.process.pid)


# --- idle and slow ----------------------------------------------------------------------------------------------------


@contextmanager
def sockets(process: ServerProcess, count: int) -> Iterator[list[socket.socket]]:
    """Open connections to a server that say nothing by themselves."""
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            each = stack.enter_context(socket.socket(socket.AF_UNIX))
            each.settimeout(PATIENCE_SECONDS)
            each.connect(str(process.folder / "socket"))
            opened.append(each)
        yield opened


def is_open(connection: socket.socket) -> bool:
    """Tell whether the server has not closed a connection."""
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    return False


def among_the_idle(process: ServerProcess, seconds: int) -> tuple[list[Told], int]:
    """Ask while half of many other connections are idle and half send a byte a second.

    Returns:
        What was answered, and how many of those others are open at the end.

    """
    ann = process.client("ann")
    request = question(workspace_of(ann), "ann")
    told = []
    with sockets(process, IDLE) as others:
        for second in range(seconds):
            for each in others[::2]:
                if second < len(PREFACE) and is_open(each):
                    each.send(PREFACE[second : second + 1])
            until = time.monotonic() + 1
            while time.monotonic() < until:
                with grpc.insecure_channel(process.address) as channel:  # a new connection every time
                    told.append(tell(Client(channel).authorization.Check, request, timeout=PATIENCE_SECONDS))
        return told, sum(map(is_open, others))


def test_idle_and_slow_connections_keep_nobody_waiting(server: ServerProcess) -> None:
    told, _ = among_the_idle(server, 2)
    assert {call.code for call in told} == {OK}


@pytest.mark.faults
def test_a_connection_that_does_not_come_to_the_point_is_closed(server: ServerProcess) -> None:
    before = handle(server).num_fds()
    told, left = among_the_idle(server, HANDSHAKE_SECONDS + 3)
    assert {call.code for call in told} == {OK}
    assert left == 0
    assert handle(server).num_fds() < before + IDLE / 10


@pytest.mark.faults
def test_without_a_limit_on_the_handshake_it_stays(sqlite_url: str) -> None:
    with ServerProcess(sqlite_url, BUNDLES / "dam", **weakened("handshake")) as process:
        assert among_the_idle(process, HANDSHAKE_SECONDS + 3)[1] == IDLE


# --- too many ---------------------------------------------------------------------------------------------------------


def connections_taken(process: ServerProcess) -> int:
    """Open more connections than a server takes, see that calls on one there was are answered; how many are left."""
    ann = process.client("ann")
    request = question(workspace_of(ann), "ann")
    with sockets(process, MOST_CONNECTIONS + 100) as others:
        told = [tell(ann.authorization.Check, request, timeout=PATIENCE_SECONDS) for _ in range(50)]
        assert {call.code for call in told} == {OK}
        until = time.monotonic() + PATIENCE_SECONDS  # which the server may take to get round to the last ones
        while (taken := sum(map(is_open, others))) > MOST_CONNECTIONS and time.monotonic() < until:
            time.sleep(0.1)
        return taken


def test_there_are_only_so_many_connections(server: ServerProcess) -> None:
    assert connections_taken(server) <= MOST_CONNECTIONS
    with grpc.insecure_channel(server.address) as channel:  # those are gone, and there is room again
        asked = Client(channel).authorization.Check
        assert tell(asked, question("nowhere", "ann"), timeout=10, wait_for_ready=True).code == OK


@pytest.mark.faults
def test_without_a_limit_there_are_as_many_as_come(sqlite_url: str) -> None:
    with ServerProcess(sqlite_url, BUNDLES / "dam", **weakened("connections")) as process:
        assert connections_taken(process) == MOST_CONNECTIONS + 100


def codes_at_once(process: ServerProcess) -> Counter[str]:
    """Make many calls of a server that stands still, so that all have arrived when it goes on; how they ended."""
    request = question(workspace_of(process.client("ann")), "ann")
    with ExitStack() as stack:
        channels = [
            stack.enter_context(grpc.insecure_channel(process.address, (("grpc.use_local_subchannel_pool", 1),)))
            for _ in range(CHANNELS)
        ]
        asked: list[Any] = [Client(channel).authorization.Check for channel in channels]
        assert {tell(check, request).code for check in asked} == {OK}
        handle(process).suspend()
        calls = [check.future(request, timeout=30) for check in asked for _ in range(AT_ONCE // CHANNELS)]
        time.sleep(1)
        handle(process).resume()
        return Counter(call.code().name for call in calls)


def test_more_calls_at_once_than_ten_times_a_peaks_are_all_answered(server: ServerProcess) -> None:
    assert codes_at_once(server) == {OK: AT_ONCE}


@pytest.mark.faults
def test_with_the_usual_limit_on_waiting_calls_some_are_cancelled(sqlite_url: str) -> None:
    with ServerProcess(sqlite_url, BUNDLES / "dam", **weakened("pending")) as process:
        codes = codes_at_once(process)
    assert codes.keys() == {OK, "CANCELLED"}


# --- gone -------------------------------------------------------------------------------------------------------------


def cancel_writes(process: ServerProcess, workspace: str, names: str) -> None:
    """Make writes that are cancelled, or run out of time, somewhere on their way."""
    chance = random.Random(3)
    client = process.client("ann")
    client.mirror(*(f"{names}-{number}" for number in range(CANCELLED)))

    def add(number: int, seconds: float, *, cancels: bool) -> None:
        request = memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=f"{names}-{number}")
        add_member: Any = client.memberships.AddMember
        if cancels:
            made = add_member.future(request)
            time.sleep(seconds)
            made.cancel()
        else:
            tell(add_member, request, timeout=seconds)

    with ThreadPoolExecutor(WRITERS) as pool:
        for each in [
            pool.submit(add, number, chance.random() * 0.03, cancels=chance.random() < 0.5)
            for number in range(CANCELLED)
        ]:
            each.result()


@pytest.mark.parametrize(("kind", "transport"), [("sqlite", "native"), ("postgresql", "grpcio")])
def test_a_write_whose_caller_is_gone_is_whole_or_absent_and_leaves_no_thread_nor_connection(
    request: pytest.FixtureRequest, kind: str, transport: str
) -> None:
    database_url = request.getfixturevalue(f"{kind}_url")
    with ServerProcess(database_url, BUNDLES / "dam", WSAUTHZ_TRANSPORT=transport) as process:
        workspace = workspace_of(process.client("ann"))
        cancel_writes(process, workspace, "before")  # now every thread and connection there may be is there
        before = handle(process).num_threads(), handle(process).num_fds()
        written = written_revisions(database_url)
        cancel_writes(process, workspace, "user")
        time.sleep(0.5)
        after = handle(process).num_threads(), handle(process).num_fds()
        assert after[0] <= before[0] + 1
        assert after[1] <= before[1] + 1
        process.client("ann").mirror("somebody-else")
        last = memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id="somebody-else")
        assert tell(process.client("ann").memberships.AddMember, last).code == OK
    assert written_revisions(database_url) >= written + 1


def written_revisions(url: str) -> int:
    """Return how many writes there were; each is whole: its member, its change and its line in the audit log."""
    with closing(Database(url)) as database, database.read() as connection:
        added = select(audit_entries.c.target_id).where(
            audit_entries.c.method == "MembershipService/AddMember", audit_entries.c.revision.is_not(None)
        )
        there = select(memberships.c.id).where(memberships.c.user_id != "ann")
        assert sorted(connection.execute(added).scalars()) == sorted(connection.execute(there).scalars())
        return whole_revisions(connection)
