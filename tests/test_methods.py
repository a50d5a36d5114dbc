"""Every RPC, from the descriptors: it says what it needs, refuses without an actor, and keeps tenants apart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.rpc.conftest import serving, sqlite_database
from tests.rpc.tenants import Tenants
from tests.serving import Client, Refusal, attempt
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.v1 import (
    authorization_pb2,
    memberships_pb2,
    options_pb2,
    organizations_pb2,
    policy_pb2,
    settings_pb2,
    users_pb2,
    workspace_states_pb2,
    workspaces_pb2,
)

FILES = (
    authorization_pb2,
    memberships_pb2,
    organizations_pb2,
    policy_pb2,
    settings_pb2,
    users_pb2,
    workspace_states_pb2,
    workspaces_pb2,
)
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
SCOPES = {"check", "act-as", "provision"}

VALUES: dict[str, Any] = {
    "name": "Any Name",
    "email": "somebody@example.com",
    "role": "member",
    "resource": "workspace",
    "action": "view",
    "subject": "somebody",
    "update_mask": {"paths": ["role"]},
}
"""What a request needs beside ids, so that it is not refused for something else."""

FREE_OF_TENANTS = {
    "/wsauthz.v1.UserService/UpsertUser": "the application mirrors its users, whoever they belong to",
    "/wsauthz.v1.MembershipService/AddMember": "a user id is plain text here and says nothing of the user",
}
"""Methods whose user_id may be anybody's."""


def requires(method: MethodDescriptor) -> Any:
    options: Any = method.GetOptions()
    return options.Extensions[options_pb2.requires]


def writes(method: MethodDescriptor) -> bool:
    options: Any = method.GetOptions()
    return bool(options.idempotency_level != MethodOptions.NO_SIDE_EFFECTS)


def needs_actor(method: MethodDescriptor) -> bool:
    return requires(method).scope == "act-as" or bool(requires(method).resource)


def id_fields(method: MethodDescriptor) -> list[str]:
    """Return the request's fields that hold ids."""
    return [
        field.name
        for field in method.input_type.fields
        if field.name.endswith("_id") and field.name != "request_id" and field.type == FieldDescriptor.TYPE_STRING
    ]


@pytest.fixture(scope="module")
def tenants(sqlite_template: Path) -> Iterator[Tenants]:
    with serving(sqlite_database(sqlite_template), "dam") as found:
        yield found


# --- what the descriptors say -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_needs(name: str) -> None:
    options: Any = METHODS[name].GetOptions()
    assert options.HasExtension(options_pb2.requires)
    needs = requires(METHODS[name])
    assert needs.scope in SCOPES
    assert bool(needs.resource) == bool(needs.action) == bool(needs.place)
    if needs.resource:
        assert needs.action in core_vocabulary()[needs.resource]
        for field in needs.place.removeprefix("parent:").split("|"):
            assert field == "platform" or field in METHODS[name].input_type.fields_by_name


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_comment(name: str) -> None:
    service, _, method = name.rpartition("/")
    file = METHODS[name].containing_service.file.name
    text = (Path(__file__).parents[1] / "proto" / file).read_text().splitlines()
    line = next(number for number, one in enumerate(text) if one.strip().startswith(f"rpc {method}("))
    assert text[line - 1].strip().startswith("//"), service


@pytest.mark.parametrize("name", METHODS)
def test_every_write_may_be_repeated_and_answers_its_revision(name: str) -> None:
    method = METHODS[name]
    if writes(method) and method.containing_service.name != "PolicyService":
        assert "request_id" in method.input_type.fields_by_name
        assert "revision" in method.output_type.fields_by_name
    else:
        assert "request_id" not in method.input_type.fields_by_name


@pytest.mark.parametrize("name", METHODS)
def test_every_list_has_pages(name: str) -> None:
    method = METHODS[name]
    if method.name.startswith(("List", "Lookup")):
        assert {"page_size", "page_token"} <= set(method.input_type.fields_by_name)
        assert "next_page_token" in method.output_type.fields_by_name


def test_no_request_of_the_actor_itself_takes_who_it_is() -> None:
    for name, method in METHODS.items():
        if needs_actor(method) and not requires(method).resource and method.name != "GetUser":
            assert "user_id" not in method.input_type.fields_by_name, name


# --- what a server does -----------------------------------------------------------------------------------------------


def outcome(client: Client, name: str, request: Message) -> Refusal | Message:
    answer = GetMessageClass(METHODS[name].output_type)
    found: Refusal | Message = attempt(lambda asked: client.call(name, asked, answer), request)
    return found


def filled(method: MethodDescriptor, ids: dict[str, str]) -> Message:
    """Return a request with these ids and whatever else it needs."""
    known = {name: value for name, value in VALUES.items() if name in method.input_type.fields_by_name}
    if method.name == "UpdateWorkspace":
        known = {"update_mask": {"paths": ["notes"]}}
    if method.name == "UpsertUser":
        known = {}
    return GetMessageClass(method.input_type)(**known, **ids)


