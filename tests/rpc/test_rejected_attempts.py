"""Rejected attempts to write: each of them is in the audit, at its own place and about its own target."""

from collections.abc import Iterator
from typing import Any, Final

import grpc
import pytest

from tests import audited, raw_call
from tests.audited import held, until
from tests.rpc.conftest import MakeDatabase, serving
from tests.rpc.requests import METHODS, Tenant, choices, valid
from tests.rpc.tenants import Tenants
from tests.rpc.worlds import bundle, state
from tests.serving import ACTOR, BUNDLES, Client, Refusal, Serving, attempt, refusal
from wsauthz.replica import rejections
from wsauthz.rpc.methods import Method
from wsauthz.v1 import invitations_pb2, memberships_pb2, users_pb2, workspaces_pb2

THEIRS: Final = Tenant("theirs")


def rejected(tenants: Tenants, **wanted: str) -> list[Any]:
    """Return the entries of rejected attempts with these columns, oldest first."""
    return audited.rejections(tenants.server.database_url, **wanted)


def remove(client: Client, workspace: str, user: str) -> str:
    """Try to remove a member and return why that is rejected."""
    request = memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=user)
    return refusal(client.memberships.RemoveMember, request).reason


def write_in_vain(tenants: Tenants) -> grpc.StatusCode:
    """Try to write while nobody can, which takes as long as a write may wait for the database."""
    return refusal(tenants.client().users.UpsertUser, users_pb2.UpsertUserRequest(user_id="late")).code


def test_attempts_while_the_database_is_held_are_recorded_afterwards(make_database: MakeDatabase) -> None:
    with serving(make_database(), "dam") as tenants:
        owner = tenants.user()
        workspace = tenants.workspace(owner).id
        strangers = [f"stranger-{number}" for number in range(9)]
        with held(tenants.server.database_url):
            for stranger in strangers:
                assert remove(tenants.client(stranger), workspace, owner) == "WORKSPACE_NOT_FOUND"
            for _ in range(3):  # long enough for every write that began before to be given up
                assert write_in_vain(tenants) == grpc.StatusCode.UNAVAILABLE
        found = until(lambda: rejected(tenants), lambda entries: len(entries) >= len(strangers))
        assert [entry.actor for entry in found] == strangers
        assert {(entry.place_id, entry.attempts) for entry in found} == {(workspace, 1)}


@pytest.mark.parametrize("request_id", [b"a\0b", b"a\nb", b"\x7f", b"\xff\xfe", b"\xed\xa0\x80"])
def test_an_odd_request_id_neither_fails_a_write_nor_hides_an_attempt(
    dam: Tenants, transport: str, request_id: bytes
) -> None:
    address, metadata = dam.server.server.address, {"x-request-id": request_id}
    user, stranger = dam.user("odd"), dam.user("stranger")
    upsert = users_pb2.UpsertUserRequest(user_id=user, name="Renamed")
    if transport == "native" and not {*range(32), 127}.isdisjoint(request_id):
        with pytest.raises(
            (raw_call.Closed, ConnectionError)
        ):  # the transport takes such a header for no HTTP/2, and nothing is called
            raw_call.call(address, "/wsauthz.v1.UserService/UpsertUser", upsert, metadata)
        return
    raw_call.call(address, "/wsauthz.v1.UserService/UpsertUser", upsert, metadata)
    written = audited.entries(dam.server.database_url, target_id=user)
    assert [entry.method for entry in written] == ["UserService/UpsertUser"] * 2
    assert written[-1].request_id.isprintable()
    workspace = dam.workspace(user).id
    request = memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=user)
    actor = {ACTOR: stranger.encode(), **metadata}
    raw_call.call(address, "/wsauthz.v1.MembershipService/RemoveMember", request, actor)
    (entry,) = until(lambda: rejected(dam, actor=stranger))
    assert (entry.place_id, entry.refusal) == (workspace, "WORKSPACE_NOT_FOUND")
    assert entry.request_id.isprintable()


# --- place and target -------------------------------------------------------------------------------------------------

WRITES: Final = [method for method in METHODS.values() if method.writes and method.resource]


