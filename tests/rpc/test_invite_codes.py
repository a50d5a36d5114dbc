"""Invite codes: who sees them, what rotating does, and where they never are."""

import logging
import re
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import generate_latest
from sqlalchemy import select

from tests.rpc.conftest import MakeDatabase, serving, sqlite_database
from tests.rpc.tenants import STATE, Tenants
from tests.serving import refusal
from wsauthz.store.tables import metadata
from wsauthz.v1 import invitations_pb2 as pb
from wsauthz.v1 import memberships_pb2, organizations_pb2, workspaces_pb2

DENIED = grpc.StatusCode.PERMISSION_DENIED
NOT_FOUND = grpc.StatusCode.NOT_FOUND
CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{20}")


def get(tenants: Tenants, actor: str, workspace: str) -> pb.GetInviteCodeResponse:
    return tenants.client(actor).invitations.GetInviteCode(pb.GetInviteCodeRequest(workspace_id=workspace))


def rotate(tenants: Tenants, actor: str, workspace: str, **fields: Any) -> pb.RotateInviteCodeResponse:
    request = pb.RotateInviteCodeRequest(workspace_id=workspace, **fields)
    return tenants.client(actor).invitations.RotateInviteCode(request)


def join_info(tenants: Tenants, actor: str, workspace: str) -> pb.GetJoinInfoResponse:
    return tenants.client(actor).invitations.GetJoinInfo(pb.GetJoinInfoRequest(workspace_id=workspace))


def join(tenants: Tenants, code: str, actor: str = "", **fields: Any) -> str:
    request = pb.JoinByCodeRequest(code=code, **fields)
    actor = actor or tenants.user()
    return tenants.client(actor).invitations.JoinByCode(request).joined.workspace.id


def joining(tenants: Tenants, code: str) -> str:
    return refusal(tenants.client(tenants.user()).invitations.JoinByCode, pb.JoinByCodeRequest(code=code)).reason


# --- seeing -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-007", "REQ-035")
def test_every_workspace_has_a_code_from_the_beginning(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    codes = []
    for _ in range(3):
        found = get(oneglanse, owner, oneglanse.workspace(owner).id)
        assert found.is_enabled
        assert CODE.fullmatch(found.code)
        codes.append(found.code)
    assert len(set(codes)) == 3


@pytest.mark.req("REQ-035")
@pytest.mark.parametrize("bundle", ["eventpalour", "default", "dam", "oneglanse"])
def test_a_plain_member_sees_neither_the_code_nor_how_to_change_it(sqlite_template: Path, bundle: str) -> None:
    with serving(sqlite_database(sqlite_template), bundle) as tenants:
        owner = tenants.user()
        workspace = tenants.workspace(owner).id
        member, stranger = tenants.member(owner, workspace), tenants.user()
        for method, request in (
            ("GetInviteCode", pb.GetInviteCodeRequest(workspace_id=workspace)),
            ("RotateInviteCode", pb.RotateInviteCodeRequest(workspace_id=workspace)),
        ):
            refused = refusal(getattr(tenants.client(member).invitations, method), request)
            assert refused.code == DENIED
            foreign = refusal(getattr(tenants.client(stranger).invitations, method), request)
            unknown = type(request)(workspace_id="workspace_unknown")
            assert foreign == refusal(getattr(tenants.client(stranger).invitations, method), unknown)
            assert foreign.code == NOT_FOUND
        assert CODE.fullmatch(get(tenants, owner, workspace).code)


@pytest.mark.parametrize("method", ["GetInviteCode", "RotateInviteCode", "GetJoinInfo"])
@pytest.mark.parametrize("workspace", ["", "a b", "x" * 129, "-", "\0"])
def test_a_malformed_id_is_an_invalid_argument(sqlite_oneglanse: Tenants, method: str, workspace: str) -> None:
    request = getattr(pb, f"{method}Request")(workspace_id=workspace)
    refused = refusal(getattr(sqlite_oneglanse.client("ann").invitations, method), request)
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("workspace_id",))


