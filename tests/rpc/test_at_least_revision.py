"""No read of any service is answered from an older state than the caller asks for; made from the descriptors."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from tests.rpc.conftest import serving, sqlite_database
from tests.rpc.requests import METHODS, Tenant, actor_of, valid
from tests.rpc.streams import wait_for
from tests.rpc.tenants import Tenants
from tests.rpc.worlds import bundle, state
from tests.serving import Refusal, Serving, attempt
from wsauthz.rpc.methods import Method
from wsauthz.v1 import authorization_pb2, users_pb2, workspaces_pb2

OWN: Final = Tenant("own")
NEVER: Final = 3600.0
NOTES: Final = FieldMask(paths=["notes"])
FIELD: Final = "at_least_revision"
READS: Final = [method for method in METHODS.values() if not method.writes]
LISTS: Final = [method for method in READS if "page_token" in method.request_fields]

every_read = pytest.mark.parametrize("method", READS, ids=lambda method: method.name)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two servers of one database: one that is written to, and one that hears of it only when a test says so."""

    near: Tenants
    far: Tenants


@pytest.fixture(scope="module")
def pair(sqlite_template: Path, transport: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    policy = bundle(tmp_path_factory)
    with (
        serving(sqlite_database(sqlite_template), policy, state([OWN])) as near,
        Serving(near.server.database_url, policy, poll_seconds=NEVER) as far,
    ):
        for notes in ("something", ""):  # so that there is an audit to list
            note = workspaces_pb2.UpdateWorkspaceRequest(workspace_id=OWN.workspace, update_mask=NOTES)
            note.workspace.notes = notes
            near.client(OWN.owner).workspaces.UpdateWorkspace(note)
        far.server.replica.catch_up()
        yield Pair(near, Tenants(far))


def read(tenants: Tenants, method: Method, at_least: str = "", seconds: float | None = None, **fields: Any) -> Any:
    """Make the valid request of a read, from that state on; return the answer or the refusal."""
    request: Any = valid(method, OWN)
    setattr(request, FIELD, at_least)
    for name, value in fields.items():
        setattr(request, name, value)
    client = tenants.client(actor_of(method, OWN))
    made: Any = client.channel.unary_stream if method.streams else client.channel.unary_unary
    call = made(method.full_name, method.request.SerializeToString, method.answer.FromString)
    return attempt(partial(_first, call) if method.streams else call, request, timeout=seconds)


def _first(call: Any, request: Any, **options: Any) -> Any:
    """Return the first message of a stream, and end it."""
    stream = call(request, **options)
    try:
        return next(stream)
    finally:
        stream.cancel()


@every_read
def test_every_read_has_the_field(method: Method) -> None:
    field = method.request.DESCRIPTOR.fields_by_name[FIELD]
    assert (field.type, field.is_repeated) == (field.TYPE_STRING, False)


@every_read
def test_no_read_answers_from_an_older_state(pair: Pair, method: Method) -> None:
    answer = read(pair.far, method, newer(pair), seconds=0.3)
    assert isinstance(answer, Refusal), "answered from an older state"
    assert answer.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


@every_read
def test_every_read_waits_for_the_state(pair: Pair, method: Method) -> None:
    token = newer(pair)
    replica = pair.far.server.server.replica
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(read, pair.far, method, token)
        wait_for(lambda: bool(replica._arrivals._waiting or answering.done()))
        replica.catch_up()
        answer = answering.result()
    assert not isinstance(answer, Refusal), answer


@every_read
def test_no_read_knows_a_revision_of_another_database(pair: Pair, method: Method) -> None:
    answer = read(pair.near, method, "aaaaaaaaaaaa.1")
    assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REVISION_UNKNOWN")


@every_read
@pytest.mark.parametrize("token", ["x", "5", "aaaaaaaaaaaa.5.0"])
def test_every_read_rejects_a_malformed_revision(pair: Pair, method: Method, token: str) -> None:
    answer = read(pair.near, method, token)
    assert (answer.code, answer.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (FIELD,))


@pytest.mark.parametrize("method", LISTS, ids=lambda method: method.name)
def test_a_page_token_is_good_from_any_state_on(pair: Pair, method: Method) -> None:
    token = newer(pair)
    without = read(pair.near, method)
    assert without.next_page_token, "a list of one page tests nothing"
    assert read(pair.near, method, token).next_page_token == without.next_page_token
    following = read(pair.near, method, page_token=without.next_page_token)
    assert following == read(pair.near, method, token, page_token=without.next_page_token)
    assert not isinstance(following, Refusal)


def test_explain_waits_for_the_revision_of_the_check_within(pair: Pair) -> None:
    check = authorization_pb2.CheckRequest(
        subject=OWN.owner, workspace_id=OWN.workspace, resource="workspace", action="view"
    )
    check.at_least_revision = newer(pair)
    asked = authorization_pb2.ExplainRequest(check=check)
    answer = attempt(pair.far.client().authorization.Explain, asked, timeout=0.3)
    assert isinstance(answer, Refusal)


def newer(pair: Pair) -> str:
    """Write through one server; return the revision, which the other one lacks."""
    user = users_pb2.UpsertUserRequest(user_id=f"new-{secrets.token_hex(4)}")
    return str(pair.near.client().users.UpsertUser(user).revision)
