"""Every task that a server runs in the background is started again when it ends, and that it ended is known."""

import asyncio
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rpc.bundles import copy_bundle
from tests.serving import Serving
from wsauthz import metrics
from wsauthz.replica import background
from wsauthz.store.database import Database
from wsauthz.store.deadlines import Watchdog
from wsauthz.v1.policy_pb2 import GetPolicyInfoRequest
from wsauthz.v1.users_pb2 import UpsertUserRequest

SECONDS = 30.0
SOURCE = Path(background.__file__).parents[1]


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RESTART_SECONDS", 0.0)


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Serving]:
    """Return a server with metrics, on a bundle of its own."""
    with Serving(
        database_url, copy_bundle("dam", tmp_path), metrics_listen="127.0.0.1:0", poll_seconds=0.05
    ) as serving:
        yield serving


def names(server: Serving) -> list[str]:
    """Return the names of all background tasks, as the source has them: a new one is tested by itself."""
    found = {name for path in SOURCE.rglob("*.py") for name in re.findall(r'keep_running\("(\w+)"', path.read_text())}
    assert len(found) > 8
    return sorted(found - {"listen"} if is_sqlite(server) else found)


def is_sqlite(server: Serving) -> bool:
    return server.server.database.is_sqlite


def end_once(server: Serving, name: str) -> None:
    """End the task of that name, and wait until it was counted and runs again."""
    until(lambda: server.run(is_running(name)), f"{name} does not run")
    before = metrics.background_ends[name]
    server.run(end(name))
    until(lambda: metrics.background_ends[name] == before + 1, f"{name} was not counted")
    until(lambda: server.run(is_running(name)), f"{name} was not started again")


async def end(name: str) -> None:
    """End the running task of that name, as an error in it would."""
    for task in asyncio.all_tasks():
        if task.get_name() == name:
            task.cancel()


async def is_running(name: str) -> bool:
    return any(task.get_name() == name and not task.done() for task in asyncio.all_tasks())


def test_a_task_that_ends_is_logged_counted_and_started_again(
    server: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    for name in names(server):
        end_once(server, name)
    logged = {record.__dict__["task"] for record in caplog.records if "background task" in record.message}
    assert logged == set(names(server))
    with urllib.request.urlopen(f"http://127.0.0.1:{port(server)}/metrics", timeout=10) as answer:
        series = re.findall(r'wsauthz_background_task_ends_total\{task="(\w+)"\} ([0-9.]+)', answer.read().decode())
    assert set(names(server)) <= {name for name, count in series if float(count) > 0}


def port(server: Serving) -> int:
    scrapes = server.server._scrapes
    assert scrapes is not None
    return scrapes.port


def test_after_all_of_them_have_ended_a_server_does_all_that_it_did(server: Serving, database_url: str) -> None:
    for name in names(server):
        end_once(server, name)
    client = server.client("ann")
    with Serving(database_url, server.policy) as other:
        other.client("ann").users.UpsertUser(UpsertUserRequest(user_id="ann"))
    until(lambda: "ann" in server.server.replica.facts.users, "another server's write did not arrive")
    version = client.policy.GetPolicyInfo(GetPolicyInfoRequest()).version
    rules = server.policy / "policy.csv"
    rules.write_text(rules.read_text() + "# changed\n")
    until(lambda: client.policy.GetPolicyInfo(GetPolicyInfoRequest()).version != version, "the bundle is not read")


def test_the_thread_that_answers_scrapes_is_started_again(server: Serving) -> None:
    scrapes = server.server._scrapes
    assert scrapes is not None
    before = metrics.background_ends["scrapes"]
    scrapes._servers[0][0].shutdown()  # as whatever ends its loop
    until(lambda: metrics.background_ends["scrapes"] > before, "it was not counted")
    with urllib.request.urlopen(f"http://127.0.0.1:{scrapes.port}/metrics", timeout=10) as answer:
        assert answer.status == 200


def test_the_thread_that_cuts_connections_off_survives_an_error(
    postgresql_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without it a stalled database would hold a thread for ever."""
    database = Database(postgresql_url, wait_seconds=1)
    try:
        with database.read():
            pools = [found for found in vars(database).values() if hasattr(found, "_watchdog")]
            watchdog: Watchdog = next(pool._watchdog for pool in pools if pool._watchdog._watches)
            before = metrics.background_ends["deadlines"]

            class Broken:
                closed = False

                @property
                def cut_at(self) -> float:
                    raise ZeroDivisionError

            broken = Broken()
            watchdog._watches.add(broken)  # type: ignore[arg-type]  # that is the error
            until(lambda: metrics.background_ends["deadlines"] > before, "it was not counted")
            broken.closed = True
            assert watchdog._thread is not None
            assert watchdog._thread.is_alive()
    finally:
        database.close()


def test_nothing_else_is_started_in_the_background() -> None:
    """What is started by other means would end without anybody's knowing."""
    started = {
        f"{path.relative_to(SOURCE)}: {found}"
        for path in SOURCE.rglob("*.py")
        for found in re.findall(r"create_task\(|threading\.Thread\(", path.read_text())
    }
    assert started == {
        "replica/background.py: create_task(",
        "metrics.py: threading.Thread(",  # what answers scrapes
        "store/deadlines.py: threading.Thread(",  # what cuts connections off
        "transport/native.py: create_task(",  # while stopping
    }


def test_stopping_ends_a_task_that_has_lost_its_cancellation() -> None:
    """A driver may lose one that comes together with a notification."""
    cancelled: list[BaseException] = []

    async def deaf() -> None:
        while len(cancelled) < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                cancelled.append(error)

    async def run() -> None:
        task = background.keep_running("deaf", deaf)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await background.stop(task)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(background, "_CANCEL_AGAIN_SECONDS", 0.01)
        asyncio.run(run())
    assert len(cancelled) == 2
