"""The log says why the database fails, once for each cause, and when and why readiness is lost and regained."""

import json
import time
from collections.abc import Callable
from typing import Any, Final

import pytest
from sqlalchemy.engine import make_url

from tests.faults.load import OK, question, tell, workspace_of
from tests.postgres import PostgresServer, execute
from tests.serving import BUNDLES, READY_SECONDS, Client, ServerProcess
from wsauthz.store.migrations import upgrade
from wsauthz.v1 import users_pb2

PASSWORD: Final = "canary-51b7"
PAST_STALE: Final = {"WSAUTHZ_STALE_SECONDS": "5"}


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    """Return the URL of a migrated database, for a role that is no superuser and has the password."""
    postgres_server.execute(f"CREATE ROLE ann LOGIN PASSWORD '{PASSWORD}'")
    postgres_server.execute("CREATE DATABASE app OWNER ann")
    there = make_url(postgres_server.url("app", tcp=True)).set(username="ann", password=PASSWORD)
    upgrade(there.render_as_string(hide_password=False))
    return there.render_as_string(hide_password=False)


@pytest.fixture
def postgres_server() -> Any:
    """Give a server that may be stopped."""
    with PostgresServer() as server:
        yield server


def entries(process: ServerProcess, message: str) -> list[dict[str, Any]]:
    """Return the entries of the log with a message."""
    lines = (json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{"))
    return [entry for entry in lines if message in entry["message"]]


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def write(client: Client) -> str:
    """Create a user and return the code."""
    return tell(client.users.UpsertUser, users_pb2.UpsertUserRequest(user_id="bob")).code


def test_an_outage_is_explained_once_for_each_cause(postgres_server: PostgresServer, url: str) -> None:
    with ServerProcess(url, BUNDLES / "dam", **PAST_STALE) as process:
        client = process.client("ann")
        workspace = workspace_of(client)
        postgres_server.stop()
        wait_for(lambda: write(client) == "UNAVAILABLE" and entries(process, "failed a call"))
        wait_for(lambda: entries(process, "not ready"))
        assert tell(client.authorization.Check, question(workspace, "ann")).code == "UNAVAILABLE"
        postgres_server.start()
        wait_for(lambda: len(entries(process, "ready")) == 3)  # at start, lost, regained
        assert write(client) == OK
        polls, calls, (lost,) = (
            entries(process, message) for message in ("polling the database failed", "failed a call", "not ready")
        )
        assert entries(process, "the database answers again")
        assert lost["reason"].startswith("the database has not been reached for 5 s: ")
        assert lost["reason"].removeprefix("the database has not been reached for 5 s: ") in {
            entry["cause"] for entry in polls
        }
        for causes in ([entry["cause"] for entry in polls], [entry["cause"] for entry in calls]):
            assert causes
            assert all(causes)
            assert len(set(causes)) == len(causes)
        assert PASSWORD not in process.log.read_text()


def test_a_missing_grant_is_explained(postgres_server: PostgresServer, url: str) -> None:
    with ServerProcess(url, BUNDLES / "dam") as process:
        client = process.client("ann")
        workspace = workspace_of(client)
        execute(url, "REVOKE INSERT ON users FROM ann")
        assert write(client) == "UNAVAILABLE"
        assert write(client) == "UNAVAILABLE"
        (entry,) = entries(process, "the database failed a call")
        assert entry["cause"].startswith("permission denied for table users: GRANT ")
        assert tell(client.authorization.Check, question(workspace, "ann")).allowed
