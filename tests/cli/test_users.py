"""Users of a file in a running server."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.cli.running import Outcome, Run, write
from tests.serving import BUNDLES, ServerProcess
from wsauthz.cli.answers import DETAILS
from wsauthz.cli.user_files import read_users
from wsauthz.model.errors import TooManyRequests
from wsauthz.rpc import errors
from wsauthz.v1 import users_pb2 as pb

run = Run("")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[ServerProcess]:
    """Return a server of the dam bundle on a fresh database."""
    path = tmp_path_factory.mktemp("users") / "wsauthz.db"
    path.write_bytes(sqlite_template.read_bytes())
    with ServerProcess(f"sqlite:///{path}", BUNDLES / "dam") as process:
        yield process


def sync(server: ServerProcess, text: str) -> Outcome:
    return run("users", "sync", "-", "--server", server.address, stdin=text)


def get(server: ServerProcess, user: str) -> pb.User:
    return server.client(user).users.GetUser(pb.GetUserRequest(user_id=user)).user


def counted(created: int = 0, changed: int = 0, unchanged: int = 0, late: int = 0, failed: int = 0) -> str:
    return f"{created} created, {changed} changed, {unchanged} unchanged, {late} out of date, {failed} failed\n"


def test_a_csv_file_is_mirrored_and_can_be_repeated(server: ServerProcess, tmp_path: Path) -> None:
    text = (
        "\ufeffid,email,email_verified,name,kind,is_active,source_version\r\n"
        'c-ann,Ann@Example.com,true,"Ann ""A"" Lee, Dr.",human,,5\r\n'
        "\r\n"
        "c-bot,,no,,service,1,\r\n"
    )
    file = write(tmp_path / "users.csv", text)
    first = run("users", "sync", file, "--server", server.address)
    assert (first.status, first.out, first.err) == (0, f"{file}: {counted(created=2)}", "")
    ann, bot = get(server, "c-ann"), get(server, "c-bot")
    assert (ann.email, ann.email_verified, ann.name, ann.is_active) == (
        "ann@example.com",
        True,
        'Ann "A" Lee, Dr.',
        True,
    )
    assert (bot.kind, bot.HasField("email"), bot.name) == (pb.USER_KIND_SERVICE, False, "")
    again = run("users", "sync", file, "--server", server.address)
    assert (again.status, again.out) == (0, f"{file}: {counted(unchanged=1, late=1)}")
    assert get(server, "c-ann") == ann


def test_lines_of_json_set_what_they_name(server: ServerProcess) -> None:
    lines: list[dict[str, Any]] = [
        {"user_id": "j-ann", "email": "j-ann@example.com", "name": "Ann", "source_version": 2**63 - 1},
        {"id": 7, "kind": "service", "is_active": None},
        {"id": "j-bob", "email": "j-bob@example.com", "name": "Bob"},
    ]
    made = sync(server, "\n".join(map(json.dumps, lines)) + "\n\n")
    assert (made.status, made.out) == (0, f"standard input: {counted(created=3)}")
    assert get(server, "7").kind == pb.USER_KIND_SERVICE
    assert sync(server, '{"id": "j-bob", "email": null}').out == f"standard input: {counted(changed=1)}"
    bob = get(server, "j-bob")
    assert (bob.HasField("email"), bob.name) == (False, "Bob")


def test_a_line_that_is_wrong_fails_alone_and_is_named(server: ServerProcess) -> None:
    sync(server, "id,email\nw-old,w-old@example.com\n")
    text = (
        "id,email,is_active\nw-ann,<a@b>,\nw-bob,w-bob@example.com,maybe\nw-eve,w-old@example.com,\nw-dan,\nw-fay,,\n"
    )
    outcome = sync(server, text)
    assert (outcome.status, outcome.out) == (2, f"standard input: {counted(created=1, failed=4)}")
    reasons = [" ".join(line.split()[:3]) for line in outcome.err.splitlines()]
    assert reasons == [
        "standard input:2: INVALID_ARGUMENT:",
        "standard input:3: is_active:",
        "standard input:4: EMAIL_TAKEN:",
        "standard input:5: has",
    ]
    assert get(server, "w-fay").id == "w-fay"


@pytest.mark.parametrize(
    ("header", "wrong"),
    [
        ("id,emial\n", "1: 'emial' is not a field of a user (did you mean email?)"),
        ("email,name\na,b\n", "1: the column user_id is missing"),
        ("id,user_id\n", "1: a field is there twice"),
        ("", "1: the column user_id is missing"),
        ('id,name\na,"b\n', "is not CSV: unexpected end of data"),
    ],
)
def test_a_csv_file_that_is_wrong_as_a_whole_is_refused(header: str, wrong: str, tmp_path: Path) -> None:
    outcome = run("users", "sync", write(tmp_path / "users.csv", header), "--server", f"unix:{tmp_path}/nothing")
    assert (outcome.status, outcome.out) == (2, "")
    assert wrong in outcome.err


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[1]", "must be an object"),
        ("{", "Expecting"),
        ('{"id": "a", "id": "b"}', "twice"),
        ('{"id": "a", "user_id": "a"}', "user_id is there twice"),
        ('{"name": "a"}', "user_id is missing"),
        ('{"id": true}', "id: must be a text"),
        ('{"id": "a", "nmae": "a"}', "'nmae' is not a field of a user (did you mean name?)"),
        ('{"id": "a", "name": 1}', "name: must be a text"),
        ('{"id": "a", "name": "\\ud800"}', "name: must not hold half a character"),
        ('{"id": "a", "is_active": 1}', "is_active: must be true or false"),
        ('{"id": "a", "kind": "robot"}', "kind: must be one of human, service"),
        ('{"id": "a", "kind": []}', "kind: must be one of human, service"),
        *(
            (f'{{"id": "a", "source_version": {version}}}', "source_version: must be a whole number")
            for version in (-1, 1.5, 2**63, '"x"', "true", "NaN", '"\u0663"', "[]")
        ),
        ("[" * 100_000, ""),
    ],
)
def test_a_line_of_json_that_is_wrong_says_why(line: str, problem: str) -> None:
    found = list(read_users('{"id": "x"}\n' + line, "file"))
    assert [(each.number, each.event is None) for each in found] == [(1, False), (2, True)]
    assert problem in found[1].problem


def test_many_users_go_in_several_calls(server: ServerProcess) -> None:
    rows = "".join(f"m-{number},{'x' * 1_000}\n" for number in range(1_200))
    assert sync(server, f"id,image_url\n{rows}").out == f"standard input: {counted(created=1200)}".replace(
        "1200", "1,200"
    )


def test_without_a_server_it_says_so_at_once(tmp_path: Path) -> None:
    outcome = run("users", "sync", "-", "--server", f"unix:{tmp_path / 'nothing'}", stdin='{"id": "a"}')
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("No server answers at")
    assert outcome.err.endswith("standard input: stopped before line 1; the command can be repeated\n")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "users.csv"
    file.write_bytes(b"id\n\xff\n")
    assert run("users", "sync", file).err == f"{file}: is not UTF-8\n"


def test_a_server_with_too_much_to_do_is_asked_again() -> None:
    calls = []

    def answer(request: pb.BatchUpsertUsersRequest, context: grpc.ServicerContext) -> pb.BatchUpsertUsersResponse:
        calls.append(request)
        if len(calls) <= 2:
            status = errors.status(TooManyRequests())
            context.set_trailing_metadata(((DETAILS, status.SerializeToString()),))
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, status.message)
        created = pb.BatchUpsertUsersResult(outcome=pb.USER_OUTCOME_CREATED)
        return pb.BatchUpsertUsersResponse(results=[created] * len(request.users))

    method = grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=pb.BatchUpsertUsersRequest.FromString,
        response_serializer=pb.BatchUpsertUsersResponse.SerializeToString,
    )
    serving = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.method_handlers_generic_handler("wsauthz.v1.UserService", {"BatchUpsertUsers": method})
    serving.add_generic_rpc_handlers((handler,))
    port = serving.add_insecure_port("127.0.0.1:0")
    serving.start()
    try:
        outcome = run("users", "sync", "-", "--server", f"127.0.0.1:{port}", stdin="id\nann\nbob\n")
    finally:
        serving.stop(None).wait()
    assert (outcome.status, outcome.out) == (0, f"standard input: {counted(created=2)}")
    assert [len(each.users) for each in calls] == [2, 2, 2]
