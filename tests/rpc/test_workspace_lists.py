from collections.abc import Callable
from typing import Any

import grpc
import pytest

from tests.rpc.tenants import Tenants
from tests.serving import refusal
from wsauthz.v1 import memberships_pb2, places_pb2, workspace_states_pb2
from wsauthz.v1 import workspaces_pb2 as pb


def listed(tenants: Tenants, actor: str, **fields: Any) -> pb.ListUserWorkspacesResponse:
    return tenants.client(actor).workspaces.ListUserWorkspaces(pb.ListUserWorkspacesRequest(**fields))


def ids(items: Any) -> list[str]:
    return [item.id for item in items]


def every_page(page_of: Callable[[str], Any], items_of: Callable[[Any], list[str]]) -> list[str]:
    found, token = [], ""
    for _ in range(50):
        page = page_of(token)
        found += items_of(page)
        token = page.next_page_token
        if not token:
            return found
    raise AssertionError("the pages do not end")


# --- ListUserWorkspaces -----------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-033", "REQ-071", "REQ-076", "REQ-077", "REQ-128", "REQ-137")
def test_a_switcher_shows_each_workspace_with_the_role_there(dam: Tenants) -> None:
    user, other = dam.user(), dam.user()
    owned = dam.workspace(user, "Owned", image_url="https://x/logo")
    joined = dam.workspace(other, "Joined")
    dam.member(other, joined.id, user=user, role="viewer")
    dam.workspace(other, "Foreign")
    items = {item.id: item for item in listed(dam, user).workspaces}
    assert set(items) == {owned.id, joined.id}
    item = items[owned.id]
    assert (item.name, item.slug, item.image_url, item.role) == ("Owned", "owned", "https://x/logo", "owner")
    assert (item.is_owner, item.is_active, item.is_suspended, item.is_current) == (True, True, False, False)
    assert item.state == places_pb2.STATE_ACTIVE
    assert (items[joined.id].role, items[joined.id].is_owner) == ("viewer", False)


