"""Every RPC says in its descriptor what it needs. What servers make of it: rpc/test_bad_calls.py and its neighbours."""

import re
from pathlib import Path
from typing import Final

import pytest

from wsauthz.rpc.methods import Method, core_vocabulary, methods

PROTO: Final = Path(__file__).parents[1] / "proto" / "wsauthz" / "v1"
METHODS: Final = methods()
SCOPES: Final = {"check", "act-as", "provision", "watch"}
OF_OTHERS: Final = {"GetUser", "DeleteAccount"}
"""What is about the actor itself or, for those who may, about somebody else."""

every_method = pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: f"{method.service}/{method.name}")


def declared() -> dict[str, str]:
    """Return every RPC in the proto files, with the line above it."""
    found = {}
    for file in PROTO.glob("*.proto"):
        service, above = "", ""
        for line in file.read_text().splitlines():
            if match := re.match(r"service (\w+)", line):
                service = match[1]
            if match := re.match(r"\s*rpc (\w+)\(", line):
                found[f"/wsauthz.v1.{service}/{match[1]}"] = above.strip()
            above = line
    return found


def test_every_rpc_of_the_proto_files_is_known() -> None:
    assert set(METHODS) == set(declared())


@every_method
def test_every_method_has_a_comment(method: Method) -> None:
    assert declared()[method.full_name].startswith("//")


@every_method
def test_every_method_says_what_it_needs(method: Method) -> None:
    assert method.scope in SCOPES
    assert bool(method.resource) == bool(method.action) == bool(method.place)
    if method.resource:
        assert method.action in core_vocabulary()[method.resource]
        for field in method.place.removeprefix("parent:").split("|"):
            assert field == "platform" or field in method.request_fields
    assert not method.own or method.own in method.request_fields
    if method.alternative is not None:
        assert method.alternative.action in core_vocabulary()[method.alternative.resource]
        assert {method.alternative.field, method.alternative.place} <= {*method.request_fields, "platform"}


@every_method
def test_every_write_may_be_repeated_and_answers_its_revision(method: Method) -> None:
    if method.writes and method.service != "PolicyService":
        assert "request_id" in method.request_fields
        assert "revision" in method.answer.DESCRIPTOR.fields_by_name
    else:
        assert "request_id" not in method.request_fields


@every_method
def test_every_list_has_pages(method: Method) -> None:
    if method.name.startswith(("List", "Lookup")):
        assert {"page_size", "page_token"} <= method.request_fields
        assert "next_page_token" in method.answer.DESCRIPTOR.fields_by_name


@every_method
def test_what_a_stream_is_about_is_asked_of_the_caller_not_of_an_actor(method: Method) -> None:
    """It goes on for days: what an actor may do now says nothing of then."""
    assert method.streams == (method.scope == "watch")
    if method.streams:
        assert not method.writes
        assert not method.needs_actor


@every_method
def test_a_request_of_the_actor_itself_does_not_take_who_it_is(method: Method) -> None:
    if method.needs_actor and not method.resource and method.name not in OF_OTHERS:
        assert "user_id" not in method.request_fields
