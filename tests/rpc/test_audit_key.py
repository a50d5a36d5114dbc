"""WSAUTHZ_AUDIT_KEY in a running server and in commands."""

import grpc
import pytest

from tests import audited
from tests.cli.running import Run
from tests.rpc.filling import fill, state_of
from tests.rpc.tenants import STATE, Tenants
from tests.serving import BUNDLES, Serving, on_loop, refusal
from wsauthz.model.errors import AuditKeyMissing
from wsauthz.policy.bundle import read_bundle
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.server import Server
from wsauthz.store.audit_keys import AuditKeys
from wsauthz.v1 import audit_pb2, users_pb2

KEY, NEXT = "k" * 32, "n" * 32


@pytest.fixture
def url(database_url: str) -> str:
    """Return a database with an operator."""
    fill(database_url, state_of(STATE), read_bundle(BUNDLES / "dam", core_vocabulary()).catalog)
    return database_url


def verify(tenants: Tenants) -> audit_pb2.VerifyAuditResponse:
    return tenants.operator.audit.VerifyAudit(audit_pb2.VerifyAuditRequest())


def test_everything_is_signed_from_the_start_and_the_answer_says_what_that_proves(url: str) -> None:
    with Serving(url, BUNDLES / "dam") as server:
        Tenants(server).user()
    before = len(audited.entries(url))
    with Serving(url, BUNDLES / "dam", audit_key=KEY) as server:
        tenants = Tenants(server)
        adopted = audited.entries(url, target_kind="audit_key")
        assert [(each.number, each.method, each.after["key"]) for each in adopted] == [
            (before + 1, "audit/key", AuditKeys([KEY]).ids[0])
        ]
        tenants.workspace(tenants.user())
        found = verify(tenants)
        assert (found.problem, found.unverifiable) == ("", 0)
        assert any(
            each.startswith(f"Entries that are signed with the key in the database: {before};")
            for each in found.promises
        )
        listed = tenants.operator.audit.ListAuditEntries(audit_pb2.ListAuditEntriesRequest()).entries
        assert listed[0].key_id == AuditKeys([KEY]).ids[0]
    with Serving(url, BUNDLES / "dam", audit_key=f"{NEXT},{KEY}"):
        pass
    with Serving(url, BUNDLES / "dam", audit_key=NEXT) as server:
        found = verify(Tenants(server))
        assert found.problem == ""
        assert found.unverifiable == found.count - before - 1
        assert any("Unverifiable" in promise for promise in found.promises)


def test_a_server_without_the_key_does_not_start_and_one_that_runs_writes_nothing(url: str) -> None:
    with Serving(url, BUNDLES / "dam") as without:
        tenants = Tenants(without)
        tenants.user()
        with Serving(url, BUNDLES / "dam", audit_key=KEY):
            pass
        upsert = users_pb2.UpsertUserRequest(user_id="late")
        answer = refusal(tenants.client().users.UpsertUser, upsert)
        assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "AUDIT_KEY_MISSING")
    stopped = Server(Serving(url, BUNDLES / "dam").settings)
    try:
        with pytest.raises(AuditKeyMissing):
            on_loop(stopped.start())
    finally:
        on_loop(stopped.stop())
    with Serving(url, BUNDLES / "dam", audit_key=KEY) as server:
        assert verify(Tenants(server)).problem == ""


def test_commands_take_the_key_from_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSAUTHZ_POLICY", str(BUNDLES / "dam"))
    monkeypatch.setenv("WSAUTHZ_DATABASE_URL", url)
    run = Run(url)
    monkeypatch.setenv("WSAUTHZ_AUDIT_KEY", KEY)
    assert run("platform", "grant", "olga").status == 0
    assert run("audit", "verify").status == 0
    monkeypatch.delenv("WSAUTHZ_AUDIT_KEY")
    refused = run("platform", "grant", "ann")
    assert (refused.status, refused.out) == (2, "")
    assert "WSAUTHZ_AUDIT_KEY" in refused.err
    assert "Traceback" not in refused.err
    assert run("audit", "verify").status == 1
