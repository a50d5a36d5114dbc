"""LookupWorkspaces and LookupSubjects: paged, and always what asking Check one by one says."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.rpc.conftest import serving, sqlite_database
from tests.rpc.tenants import STATE, Tenants
from tests.serving import Refusal, attempt, refusal
from wsauthz.v1 import authorization_pb2 as pb

USERS = ("ada", "bea", "cat", "dan", "eve", "fay", "gil", "olga", "owen", "root", "lone")
ROLES = ("admin", "member", "viewer")
WORKSPACES = tuple(f"w{number:02}" for number in range(20))
QUESTIONS = (
    "workspace view",
    "workspace update",
    "dam:asset read",
    "dam:asset delete",
    "analytics:report read",
    "child suspend",
)


def _workspace(number: int) -> dict[str, Any]:
    """Return one of twenty workspaces: three trees in an organization, the rest deeper or alone."""
    return {
        "id": WORKSPACES[number],
        "owner": "owen" if number % 2 else "lone",
        "is_suspended": number % 5 == 2,
        "is_active": number % 11 != 5,
        **({"modules": ["dam"]} if number % 7 == 3 else {}),
        **({"parent": WORKSPACES[number // 3]} if 3 <= number < 15 else {}),
        **({"organization": "acme"} if number < 15 else {}),
    }


def _membership(number: int, step: int) -> dict[str, Any]:
    """Return the membership of a user in a workspace; those of some users are odd."""
    odd: dict[int, dict[str, Any]] = {
        3: {"modules": ["analytics"]},
        4: {"is_active": number % 2 == 0},
        5: {"expires_at": "2020-01-01T00:00:00Z" if number % 2 else "2999-01-01T00:00:00Z"},
    }
    return {
        "workspace": WORKSPACES[number],
        "user": USERS[step],
        "role": ROLES[(number + step) % 3],
        **odd.get(step, {}),
    }


def _world() -> dict[str, Any]:
    """Return a forest of twenty workspaces with members spread over it."""
    numbers = range(len(WORKSPACES))
    members = [_membership(number, step) for number in numbers for step in range(7) if (number * 7 + step * 3) % 5 < 2]
    return {
        "users": [{"id": user} for user in ("ada", "bea", "eve")] + [{"id": "gil", "is_active": False}],
        "organizations": [{"id": "acme"}],
        "workspaces": [_workspace(number) for number in numbers],
        "memberships": [
            *STATE["memberships"],
            *members,
            {"organization": "acme", "user": "olga", "role": "organization-owner"},
        ],
    }


@pytest.fixture(scope="module")
def world(sqlite_template: Path) -> Iterator[Tenants]:
    with serving(sqlite_database(sqlite_template), "dam", _world()) as tenants:
        yield tenants


def question(text: str) -> dict[str, Any]:
    resource, _, action = text.partition(" ")
    return {"resource": resource, "action": action}


def workspaces(world: Tenants, subject: str, text: str, *, size: int = 0, **fields: Any) -> list[str]:
    found: list[str] = []
    token = ""
    while True:
        request = pb.LookupWorkspacesRequest(
            subject=subject, page_size=size, page_token=token, **question(text), **fields
        )
        page = world.client().authorization.LookupWorkspaces(request)
        assert len(page.workspace_ids) <= (size or 100)
        found += page.workspace_ids
        token = page.next_page_token
        if not token:
            return found


def subjects(world: Tenants, text: str, *, size: int = 0, **fields: Any) -> list[str]:
    found: list[str] = []
    token = ""
    while True:
        request = pb.LookupSubjectsRequest(page_size=size, page_token=token, **question(text), **fields)
        page = world.client().authorization.LookupSubjects(request)
        assert len(page.user_ids) <= (size or 100)
        found += page.user_ids
        token = page.next_page_token
        if not token:
            return found


def allowed(world: Tenants, pairs: list[tuple[str, str]], text: str, module: str = "") -> list[tuple[str, str]]:
    """Return those of the pairs of user and workspace that Check allows."""
    resource, _, action = text.partition(" ")
    items = [
        pb.BatchCheckItem(
            subject=user, workspace_id=workspace, resource=resource, actions=[action], required_module=module
        )
        for user, workspace in pairs
    ]
    answers = world.client().authorization.BatchCheck(pb.BatchCheckRequest(items=items)).answers
    return [pair for pair, one in zip(pairs, answers, strict=True) if one.decision == pb.DECISION_ALLOW]


@pytest.mark.parametrize("module", ["", "analytics"])
@pytest.mark.parametrize("text", QUESTIONS)
def test_both_lookups_are_what_check_says_one_by_one(world: Tenants, text: str, module: str) -> None:
    by_user = {user: [(user, workspace) for workspace in WORKSPACES] for user in USERS}
    for user, pairs in by_user.items():
        found = workspaces(world, user, text, size=3, required_module=module)
        assert found == [workspace for _, workspace in allowed(world, pairs, text, module)], user
    for workspace in WORKSPACES:
        pairs = [(user, workspace) for user in sorted(USERS)]
        found = subjects(world, text, size=2, workspace_id=workspace, required_module=module)
        assert found == [user for user, _ in allowed(world, pairs, text, module)], workspace


@pytest.mark.req("REQ-071")
def test_operators_and_admins_of_places_above_are_found(world: Tenants) -> None:
    assert "root" in subjects(world, "workspace update", workspace_id="w01")
    assert "olga" in subjects(world, "workspace update", workspace_id="w01")
    assert workspaces(world, "root", "workspace view") == list(WORKSPACES)


def test_subjects_at_the_platform_and_in_an_organization(world: Tenants) -> None:
    assert subjects(world, "organization view", organization_id="acme") == ["olga", "root"]
    assert subjects(world, "policy reload", platform=True) == ["root"]
    assert subjects(world, "workspace create", platform=True) == ["ada", "bea", "eve", "root"]


def test_nobody_and_nowhere(world: Tenants) -> None:
    assert workspaces(world, "stranger", "workspace view") == []
    assert subjects(world, "workspace view", workspace_id="unknown") == []


@pytest.mark.parametrize("size", [1, 7, 19, 20, 21, 1000])
def test_the_size_of_a_page_changes_nothing(world: Tenants, size: int) -> None:
    assert workspaces(world, "root", "workspace view", size=size) == list(WORKSPACES)


def test_the_size_may_change_between_pages(world: Tenants) -> None:
    lookup = world.client().authorization.LookupWorkspaces
    asked: dict[str, Any] = {"subject": "root", "resource": "workspace", "action": "view"}
    first = lookup(pb.LookupWorkspacesRequest(page_size=4, **asked))
    second = lookup(pb.LookupWorkspacesRequest(page_size=100, page_token=first.next_page_token, **asked))
    assert [*first.workspace_ids, *second.workspace_ids] == list(WORKSPACES)


def test_a_negative_size_is_refused(world: Tenants) -> None:
    asked: dict[str, Any] = {"subject": "root", "resource": "workspace", "action": "view"}
    refused = refusal(world.client().authorization.LookupWorkspaces, pb.LookupWorkspacesRequest(page_size=-1, **asked))
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("page_size",))


def test_a_token_is_only_good_for_the_same_question_of_the_same_caller(world: Tenants) -> None:
    lookup = world.client().authorization.LookupWorkspaces
    asked: dict[str, Any] = {"subject": "root", "resource": "workspace", "action": "view", "page_size": 3}
    token = lookup(pb.LookupWorkspacesRequest(**asked)).next_page_token
    assert lookup(pb.LookupWorkspacesRequest(page_token=token, **asked)).workspace_ids
    for other in (
        {"subject": "ada"},
        {"action": "update"},
        {"resource": "dam:asset", "action": "read"},
        {"required_module": "dam"},
    ):
        refused = refusal(lookup, pb.LookupWorkspacesRequest(page_token=token, **{**asked, **other}))
        assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("page_token",)), other
    refused = refusal(
        world.client("ada").authorization.LookupWorkspaces, pb.LookupWorkspacesRequest(page_token=token, **asked)
    )
    assert refused.fields == ("page_token",)
    subject_lookup = pb.LookupSubjectsRequest(workspace_id="w01", resource="workspace", action="view", page_token=token)
    assert refusal(world.client().authorization.LookupSubjects, subject_lookup).fields == ("page_token",)


def test_a_token_with_any_bit_changed_is_refused(world: Tenants) -> None:
    lookup = world.client().authorization.LookupWorkspaces
    asked: dict[str, Any] = {"subject": "root", "resource": "workspace", "action": "view", "page_size": 3}
    token = lookup(pb.LookupWorkspacesRequest(**asked)).next_page_token
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1
        tampered = base64.urlsafe_b64encode(bytes(changed)).decode().rstrip("=")
        refused = refusal(lookup, pb.LookupWorkspacesRequest(page_token=tampered, **asked))
        assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("page_token",))
    for other in ("x", "=", "é", "\n", token + token, token[:-1], "A" * 10_000):
        assert refusal(lookup, pb.LookupWorkspacesRequest(page_token=other, **asked)).fields == ("page_token",)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"subject": "a b", "resource": "workspace", "action": "view"}, "subject"),
        ({"subject": "ada", "resource": "nonsense", "action": "view"}, "resource"),
        ({"subject": "ada", "resource": "workspace", "action": "fly"}, "action"),
        ({"subject": "ada", "resource": "workspace", "action": ""}, "action"),
    ],
)
def test_a_malformed_lookup_of_workspaces_is_refused(world: Tenants, fields: dict[str, Any], named: str) -> None:
    refused = refusal(world.client().authorization.LookupWorkspaces, pb.LookupWorkspacesRequest(**fields))
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (named,))


def test_a_lookup_of_subjects_without_a_place_finds_none_or_is_refused(world: Tenants) -> None:
    """Without a place Check denies, so there is nobody; never the platform."""
    for request in (
        pb.LookupSubjectsRequest(resource="workspace", action="create"),
        pb.LookupSubjectsRequest(workspace_id="", resource="workspace", action="create"),
        pb.LookupSubjectsRequest(platform=False, resource="workspace", action="create"),
    ):
        found = attempt(world.client().authorization.LookupSubjects, request)
        assert found.code == grpc.StatusCode.INVALID_ARGUMENT if isinstance(found, Refusal) else not found.user_ids
