"""The end of the audit in logs and metrics, and a server that notices when it goes back."""

import logging

import pytest
from prometheus_client import generate_latest

from tests.audited import until
from tests.rpc.tenants import Tenants
from tests.serving import BUNDLES, Serving
from wsauthz.replica import audit_head
from wsauthz.store import audit_verification, tables
from wsauthz.store.audit_verification import Head
from wsauthz.store.database import Database


def head_of(database_url: str) -> Head:
    database = Database(database_url)
    with database.read() as connection:
        found = audit_verification.head(connection)
    database.close()
    return found


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(record.audit_head) for record in caplog.records if record.message == "audit head"]  # type: ignore[attr-defined]


def series(server: Serving, name: str) -> float:
    lines = generate_latest(server.server.metrics.registry).decode().splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), -1.0)


def test_the_head_is_logged_while_the_server_runs_and_when_it_stops(
    database_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_head, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(audit_head, "LOG_SECONDS", 0.1)
    caplog.set_level(logging.INFO)
    with Serving(database_url, BUNDLES / "dam") as server:
        tenants = Tenants(server)
        tenants.user()
        until(lambda: head_of(database_url).token in logged(caplog))
        caplog.clear()
        tenants.user()
        newest = head_of(database_url)
        until(lambda: series(server, "wsauthz_audit_entries") == newest.count)
        assert series(server, "wsauthz_audit_head") == int(newest.mac[:13], 16)
        monkeypatch.setattr(audit_head, "LOOK_SECONDS", 3600)
        tenants.workspace(tenants.user())
    assert logged(caplog)[-1] == head_of(database_url).token
    assert series(server, "wsauthz_audit_regressions_total") == 0


@pytest.mark.parametrize("change", ["cut", "replaced"])
def test_a_running_server_says_that_the_audit_went_back(
    database_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(audit_head, "LOOK_SECONDS", 0.05)
    with Serving(database_url, BUNDLES / "dam") as server:
        Tenants(server).user()
        before = head_of(database_url)
        until(lambda: series(server, "wsauthz_audit_entries") == before.count)
        count, mac = (before.count, "ff" * 32) if change == "replaced" else (before.count - 1, before.mac)
        database = Database(database_url)
        with database.write() as connection:
            connection.execute(tables.revision.update().values(audit_count=count, audit_head=mac))
        database.close()
        until(lambda: series(server, "wsauthz_audit_regressions_total") == 1)
    assert any("the audit has lost entries" in record.message for record in caplog.records)


def test_it_is_logged_every_hour() -> None:
    assert (audit_head.LOG_SECONDS, audit_head.LOOK_SECONDS) == (3600, 10)