@pytest.fixture(scope="module")
def tenants(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    with serving(make_database(), bundle(tmp_path_factory), state([THEIRS])) as found:
        yield found


@pytest.mark.parametrize("method", WRITES, ids=lambda method: method.name)
def test_an_attempt_is_recorded_at_the_place_that_it_names(tenants: Tenants, method: Method) -> None:
    stranger = f"stranger-{method.name}"
    client = tenants.client(stranger)
    expected = set()
    for choice in choices(method):
        request: Any = valid(method, THEIRS, choice)
        if isinstance(attempt(lambda each: client.call(method.full_name, each, method.answer), request), Refusal):
            expected.add(_named(method, request))
    found = until(lambda: rejected(tenants, actor=stranger), lambda entries: len(entries) >= len(expected))
    assert {(entry.place_kind, entry.place_id, entry.target_kind, entry.target_id) for entry in found} == expected
    assert {entry.method for entry in found} <= {f"{method.service}/{method.name}"}


def _named(method: Method, request: Any) -> tuple[str, str, str, str]:
    """Return the place and the target of a request, found by other means than the server's."""
    by_field = {"workspace_id": "workspace", "parent_workspace_id": "workspace", "organization_id": "organization"}
    names = ["organization_id"] if method.name == "UpdateOrganizationName" else list(by_field)
    places = [(by_field[name], getattr(request, name)) for name in names if getattr(request, name, "")]
    place = places[0] if places else ("platform", "")
    target = place if places else (method.resource, "")
    for kind in ("user", "invitation"):
        if getattr(request, f"{kind}_id", ""):
            target = (kind, getattr(request, f"{kind}_id"))
    return (*place, *target)


def test_an_attempt_at_a_place_that_is_not_there_is_at_the_platform_and_names_it(dam: Tenants) -> None:
    stranger = dam.user()
    assert remove(dam.client(stranger), "workspace_nobody", "bob") == "WORKSPACE_NOT_FOUND"
    request = workspaces_pb2.DeleteWorkspaceRequest(workspace_id="workspace_nobody")
    refusal(dam.client(stranger).workspaces.DeleteWorkspace, request)
    first, second = until(lambda: rejected(dam, actor=stranger), lambda entries: len(entries) == 2)
    assert {each.place_kind for each in (first, second)} == {"platform"}
    assert (first.target_kind, first.target_id) == ("user", "bob")
    assert (second.target_kind, second.target_id) == ("workspace", "workspace_nobody")


@pytest.mark.parametrize("user_id", ["a\0b", "a b", "x" * 129, "\N{ZERO WIDTH SPACE}"])
def test_a_target_that_no_user_can_be_is_left_out(dam: Tenants, user_id: str) -> None:
    owner, stranger = dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    assert remove(dam.client(stranger), workspace, user_id) == "WORKSPACE_NOT_FOUND"
    (entry,) = until(lambda: rejected(dam, actor=stranger))
    assert (entry.target_kind, entry.target_id, entry.place_id) == ("workspace", workspace, workspace)


def test_an_attempt_with_a_token_or_a_code_is_at_the_place_that_it_leads_to(dam: Tenants) -> None:
    owner, invited, thief = dam.user(), dam.user(), dam.user()
    workspace = dam.workspace(owner).id
    create = invitations_pb2.CreateInvitationRequest(workspace_id=workspace, email=f"{invited}@example.com")
    sent = dam.client(owner).invitations.CreateInvitation(create)
    accept = invitations_pb2.AcceptInvitationRequest(token=sent.token)
    assert refusal(dam.client(thief).invitations.AcceptInvitation, accept).reason == "INVITATION_EMAIL_MISMATCH"
    (entry,) = until(lambda: rejected(dam, actor=thief))
    assert (entry.target_kind, entry.target_id) == ("invitation", sent.invitation.id)
    assert entry.place_id == workspace

    dam.member(owner, workspace, user=thief)
    dam.client(owner).memberships.RemoveMember(
        memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=thief)
    )
    code = dam.client(owner).invitations.GetInviteCode(invitations_pb2.GetInviteCodeRequest(workspace_id=workspace))
    join = invitations_pb2.JoinByCodeRequest(code=code.code)
    assert refusal(dam.client(thief).invitations.JoinByCode, join).reason == "REMOVED"
    *_, entry = until(lambda: rejected(dam, actor=thief), lambda entries: len(entries) == 2)
    assert (entry.refusal, entry.place_id) == ("REMOVED", workspace)


def test_an_attempt_that_only_the_transaction_rejects_is_recorded_even_if_nobody_waits(dam: Tenants) -> None:
    """The last owner may not leave; the caller is gone before that is known."""
    owner = dam.user()
    workspace = dam.workspace(owner).id
    workers = dam.server.server._wrapper._workers
    with held(dam.server.database_url):
        leave = memberships_pb2.LeaveRequest(workspace_id=workspace)
        leaving = dam.client(owner).memberships.Leave.future(leave)
        until(lambda: workers.room.count)
        leaving.cancel()
    (entry,) = until(lambda: rejected(dam, actor=owner))
    assert (entry.method, entry.place_id) == ("MembershipService/Leave", workspace)


@pytest.mark.parametrize("along_with", [[], ["batch-new"]], ids=["alone", "beside a change"])
def test_an_item_of_a_batch_that_is_rejected_alone_is_recorded(dam: Tenants, along_with: list[str]) -> None:
    user = dam.user(source_version=7)
    events = [users_pb2.UserEvent(user_id=each) for each in (*along_with, user)]
    (*_, result) = dam.client().users.BatchUpsertUsers(users_pb2.BatchUpsertUsersRequest(users=events)).results
    assert result.reason == "SOURCE_VERSION_REQUIRED"
    (entry,) = until(lambda: rejected(dam, target_id=user))
    assert (entry.method, entry.target_kind) == ("UserService/BatchUpsertUsers", "user")
    assert (entry.refusal, entry.place_kind) == ("SOURCE_VERSION_REQUIRED", "platform")


# --- the limit --------------------------------------------------------------------------------------------------------


def test_attempts_beyond_the_limit_are_counted_and_written_when_the_server_stops(
    database_url: str,
) -> None:
    with Serving(database_url, BUNDLES / "dam") as server:
        tenants = Tenants(server)
        owner = tenants.user()
        workspace = tenants.workspace(owner).id
        for _ in range(rejections.PER_MINUTE + 25):
            assert remove(tenants.client("mallory"), workspace, owner) == "WORKSPACE_NOT_FOUND"
    found = rejected(tenants, actor="mallory")
    assert [entry.attempts for entry in found] == [1] * rejections.PER_MINUTE + [25]
    assert {(entry.place_id, entry.target_id, entry.refusal) for entry in found} == {
        (workspace, owner, "WORKSPACE_NOT_FOUND")
    }


def test_a_minute_later_the_count_is_written_without_another_attempt(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejections, "_MINUTE", 2.0)
    with Serving(sqlite_url, BUNDLES / "dam") as server:
        tenants = Tenants(server)
        for _ in range(rejections.PER_MINUTE + 25):
            remove(tenants.client("mallory"), "workspace_nobody", "bob")
        total = until(lambda: sum(entry.attempts for entry in rejected(tenants)), lambda count: count >= 35)
        assert total == rejections.PER_MINUTE + 25
