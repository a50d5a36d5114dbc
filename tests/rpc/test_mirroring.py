"""Many users at once: in their order, each alone, and the same as one by one."""

from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rpc import tables
from tests.rpc.tenants import Tenants
from tests.serving import Refusal, attempt, refusal
from wsauthz.v1 import users_pb2 as pb

CREATED, CHANGED, UNCHANGED, OUT_OF_DATE, FAILED = range(1, 6)


def batch(tenants: Tenants, *events: dict[str, Any], request_id: str = "") -> list[pb.BatchUpsertUsersResult]:
    request = pb.BatchUpsertUsersRequest(users=[pb.UserEvent(**each) for each in events], request_id=request_id)
    return list(tenants.client().users.BatchUpsertUsers(request).results)


def outcomes(tenants: Tenants, *events: dict[str, Any]) -> list[int]:
    return [int(result.outcome) for result in batch(tenants, *events)]


def row(tenants: Tenants, user: str) -> dict[str, Any]:
    (found,) = tables.found(tenants, f"SELECT * FROM users WHERE id = '{user}'")
    return found


def test_each_item_says_what_became_of_it(dam: Tenants) -> None:
    old, taken = dam.user(), dam.user()
    batch(dam, {"user_id": "b-late", "source_version": 7})
    results = batch(
        dam,
        {"user_id": "b-new", "email": "New@Example.com", "source_version": 3},
        {"user_id": old, "name": "Renamed"},
        {"user_id": old, "name": "Renamed"},
        {"user_id": "b-late", "name": "Late", "source_version": 7},
        {"user_id": "b-late", "name": "Without"},
        {"user_id": "b-bad", "email": "<a@b>"},
        {"user_id": "b-taken", "email": f"{taken}@example.com"},
        {"user_id": "b bad"},
        {"user_id": "b-kind", "kind": 99},
        {"user_id": "b-new", "name": "Newer", "source_version": 4},
    )
    kinds = [CREATED, CHANGED, UNCHANGED, OUT_OF_DATE, *[FAILED] * 5, CHANGED]
    assert [result.outcome for result in results] == kinds
    reasons = ["SOURCE_VERSION_REQUIRED", "INVALID_ARGUMENT", "EMAIL_TAKEN", "INVALID_ARGUMENT", "INVALID_ARGUMENT"]
    assert [result.reason for result in results[4:9]] == reasons
    assert [result.field for result in results[4:9]] == ["source_version", "email", "email", "user_id", "kind"]
    assert all(result.error for result in results[4:9])
    assert [result.source_version for result in (results[0], results[3], results[9])] == [3, 7, 4]
    assert (row(dam, "b-new")["name"], row(dam, "b-new")["email"]) == ("Newer", "new@example.com")
    assert row(dam, old)["name"] == "Renamed"
    assert row(dam, "b-late")["name"] == ""
    assert tables.found(dam, "SELECT id FROM users WHERE id IN ('b-bad', 'b-taken', 'b-kind')") == []


def test_a_batch_is_one_revision_and_repeating_it_is_none(dam: Tenants) -> None:
    events = [{"user_id": f"one-{number}", "email": f"one-{number}@example.com"} for number in range(1_000)]
    before = int(dam.revision.split(".")[1])
    assert outcomes(dam, *events) == [CREATED] * 1_000
    revision = dam.revision
    assert int(revision.split(".")[1]) == before + 1
    assert outcomes(dam, *events) == [UNCHANGED] * 1_000
    assert dam.revision == revision
    ids = tables.found(dam, "SELECT target_id FROM audit_entries WHERE method = 'UserService/BatchUpsertUsers'")
    assert {event["user_id"] for event in events} <= {each["target_id"] for each in ids}


def test_a_decision_sees_everything_that_a_batch_did(dam: Tenants) -> None:
    users = [dam.user() for _ in range(3)]
    workspaces = [dam.workspace(user).id for user in users]
    batch(dam, *({"user_id": user, "is_active": False} for user in users[:2]))
    reasons = [dam.reason(user, workspace) for user, workspace in zip(users, workspaces, strict=True)]
    assert reasons == ["USER_INACTIVE", "USER_INACTIVE", ""]