# --- rotating ---------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-036")
def test_a_rotated_code_is_dead_at_once_and_members_stay(oneglanse: Tenants) -> None:
    owner, member = oneglanse.user(), oneglanse.user()
    workspace = oneglanse.workspace(owner).id
    old = get(oneglanse, owner, workspace).code
    assert join(oneglanse, old, member) == workspace
    rotated = rotate(oneglanse, owner, workspace)
    assert CODE.fullmatch(rotated.code)
    assert rotated.is_enabled
    assert rotated.code != old
    assert rotated.revision == oneglanse.revision
    assert joining(oneglanse, old) == "WORKSPACE_NOT_FOUND"
    assert get(oneglanse, owner, workspace).code == rotated.code
    assert oneglanse.reason(member, workspace) == ""
    assert join(oneglanse, rotated.code) == workspace


@pytest.mark.req("REQ-036")
def test_a_code_is_switched_off_and_never_comes_back(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    workspace = oneglanse.workspace(owner).id
    old = get(oneglanse, owner, workspace).code
    off = rotate(oneglanse, owner, workspace, disable=True)
    assert (off.code, off.is_enabled) == ("", False)
    shown = get(oneglanse, owner, workspace)
    assert (shown.code, shown.is_enabled) == ("", False)
    assert joining(oneglanse, old) == "WORKSPACE_NOT_FOUND"
    before = oneglanse.revision
    again = rotate(oneglanse, owner, workspace, disable=True)
    assert (again.code, again.is_enabled, again.revision) == ("", False, before)
    on = rotate(oneglanse, owner, workspace)
    assert on.is_enabled
    assert joining(oneglanse, old) == "WORKSPACE_NOT_FOUND"
    assert join(oneglanse, on.code) == workspace


@pytest.mark.req("REQ-036")
def test_a_repeated_rotation_rotates_once_and_does_not_tell_the_code_again(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    workspace = oneglanse.workspace(owner).id
    first = rotate(oneglanse, owner, workspace, request_id="rotate")
    second = rotate(oneglanse, owner, workspace, request_id="rotate")
    assert (second.code, second.is_enabled, second.revision) == ("", True, first.revision)
    assert get(oneglanse, owner, workspace).code == first.code


def test_rotating_is_audited_without_the_code(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    workspace = oneglanse.workspace(owner).id
    rotate(oneglanse, owner, workspace)
    rotate(oneglanse, owner, workspace, disable=True)
    entries = metadata.tables["audit_entries"]
    found = select(entries).where(entries.c.place_id == workspace, entries.c.target_kind == "invite_code")
    with oneglanse.server.server.database.read() as connection:
        rows = connection.execute(found.order_by(entries.c.number)).all()
    assert [(row.actor, row.method, row.target_id, row.before, row.after) for row in rows] == [
        (owner, "InvitationService/RotateInviteCode", workspace, before, after)
        for before, after in (
            ({"is_enabled": True}, {"is_enabled": True, "rotated": True}),
            ({"is_enabled": True}, {"is_enabled": False, "rotated": True}),
        )
    ]


# --- without a row ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bundle", "is_enabled"), [("oneglanse", True), ("default", False)])
def test_a_workspace_that_never_had_a_code_gets_one_by_rotating(
    make_database: MakeDatabase, bundle: str, is_enabled: bool
) -> None:
    workspaces = [{"id": each, "owner": "ann"} for each in ("workspace_a", "workspace_b")]
    with serving(
        make_database(), bundle, {**STATE, "users": [*STATE["users"], {"id": "ann"}], "workspaces": workspaces}
    ) as tenants:
        shown = get(tenants, "ann", "workspace_a")
        assert (shown.code, shown.is_enabled) == ("", False)
        # Nobody has switched its other ways off, where there are others.
        assert join_info(tenants, "ann", "workspace_a").is_enabled == is_enabled
        if is_enabled:
            assert join(tenants, "workspace_a") == "workspace_a"
        else:
            assert joining(tenants, "workspace_a") == "WORKSPACE_NOT_FOUND"
        assert join(tenants, rotate(tenants, "ann", "workspace_a").code) == "workspace_a"
        rotate(tenants, "ann", "workspace_b", disable=True)
        assert not join_info(tenants, "ann", "workspace_b").is_enabled
        assert joining(tenants, "workspace_b") == "WORKSPACE_NOT_FOUND"


# --- join info --------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-048")
def test_a_member_is_told_by_which_names_others_join(oneglanse: Tenants) -> None:
    owner = oneglanse.user()
    organization = oneglanse.organization(owner, "Acme Corp")
    workspace = oneglanse.workspace(owner, "Marketing Team", organization_id=organization.id)
    member = oneglanse.member(owner, workspace.id)
    info = join_info(oneglanse, member, workspace.id)
    assert (info.organization_code, info.workspace_code) == (organization.slug, workspace.id)
    assert (info.organization.id, info.organization.name) == (organization.id, "Acme Corp")
    assert (info.workspace.id, info.workspace.name, info.workspace.slug) == (
        workspace.id,
        "Marketing Team",
        "marketing-team",
    )
    assert list(info.join_methods) == ["invite_code", "workspace_id", "organization_workspace", "organization"]
    assert info.is_enabled
    for code in (info.organization_code, info.workspace_code, f"{info.organization_code}/{info.workspace.slug}"):
        assert join(oneglanse, code) == workspace.id
    rotate(oneglanse, owner, workspace.id, disable=True)
    assert not join_info(oneglanse, member, workspace.id).is_enabled


@pytest.mark.req("REQ-048")
def test_a_stand_alone_workspace_has_no_code_of_an_organization(make_database: MakeDatabase) -> None:
    with serving(make_database(), "default") as tenants:
        owner = tenants.user()
        workspace = tenants.workspace(owner).id
        info = join_info(tenants, owner, workspace)
        assert (info.organization_code, info.workspace_code) == ("", workspace)
        assert not info.HasField("organization")
        assert list(info.join_methods) == ["invite_code"]
        assert info.is_enabled
        request = pb.GetJoinInfoRequest(workspace_id=workspace)
        foreign = refusal(tenants.client(tenants.user()).invitations.GetJoinInfo, request)
        assert (foreign.code, foreign.reason) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")


# --- secrecy ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-035")
def test_codes_are_nowhere_but_where_they_belong(oneglanse: Tenants, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    owner, user = oneglanse.user(), oneglanse.user()
    workspace = oneglanse.workspace(owner).id
    first = get(oneglanse, owner, workspace).code
    join(oneglanse, first, user, request_id="join")
    second = rotate(oneglanse, owner, workspace, request_id="rotate").code
    guessed = "CANARYCANARYCANARY00"
    assert joining(oneglanse, guessed) == "WORKSPACE_NOT_FOUND"
    assert joining(oneglanse, first) == "WORKSPACE_NOT_FOUND"
    rotate(oneglanse, owner, workspace, disable=True)
    third = rotate(oneglanse, owner, workspace).code
    request = memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=user)
    oneglanse.client(owner).memberships.RemoveMember(request)
    refused = refusal(oneglanse.client(user).invitations.JoinByCode, pb.JoinByCodeRequest(code=third))
    assert refused.reason == "REMOVED"

    server = oneglanse.server.server
    seen = "".join(str(record.__dict__) for record in caplog.records)
    assert "InvitationService/JoinByCode" in seen
    seen += generate_latest(server.metrics.registry).decode() + str(refused)
    with server.database.read() as connection:
        for table in metadata.sorted_tables:
            rows = [str(tuple(row)) for row in connection.execute(select(table))]
            seen += "".join(row for row in rows if table.name != "invite_codes" or third not in row)
    shown = workspaces_pb2.GetWorkspaceRequest(workspace_id=workspace)
    seen += str(oneglanse.client(owner).workspaces.GetWorkspace(shown))
    mine = organizations_pb2.ListUserOrganizationsRequest()
    seen += str(oneglanse.client(owner).organizations.ListUserOrganizations(mine))
    for code in (first, second, third, guessed):
        assert code not in seen
