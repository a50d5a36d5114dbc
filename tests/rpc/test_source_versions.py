"""The order of what the application says of a user: late and repeated events change nothing."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from tests.rpc import tables
from tests.rpc.tenants import OPERATOR, Tenants
from tests.serving import Refusal, refusal
from wsauthz.v1 import users_pb2 as pb

LARGEST = 2**63 - 1
CALLERS = 64


def upsert(tenants: Tenants, user: str, version: int | None = None, **fields: Any) -> pb.UpsertUserResponse:
    request = pb.UpsertUserRequest(user_id=user, source_version=version, **fields)
    return tenants.client().users.UpsertUser(request)


def upserting(tenants: Tenants, user: str, version: int | None = None, **fields: Any) -> Refusal:
    request = pb.UpsertUserRequest(user_id=user, source_version=version, **fields)
    return refusal(tenants.client().users.UpsertUser, request)


def get(tenants: Tenants, user: str) -> pb.User:
    return tenants.client(OPERATOR).users.GetUser(pb.GetUserRequest(user_id=user)).user


def delete(tenants: Tenants, user: str) -> pb.DeleteAccountResponse:
    return tenants.client(OPERATOR).users.DeleteAccount(pb.DeleteAccountRequest(user_id=user))


def stored(tenants: Tenants, user: str) -> list[int]:
    found = tables.found(tenants, f"SELECT source_version FROM user_versions WHERE user_id = '{user}'")
    return [row["source_version"] for row in found]


def test_a_late_event_changes_nothing_and_is_told_so(dam: Tenants) -> None:
    user = dam.user()
    workspace = dam.workspace(user).id
    newest = upsert(dam, user, 7, name="Newest", is_active=False)
    assert (newest.out_of_date, newest.source_version, newest.created) == (False, 7, False)
    revision = dam.revision
    for late in (6, 7, 0):
        answer = upsert(dam, user, late, name="Late", is_active=True, email="late@example.com")
        assert (answer.out_of_date, answer.source_version, answer.created) == (True, 7, False)
        assert (answer.user, answer.revision) == (newest.user, revision)
    assert dam.revision == revision
    assert dam.reason(user, workspace) == "USER_INACTIVE"
    assert upsert(dam, user, 8, is_active=True).user.name == "Newest"
    assert dam.reason(user, workspace) == ""


def test_a_late_event_is_out_of_date_whatever_else_is_wrong_with_it(dam: Tenants) -> None:
    user = dam.user()
    upsert(dam, user, 7)
    assert upsert(dam, user, 7, email="nobody", name="x" * 300).out_of_date
    assert upserting(dam, user, 8, email="nobody").fields == ("email",)
    assert stored(dam, user) == [7]


def test_a_version_alone_is_remembered(dam: Tenants) -> None:
    user = dam.user()
    before, revision = get(dam, user), dam.revision
    answer = upsert(dam, user, 3)
    assert (answer.user.name, answer.user.email) == (before.name, before.email)
    assert answer.revision != revision
    assert upsert(dam, user, 3).out_of_date


def test_once_a_user_has_a_version_every_call_needs_one(dam: Tenants) -> None:
    user = dam.user()
    assert not upsert(dam, user, name="Without").HasField("source_version")
    upsert(dam, user, 0, name="First")
    refused = upserting(dam, user, name="Without")
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_VERSION_REQUIRED")
    assert get(dam, user).name == "First"


def test_a_version_is_not_negative_and_may_be_as_large_as_the_field(dam: Tenants) -> None:
    user = dam.user()
    for wrong in (-1, -LARGEST - 1):
        refused = upserting(dam, user, wrong)
        assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("source_version",))
    assert upsert(dam, user, LARGEST).source_version == LARGEST
    assert upsert(dam, user, LARGEST - 1).out_of_date
    assert upsert(dam, user, LARGEST).out_of_date


def test_a_late_event_does_not_bring_a_deleted_account_back(dam: Tenants) -> None:
    user = dam.user()
    upsert(dam, user, 7)
    assert delete(dam, user).deleted
    revision = dam.revision
    for late in (6, 7):
        answer = upsert(dam, user, late, email="late@example.com")
        assert (answer.out_of_date, answer.HasField("user"), answer.source_version) == (True, False, 7)
    assert upserting(dam, user).reason == "SOURCE_VERSION_REQUIRED"
    assert dam.revision == revision
    assert not delete(dam, user).deleted
    assert tables.found(dam, f"SELECT id FROM users WHERE id = '{user}'") == []
    again = upsert(dam, user, 8, name="Again")
    assert (again.created, again.user.name, again.HasField("user")) == (True, "Again", True)


def test_only_the_number_is_kept_of_a_deleted_account(dam: Tenants) -> None:
    user = dam.user()
    upsert(dam, user, 7, email="canary@example.com", name="Canary")
    delete(dam, user)
    rows = tables.found(dam, f"SELECT * FROM user_versions WHERE user_id = '{user}'")
    assert rows == [{"user_id": user, "source_version": 7}]
    unversioned = dam.user()
    delete(dam, unversioned)
    assert stored(dam, unversioned) == []
    assert upsert(dam, unversioned).created


def test_a_refused_event_leaves_no_version_behind(dam: Tenants) -> None:
    user, other = dam.user(), dam.user()
    assert upserting(dam, user, 5, email=f"{other}@example.com").reason == "EMAIL_TAKEN"
    assert stored(dam, user) == []
    assert not upsert(dam, user, 5, name="Five").out_of_date


def test_the_audit_has_the_versions(dam: Tenants) -> None:
    user = dam.user()
    upsert(dam, user, 5)
    upsert(dam, user, 9)
    entry = tables.found(dam, f"SELECT * FROM audit_entries WHERE target_id = '{user}' ORDER BY number DESC")[0]
    before, after = (tables.json_of(entry[side]) for side in ("before", "after"))
    assert (before["source_version"], after["source_version"]) == (5, 9)


@pytest.mark.parametrize("already", [None, CALLERS])
def test_late_events_that_race_with_a_deletion_bring_nobody_back(dam: Tenants, already: int | None) -> None:
    """Whatever the deletion finds, no account is there that an event below the kept number made."""
    user = dam.user()
    upsert(dam, user, CALLERS)
    if already is not None:
        delete(dam, user)

    def run(number: int) -> Any:
        return delete(dam, user) if number == CALLERS // 2 else upsert(dam, user, number, is_active=True)

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(run, range(CALLERS)))
    assert all(answer.out_of_date for number, answer in enumerate(answers) if number != CALLERS // 2)
    assert tables.found(dam, f"SELECT id FROM users WHERE id = '{user}'") == []
    assert stored(dam, user) == [CALLERS]