def test_addresses_pass_from_one_to_another_in_their_order(dam: Tenants) -> None:
    one, two = dam.user(), dam.user()
    first, second = f"{one}@example.com", f"{two}@example.com"
    early = {"user_id": "heir", "email": first}
    assert outcomes(dam, early, {"user_id": one, "email": ""}) == [FAILED, CHANGED]
    assert outcomes(dam, early) == [CREATED]
    swap = [{"user_id": "heir", "email": ""}, {"user_id": two, "email": first}, {"user_id": "heir", "email": second}]
    assert outcomes(dam, *swap) == [CHANGED] * 3
    assert (row(dam, two)["email"], row(dam, "heir")["email"], row(dam, one)["email"]) == (first, second, None)
    assert not row(dam, "heir")["email_verified"]
    there_and_back = [{"user_id": two, "email": ""}, {"user_id": "heir", "name": "H"}, {"user_id": two, "email": first}]
    assert outcomes(dam, *there_and_back) == [CHANGED] * 3
    assert row(dam, two)["email"] == first


@pytest.mark.parametrize("count", [0, 1_001])
def test_a_batch_has_a_limit(dam: Tenants, count: int) -> None:
    request = pb.BatchUpsertUsersRequest(users=[pb.UserEvent(user_id="u")] * count)
    refused = refusal(dam.client().users.BatchUpsertUsers, request)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("users",))


def test_a_retry_gets_the_first_answer(dam: Tenants) -> None:
    event = {"user_id": "retried", "name": "Once"}
    first = batch(dam, event, request_id="r-1")
    assert batch(dam, event, request_id="r-1") == first
    assert first[0].outcome == CREATED


def test_a_deleted_account_does_not_come_back_in_a_batch(dam: Tenants) -> None:
    user = dam.user()
    batch(dam, {"user_id": user, "source_version": 7})
    dam.client(user).users.DeleteAccount(pb.DeleteAccountRequest())
    assert outcomes(dam, {"user_id": user, "source_version": 7}) == [OUT_OF_DATE]
    assert outcomes(dam, {"user_id": user, "source_version": 8}) == [CREATED]


EVENTS = st.lists(
    st.fixed_dictionaries(
        {"user_id": st.sampled_from(["a", "A", "a.", "b"])},
        optional={
            "email": st.sampled_from(["", "x@b", "X@B", "y@b", "z@b", "\u200bx@b"]),
            "name": st.sampled_from(["", "N", " N ", "\u202e"]),
            "email_verified": st.booleans(),
            "is_active": st.booleans(),
            "source_version": st.integers(-1, 4),
        },
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS, st.data())
def test_a_batch_does_what_the_single_calls_do(dam: Tenants, events: list[dict[str, Any]], data: st.DataObject) -> None:
    """Two sets of users go the same way, one event by event and the other in batches of any size."""
    run = str(next(_runs))
    one, many = (_named(events, f"{side}{run}-") for side in ("one", "many"))
    singly = [_single(dam, event) for event in one]
    batched: list[tuple[str, str]] = []
    while many:
        size = data.draw(st.integers(1, len(many)))
        batched += [(_OUTCOMES[each.outcome], each.reason) for each in batch(dam, *many[:size])]
        many = many[size:]
    assert batched == singly
    assert _rows(dam, f"many{run}-") == _rows(dam, f"one{run}-")


_runs = iter(range(10_000))
_OUTCOMES = {CREATED: "created", CHANGED: "kept", UNCHANGED: "kept", OUT_OF_DATE: "out of date", FAILED: "failed"}


def _named(events: list[dict[str, Any]], prefix: str) -> list[dict[str, Any]]:
    named = []
    for event in events:
        email = {"email": f"{prefix}{event['email']}"} if event.get("email") else {}
        named.append({**event, "user_id": f"{prefix}{event['user_id']}", **email})
    return named


def _single(tenants: Tenants, event: dict[str, Any]) -> tuple[str, str]:
    answer: Any = attempt(tenants.client().users.UpsertUser, pb.UpsertUserRequest(**event))
    if isinstance(answer, Refusal):
        return "failed", answer.reason
    if answer.out_of_date:
        return "out of date", ""
    return ("created" if answer.created else "kept"), ""


def _rows(tenants: Tenants, prefix: str) -> list[tuple[Any, ...]]:
    query = (
        "SELECT id, email, email_verified, name, is_active, source_version FROM users "
        f"LEFT JOIN user_versions ON user_id = id WHERE substr(id, 1, {len(prefix)}) = '{prefix}' ORDER BY id"
    )
    found = [tuple(each.values()) for each in tables.found(tenants, query)]
    return [tuple(value.removeprefix(prefix) if isinstance(value, str) else value for value in each) for each in found]