@pytest.mark.req("REQ-137")
def test_suspended_and_inactive_ones_are_listed_and_those_of_a_deactivated_member_on_request(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    suspended, inactive, left = (dam.workspace(owner, name).id for name in ("A", "B", "C"))
    for workspace in (suspended, inactive, left):
        dam.member(owner, workspace, user=user)
    states = dam.operator.states
    states.SuspendWorkspace(workspace_states_pb2.SuspendWorkspaceRequest(workspace_id=suspended))
    states.DeactivateWorkspace(workspace_states_pb2.DeactivateWorkspaceRequest(workspace_id=inactive))
    update = memberships_pb2.UpdateMemberRequest(workspace_id=left, user_id=user, is_active=False)
    update.update_mask.paths.append("is_active")
    dam.client(owner).memberships.UpdateMember(update)
    assert set(ids(listed(dam, user).workspaces)) == {suspended, inactive}
    assert set(ids(listed(dam, user, include_inherited=False).workspaces)) == {suspended, inactive}
    items = {item.id: item for item in listed(dam, user, include_without_access=True).workspaces}
    assert set(items) == {suspended, inactive, left}
    assert (items[suspended].is_suspended, items[suspended].state) == (True, places_pb2.STATE_SUSPENDED)
    assert (items[inactive].is_active, items[inactive].state) == (False, places_pb2.STATE_INACTIVE)
    assert items[left].role == ""


@pytest.mark.req("REQ-076")
def test_a_part_of_the_name_or_slug_finds_it_in_any_case(dam: Tenants) -> None:
    user = dam.user()
    blue, green = dam.workspace(user, "Blue Sky").id, dam.workspace(user, "Green Sea", slug="emerald").id
    assert ids(listed(dam, user, query="bLUE").workspaces) == [blue]
    assert ids(listed(dam, user, query="meral").workspaces) == [green]
    assert ids(listed(dam, user, query="ue-sk").workspaces) == [blue]
    assert ids(listed(dam, user, query="%").workspaces) == []
    assert ids(listed(dam, user, query="_").workspaces) == []


@pytest.mark.req("REQ-076", "REQ-077")
def test_the_current_one_is_marked(dam: Tenants) -> None:
    user = dam.user()
    here = dam.workspace(user, "Here").id
    dam.workspace(user, "There")
    answer = listed(dam, user, current_workspace_id=here)
    assert [item.id for item in answer.workspaces if item.is_current] == [here]
    assert (answer.current_workspace.id, answer.current_workspace.is_current) == (here, True)
    assert (answer.can_create_workspace, answer.can_create_child_workspace) == (True, True)


def test_a_current_one_that_may_not_be_viewed_is_not_shown(dam: Tenants) -> None:
    foreign, user = dam.workspace(dam.user()).id, dam.user()
    answer = listed(dam, user, current_workspace_id=foreign)
    assert answer == listed(dam, user, current_workspace_id="workspace_unknown")
    assert not answer.HasField("current_workspace")
    assert not answer.can_create_child_workspace


@pytest.mark.req("REQ-078")
def test_manageable_ones_only(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    managed, seen = dam.workspace(owner).id, dam.workspace(owner).id
    dam.member(owner, managed, user=user, role="viewer", permissions=["can-manage-workspace"])
    dam.member(owner, seen, user=user)
    assert ids(listed(dam, user, manageable_only=True).workspaces) == [managed]
    assert len(listed(dam, user).workspaces) == 2


@pytest.mark.req("REQ-076", "REQ-128")
def test_a_switcher_shows_what_is_inherited_unless_asked_not_to(dam: Tenants) -> None:
    owner, user, plain = dam.user(), dam.user(), dam.user()
    root = dam.workspace(owner).id
    children = [dam.child(owner, root, f"Child {number}").id for number in range(4)]
    dam.member(owner, root, user=user, role="admin")
    dam.member(owner, root, user=plain)
    every = sorted([root, *children])
    assert ids(listed(dam, user).workspaces) == ids(listed(dam, user, include_inherited=True).workspaces) == every
    assert {item.role for item in listed(dam, user).workspaces} == {"admin"}
    assert ids(listed(dam, user, include_inherited=False).workspaces) == [root]
    assert ids(listed(dam, plain).workspaces) == [root]  # a member of the parent is nothing below
    assert [ids(listed(dam, user, query="child 2").workspaces)] == [[children[2]]]
    assert ids(listed(dam, user, manageable_only=True).workspaces) == every


def test_somebody_deactivated_in_a_child_finds_it_by_the_role_from_above(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    root = dam.workspace(owner).id
    child = dam.child(owner, root).id
    dam.member(owner, child, user=user, role="viewer")
    off = memberships_pb2.UpdateMemberRequest(workspace_id=child, user_id=user, is_active=False)
    off.update_mask.paths.append("is_active")
    dam.client(owner).memberships.UpdateMember(off)
    assert ids(listed(dam, user).workspaces) == []
    dam.member(owner, root, user=user, role="admin")
    assert {item.id: item.role for item in listed(dam, user).workspaces} == {root: "admin", child: "admin"}


def test_a_switcher_of_the_platform_s_staff_shows_everybodys_only_on_request(dam: Tenants) -> None:
    foreign = dam.workspace(dam.user()).id
    staff = str(dam.operator.actor)
    assert foreign not in ids(listed(dam, staff, page_size=1000).workspaces)
    assert foreign in every_page(
        lambda token: listed(dam, staff, page_size=1000, page_token=token, include_inherited=True),
        lambda page: ids(page.workspaces),
    )


def test_other_lists_leave_out_what_the_actor_holds_no_role_in(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    organization = dam.organization(owner).id
    kept, left = (dam.workspace(owner, name, organization_id=organization).id for name in ("Kept", "Left"))
    for workspace in (kept, left):
        dam.member(owner, workspace, user=user)
    off = memberships_pb2.UpdateMemberRequest(workspace_id=left, user_id=user, is_active=False)
    off.update_mask.paths.append("is_active")
    dam.client(owner).memberships.UpdateMember(off)
    assert in_organization(dam, user, organization) == [kept]
    answer = dam.client(user).workspaces.ListAllUserWorkspaces(pb.ListAllUserWorkspacesRequest())
    assert [ids(group.workspaces) for group in answer.groups] == [[kept]]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_are_as_one_list_by_id(dam: Tenants, size: int) -> None:
    user = dam.user()
    made = sorted(dam.workspace(user, f"Page {number}").id for number in range(5))

    def page_of(token: str) -> pb.ListUserWorkspacesResponse:
        return listed(dam, user, page_size=size, page_token=token)

    assert every_page(page_of, lambda page: ids(page.workspaces)) == made


def test_a_token_is_for_one_actor_and_one_filter(dam: Tenants) -> None:
    user, other = dam.user(), dam.user()
    for actor in (user, other):
        for number in range(3):
            dam.workspace(actor, f"Page {number}")
    token = listed(dam, user, page_size=1).next_page_token
    assert listed(dam, user, page_size=2, page_token=token).workspaces
    wrong: list[tuple[str, dict[str, Any]]] = [
        (other, {"page_token": token}),
        (user, {"page_token": token, "query": "page"}),
        (user, {"page_token": token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]}),
        (user, {"page_token": "nonsense"}),
        (user, {"page_token": token + "x"}),
    ]
    for actor, fields in wrong:
        refused = refusal(dam.client(actor).workspaces.ListUserWorkspaces, pb.ListUserWorkspacesRequest(**fields))
        assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("page_token",))


def test_a_negative_page_is_refused_and_a_large_one_is_cut(dam: Tenants) -> None:
    user = dam.user()
    dam.workspace(user)
    refused = refusal(dam.client(user).workspaces.ListUserWorkspaces, pb.ListUserWorkspacesRequest(page_size=-1))
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("page_size",))
    assert len(listed(dam, user, page_size=1_000_000).workspaces) == 1


# --- ListOrganizationWorkspaces, ListAllUserWorkspaces ----------------------------------------------------------------


def in_organization(tenants: Tenants, actor: str, organization: str, **fields: Any) -> list[str]:
    request = pb.ListOrganizationWorkspacesRequest(organization_id=organization, **fields)
    return ids(tenants.client(actor).workspaces.ListOrganizationWorkspaces(request).workspaces)


@pytest.mark.req("REQ-045")
def test_a_member_lists_its_own_workspaces_of_an_organization(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    first, second = dam.organization(owner).id, dam.organization(owner).id
    here = dam.workspace(owner, organization_id=first).id
    hidden = dam.workspace(owner, organization_id=first).id
    elsewhere = dam.workspace(owner, organization_id=second).id
    for workspace in (here, elsewhere):
        dam.member(owner, workspace, user=user)
    assert in_organization(dam, user, first) == [here]
    assert in_organization(dam, owner, first) == sorted([here, hidden])


def test_an_owner_of_the_organization_lists_all(dam: Tenants) -> None:
    owner, second = dam.user(), dam.user()
    organization = dam.organization(owner).id
    made = sorted(dam.workspace(owner, organization_id=organization).id for _ in range(3))
    dam.member(owner, organization=organization, user=second, role="organization-owner")
    assert in_organization(dam, second, organization) == made
    assert in_organization(dam, second, organization, page_size=2) == made[:2]


def test_a_foreign_organization_is_as_empty_as_an_unknown_one(dam: Tenants) -> None:
    owner, stranger = dam.user(), dam.user()
    organization = dam.organization(owner).id
    dam.workspace(owner, organization_id=organization)
    assert in_organization(dam, stranger, organization) == []
    assert in_organization(dam, stranger, "organization_unknown") == []


@pytest.mark.req("REQ-046")
def test_all_workspaces_come_by_organization(dam: Tenants) -> None:
    owner, user = dam.user(), dam.user()
    zebra, ant, empty = (dam.organization(owner, name) for name in ("Zebra", "Ant", "Empty"))
    made = {
        "Zebra": [dam.workspace(owner, name, organization_id=zebra.id).id for name in ("b", "a")],
        "Ant": [dam.workspace(owner, "c", organization_id=ant.id).id],
        "": [dam.workspace(owner, "alone").id],
    }
    for workspace in (workspace for group in made.values() for workspace in group):
        dam.member(owner, workspace, user=user)
    dam.member(owner, organization=empty.id, user=user)
    answer = dam.client(user).workspaces.ListAllUserWorkspaces(pb.ListAllUserWorkspacesRequest())
    found = [(group.organization.name, ids(group.workspaces)) for group in answer.groups]
    assert found == [("Ant", made["Ant"]), ("Zebra", list(reversed(made["Zebra"]))), ("", made[""])]
    assert answer.groups[0].organization.slug == ant.slug
    assert not answer.groups[2].HasField("organization")


@pytest.mark.req("REQ-046")
def test_groups_go_on_in_the_next_page(dam: Tenants) -> None:
    user = dam.user()
    organization = dam.organization(user, "Pages").id
    made = [dam.workspace(user, name, organization_id=organization).id for name in ("a", "b", "c")]
    made += [dam.workspace(user, name).id for name in ("d", "e")]

    def page_of(token: str) -> pb.ListAllUserWorkspacesResponse:
        request = pb.ListAllUserWorkspacesRequest(page_size=2, page_token=token)
        return dam.client(user).workspaces.ListAllUserWorkspaces(request)

    def items_of(page: pb.ListAllUserWorkspacesResponse) -> list[str]:
        return [workspace.id for group in page.groups for workspace in group.workspaces]

    assert every_page(page_of, items_of) == made


# --- ListChildWorkspaces ----------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-073")
def test_only_children_that_may_be_viewed_are_listed(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    seen, hidden = dam.child(owner, root, "Seen").id, dam.child(owner, root, "Hidden").id
    dam.child(owner, seen, "Grandchild")
    member = dam.member(owner, root)
    dam.member(owner, seen, user=member, role="viewer")

    def children(actor: str) -> list[str]:
        request = pb.ListChildWorkspacesRequest(workspace_id=root)
        return ids(dam.client(actor).workspaces.ListChildWorkspaces(request).workspaces)

    assert children(member) == [seen]
    assert children(owner) == sorted([seen, hidden])


def test_pages_of_children_leave_none_out(dam: Tenants) -> None:
    owner = dam.user()
    root = dam.workspace(owner).id
    made = [dam.child(owner, root, f"Child {number}").id for number in range(6)]
    member = dam.member(owner, root)
    mine = sorted(made[::2])
    for child in mine:
        dam.member(owner, child, user=member)

    def page_of(token: str) -> pb.ListChildWorkspacesResponse:
        request = pb.ListChildWorkspacesRequest(workspace_id=root, page_size=2, page_token=token)
        return dam.client(member).workspaces.ListChildWorkspaces(request)

    assert every_page(page_of, lambda page: ids(page.workspaces)) == mine


def test_children_of_a_foreign_workspace_are_children_of_none(dam: Tenants) -> None:
    workspace, stranger = dam.workspace(dam.user()).id, dam.user()
    client = dam.client(stranger).workspaces
    foreign = refusal(client.ListChildWorkspaces, pb.ListChildWorkspacesRequest(workspace_id=workspace))
    unknown = refusal(client.ListChildWorkspaces, pb.ListChildWorkspacesRequest(workspace_id="workspace_unknown"))
    assert foreign == unknown
    assert foreign.code == grpc.StatusCode.NOT_FOUND


@pytest.mark.req("REQ-043")
def test_a_left_workspace_leaves_the_first_one_to_come(dam: Tenants) -> None:
    owner = dam.user()
    workspace = dam.workspace(owner).id
    member = dam.member(owner, workspace)
    client = dam.client(member)
    assert not client.workspaces.CheckFirstWorkspace(pb.CheckFirstWorkspaceRequest()).is_first_workspace
    client.memberships.Leave(memberships_pb2.LeaveRequest(workspace_id=workspace))
    assert client.workspaces.CheckFirstWorkspace(pb.CheckFirstWorkspaceRequest()).is_first_workspace
