"""Calls that are wrong as a whole: a body that is no message, an actor that is nobody's id, two actors, none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grpc
import pytest

from tests.rpc.conftest import serving, sqlite_database
from tests.rpc.dumps import ask, dump, send
from tests.rpc.requests import METHODS, Tenant, actor_of, valid
from tests.rpc.tenants import Tenants
from tests.rpc.worlds import bundle, state
from tests.serving import ACTOR, Refusal
from wsauthz.rpc.methods import Method

pytestmark = pytest.mark.transports

MINE: Final = Tenant("mine")


@pytest.fixture(scope="module")
def tenants(transport: str, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """Return a server on which nothing is written, on SQLite only: none of this gets as far as the database."""
    with serving(sqlite_database(sqlite_template), bundle(tmp_path_factory), state([MINE])) as found:
        before = dump(found)
        yield found
        assert dump(found) == before


EVERY_METHOD: Final = pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)

NO_MESSAGES: Final = {
    "no tag": b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    "cut off": b"\x0a\x05ab",
    "unknown wire type": b"\x0f",
    "open group": b"\x0b",
    "text": b"{}",
}
NO_UTF_8: Final = {"surrogate": b"\xed\xa0\x80", "cut off": b"\xe2\x82", "overlong": b"\xc0\x80", "Latin": b"\xe9"}


@EVERY_METHOD
def test_a_body_that_is_no_message_is_refused(tenants: Tenants, method: Method) -> None:
    bodies = [*NO_MESSAGES.values()]
    for field in method.request.DESCRIPTOR.fields:
        if field.type == field.TYPE_STRING:
            tag = bytes([field.number << 3 | 2])
            bodies += [tag + bytes([len(text)]) + text for text in NO_UTF_8.values()]
    actor = actor_of(method, MINE)
    for body in bodies:
        found = send(tenants, method, body, actor)
        assert isinstance(found, Refusal), body
        assert (found.code, found.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("request",)), (body, found)
        assert found.message == "request: is no message of this method"


@EVERY_METHOD
def test_a_malformed_actor_is_refused(tenants: Tenants, method: Method) -> None:
    body = valid(method, MINE).SerializeToString()
    for actor in ("a b", " ", "*", "a#b", "'", '"', "\\", "a,b", "-x", "..", "x" * 129, "x" * 4000):
        found = send(tenants, method, body, actor)
        assert isinstance(found, Refusal), actor
        assert (found.code, found.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (ACTOR,)), (actor, found)


@EVERY_METHOD
def test_two_actors_are_refused(tenants: Tenants, method: Method) -> None:
    body, actor = valid(method, MINE).SerializeToString(), actor_of(method, MINE)
    for actors in ((actor, actor), (actor, "root"), ("root", actor), ("", actor), (actor, "")):
        found = send(tenants, method, body, *actors)
        assert isinstance(found, Refusal), actors
        assert (found.code, found.reason) == (grpc.StatusCode.UNAUTHENTICATED, "ACTOR_REPEATED"), (actors, found)


@pytest.mark.req("REQ-085")
@EVERY_METHOD
def test_without_an_actor_it_is_refused_where_it_needs_one(tenants: Tenants, method: Method) -> None:
    if not method.needs_actor:
        return
    body = valid(method, MINE).SerializeToString()
    for actors in ((), ("",)):
        found = send(tenants, method, body, *actors)
        assert isinstance(found, Refusal), actors
        assert (found.code, found.reason) == (grpc.StatusCode.UNAUTHENTICATED, "ACTOR_REQUIRED"), found


@EVERY_METHOD
def test_an_empty_request_of_a_stranger_is_answered_or_refused_but_never_breaks(
    tenants: Tenants, method: Method
) -> None:
    found = ask(tenants, method, method.request(), "some-stranger")
    if isinstance(found, Refusal):
        assert found.kind in {"ValidationError", "NotFoundError", "AuthError"}, found
