"""Any RPC from the shell."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Run
from tests.serving import BUNDLES, ServerProcess
from wsauthz.cli.call import rpcs
from wsauthz.rpc.methods import methods

run = Run("")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[ServerProcess]:
    """Return a server of the dam bundle on a fresh database."""
    path = tmp_path_factory.mktemp("call") / "wsauthz.db"
    path.write_bytes(sqlite_template.read_bytes())
    with ServerProcess(f"sqlite:///{path}", BUNDLES / "dam") as process:
        yield process


def test_every_method_can_be_called() -> None:
    known = methods().values()
    assert {name: rpc.path for name, rpc in rpcs().items()} == {
        f"{each.service}/{each.name}": each.full_name for each in known
    }


def test_a_write_and_a_read_go_in_and_out_as_json(server: ServerProcess) -> None:
    to = ("--server", server.address)
    made = run("call", "UserService/UpsertUser", '{"user_id": "ann", "name": "Ann", "source_version": "7"}', *to)
    assert (made.status, made.err) == (0, "")
    answer = json.loads(made.out)
    assert (answer["created"], answer["user"]["name"], answer["source_version"]) == (True, "Ann", "7")
    question = json.dumps({"user_id": "ann", "at_least_revision": answer["revision"]})
    for name in ("UserService/GetUser", "wsauthz.v1.UserService/GetUser", "/wsauthz.v1.UserService/GetUser"):
        shown = run("call", name, question, "--actor", "ann", *to)
        assert json.loads(shown.out) == {"user": answer["user"]}


def test_a_request_may_come_from_standard_input(server: ServerProcess) -> None:
    made = run("call", "UserService/UpsertUser", "-", "--server", server.address, stdin='{"userId": "bob"}')
    assert json.loads(made.out)["user"]["id"] == "bob"


def test_a_request_without_fields_may_be_left_out(server: ServerProcess) -> None:
    made = run("call", "PolicyService/GetPolicyInfo", "--server", server.address)
    assert json.loads(made.out)["name"] == "dam"


def test_an_error_has_its_status_and_reason_and_exits_with_2(server: ServerProcess) -> None:
    to = ("--server", server.address)
    unknown = run("call", "UserService/GetUser", '{"user_id": "nobody"}', "--actor", "ann", *to)
    assert (unknown.status, unknown.out) == (2, "")
    assert unknown.err.startswith("NOT_FOUND USER_NOT_FOUND: ")
    nobody = run("call", "UserService/GetUser", '{"user_id": "ann"}', *to)
    assert nobody.err.startswith("UNAUTHENTICATED ACTOR_REQUIRED: ")
    assert nobody.err.splitlines()[-1] == "  Name the user for whom it is done with --actor."
    malformed = run("call", "UserService/UpsertUser", '{"user_id": "a b"}', *to)
    assert malformed.err.startswith("INVALID_ARGUMENT INVALID_ARGUMENT: user_id: ")


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("GetUser", "UserService/GetUser"),
        ("userservice/getuser", "UserService/GetUser"),
        ("UserService/GetUsers", "UserService/GetUser"),
        ("WorkspaceService/GetUser", "UserService/GetUser"),
        ("", "there are AuditService/ListAuditEntries, "),
    ],
)
def test_a_method_that_is_not_there_is_guessed(name: str, guess: str) -> None:
    outcome = run("call", name)
    assert (outcome.status, outcome.out) == (2, "")
    assert guess in outcome.err


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"user": "ann"}', '{"is_active": "yes"}', '{"kind": "robot"}'])
def test_a_request_that_is_wrong_is_never_sent(text: str, tmp_path: Path) -> None:
    outcome = run("call", "UserService/UpsertUser", text, "--server", f"unix:{tmp_path / 'nothing'}")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("The request is wrong: ")
    assert "Fields of UpsertUserRequest: user_id, kind, is_active" in outcome.err


def test_an_error_of_a_stream_is_explained_like_any_other(server: ServerProcess) -> None:
    told = run("call", "AuthorizationService/Watch", '{"from_revision": "000000000000.1"}', "--server", server.address)
    assert (told.status, told.err.partition(":")[0]) == (2, "FAILED_PRECONDITION REVISION_UNKNOWN")


def test_a_stream_is_printed_as_it_comes_a_message_a_line(server: ServerProcess) -> None:
    wsauthz = str(Path(sys.executable).with_name("wsauthz"))
    command = [wsauthz, "call", "AuthorizationService/Watch", "--server", server.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        events = [json.loads(watching.stdout.readline())["event"] for _ in range(2)]
        watching.terminate()
    assert events == ["WATCH_EVENT_POLICY", "WATCH_EVENT_STARTED"]


def test_without_a_server_it_says_so(tmp_path: Path) -> None:
    outcome = run("call", "PolicyService/GetPolicyInfo", "--server", f"unix:{tmp_path / 'nothing'}")
    assert outcome.err.startswith("No server answers at")