@pytest.mark.req("REQ-085")
@pytest.mark.parametrize("name", METHODS)
def test_without_an_actor_it_is_refused_where_it_needs_one(tenants: Tenants, name: str) -> None:
    method = METHODS[name]
    found = outcome(tenants.client(), name, filled(method, dict.fromkeys(id_fields(method)[:1], "some-id")))
    refused = isinstance(found, Refusal) and found.reason == "ACTOR_REQUIRED"
    assert refused == needs_actor(method), found


@pytest.mark.parametrize("name", METHODS)
def test_an_empty_request_of_a_stranger_is_answered_or_refused_but_never_breaks(tenants: Tenants, name: str) -> None:
    request = GetMessageClass(METHODS[name].input_type)()
    found = outcome(tenants.client("some-stranger"), name, request)
    if isinstance(found, Refusal):
        assert found.code in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED}
        assert found.kind in {"ValidationError", "AuthError"}


HOSTILE = ("*", "a b", "a\nb", "a#b", "a,b", "'", '"', "\\", "-x", "..", "\u00e9", "x" * 129, "\x00")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (name, field)
        for name, method in METHODS.items()
        for field in id_fields(method)
        if method.name != "CheckRoute"  # its ids come straight from the route: a malformed one is not found
    ],
)
def test_a_malformed_id_is_named_wherever_it_stands(tenants: Tenants, name: str, field: str) -> None:
    method = METHODS[name]
    others = {other: "some-id" for other in id_fields(method) if not _same_choice(method, other, field)}
    for value in (*HOSTILE, *(() if field == "user_id" else ("../x", "a|b", "a:b", "a/b", "a=b", "a~b"))):
        found = outcome(tenants.operator, name, filled(method, {**others, field: value}))
        assert isinstance(found, Refusal), (value, found)
        if found.code == grpc.StatusCode.NOT_FOUND:  # the place comes first, and it does not exist
            assert field not in {"workspace_id", "organization_id", "parent_workspace_id"}
            continue
        assert (found.code, found.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,)), (value, found)


def _same_choice(method: MethodDescriptor, first: str, second: str) -> bool:
    """Tell whether only one of the two fields can be set."""
    one, other = (method.input_type.fields_by_name[field].containing_oneof for field in (first, second))
    return first == second or (one is not None and one is other)


class Two:
    """Two tenants with the same things, and ids that nobody has."""

    def __init__(self, tenants: Tenants) -> None:
        self.tenants = tenants
        self.mine = self._tenant()
        self.theirs = self._tenant()
        self.nobodys = {name: f"{value}-unknown" for name, value in self.theirs.items()}

    def _tenant(self) -> dict[str, str]:
        owner = self.tenants.user("owner")
        organization = self.tenants.organization(owner).id
        workspace = self.tenants.workspace(owner, organization_id=organization).id
        child = self.tenants.child(owner, workspace).id
        member = self.tenants.member(owner, workspace)
        return {
            "owner": owner,
            "organization_id": organization,
            "workspace_id": workspace,
            "parent_workspace_id": workspace,
            "current_workspace_id": child,
            "user_id": member,
        }


@pytest.fixture(scope="module")
def two(tenants: Tenants) -> Two:
    return Two(tenants)


def isolated() -> list[tuple[str, str]]:
    return [
        (name, field)
        for name, method in METHODS.items()
        for field in id_fields(method)
        if needs_actor(method) and not (field == "user_id" and name in FREE_OF_TENANTS)
    ]


@pytest.mark.req("REQ-001", "REQ-023")
@pytest.mark.parametrize(("name", "field"), isolated())
def test_another_tenant_s_id_behaves_as_an_unknown_one(two: Two, name: str, field: str) -> None:
    method = METHODS[name]
    assert field in two.theirs, f"say in Two what {field} is"
    mine = {
        other: two.mine[other]
        for other in id_fields(method)
        if other != field and not _same_choice(method, other, field)
    }
    client = two.tenants.client(two.mine["owner"])
    before = two.tenants.revision
    foreign = outcome(client, name, filled(method, {**mine, field: two.theirs[field]}))
    unknown = outcome(client, name, filled(method, {**mine, field: two.nobodys[field]}))
    assert foreign == unknown
    assert two.tenants.revision == before
    for secret in (value for key, value in two.theirs.items() if key != field):
        assert secret not in str(foreign)


@pytest.mark.req("REQ-001", "REQ-023")
@pytest.mark.parametrize(("name", "field"), isolated())
def test_both_of_another_tenant_s_ids_behave_as_unknown_ones(two: Two, name: str, field: str) -> None:
    method = METHODS[name]
    fields = [other for other in id_fields(method) if other == field or not _same_choice(method, other, field)]
    client = two.tenants.client(two.mine["owner"])
    foreign = outcome(client, name, filled(method, {other: two.theirs[other] for other in fields}))
    unknown = outcome(client, name, filled(method, {other: two.nobodys[other] for other in fields}))
    assert foreign == unknown


def test_the_exceptions_are_methods() -> None:
    assert set(FREE_OF_TENANTS) <= set(METHODS)
