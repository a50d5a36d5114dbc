from typing import Any

import pytest

from tests.tenancy.world import World, key
from wsauthz.model.errors import MemberNotFound
from wsauthz.model.places import State
from wsauthz.tenancy import members, workspace_lists, workspace_states
from wsauthz.tenancy.mirroring import UserEvent, upsert
from wsauthz.tenancy.workspace_items import Item
from wsauthz.tenancy.workspace_lists import Position, Switcher


def switcher(world: World, actor: str, *, limit: int = 100, **values: Any) -> Switcher:
    return world.read(actor, workspace_lists.of_user, limit=limit, **values)


def names(world: World, actor: str, **values: Any) -> list[str]:
    return sorted(item.name for item in switcher(world, actor, **values).workspaces)


def all_pages(world: World, actor: str, *, limit: int, **values: Any) -> list[str]:
    found: list[str] = []
    after = ""
    while True:
        page = switcher(world, actor, limit=limit, after=after, **values)
        assert len(page.workspaces) <= limit
        found += [item.id for item in page.workspaces]
        if not page.has_more:
            return found
        assert len(page.workspaces) == limit
        after = found[-1]


@pytest.mark.req("REQ-033", "REQ-077", "REQ-128", "REQ-137")
def test_a_switcher_shows_where_somebody_is_with_role_plan_and_flags(dam: World) -> None:
    own, shared, closed = dam.workspace("ann", "Own"), dam.workspace("bob", "Shared"), dam.workspace("bob", "Closed")
    dam.workspace("bob", "Foreign")
    dam.add("bob", shared, "ann", "viewer")
    dam.add("bob", closed, "ann", "admin")
    dam.update("bob", closed, "ann", is_active=False)
    dam.subscribe(shared, "professional")
    dam.suspend(shared)
    dam.write("bob", workspace_states.deactivate, workspace_id=closed.id)
    page = switcher(dam, "ann", current=shared.id, include_without_access=True)
    assert names(dam, "ann") == ["Own", "Shared"]
    items = {item.name: item for item in page.workspaces}
    assert [item.id for item in page.workspaces] == sorted(each.id for each in (own, shared, closed))
    assert items["Own"] == Item(
        id=own.id,
        name="Own",
        slug="own",
        image_url="",
        plan="",
        role="owner",
        is_owner=True,
        is_active=True,
        is_suspended=False,
        state=State.ACTIVE,
        organization_id=None,
        parent_workspace_id=None,
        is_current=False,
    )
    found = items["Shared"]
    assert (found.role, found.plan, found.is_suspended, found.state) == (
        "viewer",
        "professional",
        True,
        State.SUSPENDED,
    )
    assert (found.is_current, page.current_workspace) == (True, found)
    found = items["Closed"]
    assert (found.role, found.is_active, found.state) == ("", False, State.INACTIVE)


@pytest.mark.req("REQ-128")
def test_somebody_without_workspaces_has_an_empty_list(dam: World) -> None:
    page = switcher(dam, "nobody", current="nowhere")
    assert (page.workspaces, page.has_more, page.current_workspace) == ((), False, None)
    assert not page.can_create_child_workspace


@pytest.mark.req("REQ-076", "REQ-078")
def test_a_switcher_can_be_searched_and_says_what_may_be_created(dam: World) -> None:
    dam.user("ann")
    studio = dam.workspace("ann", "Zürich STUDIO")
    shared = dam.workspace("bob", "Other")
    dam.add("bob", shared, "ann", "viewer")
    assert names(dam, "ann", query="zÜRICH") == ["Zürich STUDIO"]
    assert names(dam, "ann", query="z-rich-st") == ["Zürich STUDIO"]
    assert names(dam, "ann", query=" ") == ["Other", "Zürich STUDIO"]
    assert names(dam, "ann", manageable_only=True) == ["Zürich STUDIO"]
    page = switcher(dam, "ann", query="nothing", current=studio.id)
    assert page.workspaces == ()
    assert (page.can_create_workspace, page.can_create_child_workspace) == (True, True)
    page = switcher(dam, "ann", current=shared.id)
    assert (page.can_create_workspace, page.can_create_child_workspace) == (True, False)
    foreign = dam.workspace("bob", "Foreign")
    assert switcher(dam, "ann", current=foreign.id).current_workspace is None


def test_roles_that_flow_down_are_listed_those_from_the_platform_on_request(dam: World) -> None:
    parent = dam.workspace("ann", "Parent")
    dam.child("ann", dam.child("ann", parent, "Child"), "Grandchild")
    dam.add("ann", parent, "bob", "admin")
    dam.add("ann", parent, "cid", "viewer")
    assert names(dam, "bob", include_inherited=False) == ["Parent"]
    assert names(dam, "bob") == names(dam, "bob", include_inherited=True) == ["Child", "Grandchild", "Parent"]
    assert names(dam, "cid", include_inherited=True) == ["Parent"]
    assert names(dam, "op") == []
    assert names(dam, "op", include_inherited=True) == ["Child", "Grandchild", "Parent"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_together_are_the_whole_list(dam: World, limit: int) -> None:
    made = [dam.workspace("ann", f"Number {number}") for number in range(7)]
    assert all_pages(dam, "ann", limit=limit) == sorted(workspace.id for workspace in made)
    assert all_pages(dam, "ann", limit=limit, query="number") == sorted(workspace.id for workspace in made)
    assert all_pages(dam, "ann", limit=limit, query="number 3") == [made[3].id]
    assert all_pages(dam, "ann", limit=limit, include_inherited=True) == sorted(each.id for each in made)


def test_a_list_longer_than_one_step_is_complete_and_in_order(dam: World) -> None:
    parent = dam.workspace("ann", "Parent")
    children = [dam.child(f"owner{number % 2}", parent, f"Child {number}") for number in range(130)]
    every = sorted(workspace.id for workspace in (parent, *children))
    assert all_pages(dam, "ann", limit=60, include_inherited=True) == every
    assert all_pages(dam, "ann", limit=150, include_inherited=True) == every
    found = all_pages(dam, "ann", limit=10, include_inherited=True, query="child 12")
    assert found == sorted(child.id for child in children if child.name.startswith("Child 12"))
    assert all_pages(dam, "owner1", limit=40, manageable_only=True) == sorted(child.id for child in children[1::2])


@pytest.mark.req("REQ-045")
def test_an_organizations_workspaces_are_ones_own_or_all_with_the_right(oneglanse: World) -> None:
    roof = oneglanse.organization("ann")
    mine = oneglanse.workspace("ann", "Mine", organization_id=roof.id)
    oneglanse.add("ann", roof, "bob")
    his = oneglanse.workspace("bob", "His", organization_id=roof.id)
    oneglanse.workspace("bob", "Elsewhere")

    def listed(actor: str, organization_id: str = roof.id) -> list[str]:
        found, more = oneglanse.read(
            actor, workspace_lists.of_organization, organization_id=organization_id, after="", limit=10
        )
        assert not more
        return [item.id for item in found]

    assert listed("bob") == [his.id]
    assert listed("ann") == sorted([mine.id, his.id])
    assert listed("op") == sorted([mine.id, his.id])
    assert listed("stranger") == []
    assert listed("ann", "nowhere") == []


@pytest.mark.req("REQ-046")
@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_all_workspaces_are_grouped_by_organization_in_order_of_names(dam: World, limit: int) -> None:
    zoo, ant = dam.organization("ann", "Zoo"), dam.organization("ann", "Ant")
    dam.organization("ann", "Empty")
    for name, roof in (("B", zoo), ("A", zoo), ("C", ant)):
        dam.workspace("ann", name, organization_id=roof.id)
    dam.workspace("ann", "Alone")
    dam.workspace("bob", "Foreign")
    found: list[tuple[str, str]] = []
    after: Position | None = None
    while True:
        groups, after = dam.read("ann", workspace_lists.grouped, after=after, limit=limit)
        found += [
            (group.organization.name if group.organization else "", item.name)
            for group in groups
            for item in group.workspaces
        ]
        assert sum(len(group.workspaces) for group in groups) <= limit
        if after is None:
            break
    assert found == [("Ant", "C"), ("Zoo", "A"), ("Zoo", "B"), ("", "Alone")]


@pytest.mark.req("REQ-073")
def test_children_are_listed_to_those_who_may_view_them(dam: World) -> None:
    parent = dam.workspace("ann")
    dam.add("ann", parent, "bob", "viewer")
    made = sorted((dam.child("ann", parent) for _ in range(3)), key=lambda child: child.id)
    dam.add("ann", made[1], "bob", "viewer")
    dam.child("ann", made[0])
    found, more = dam.read("ann", workspace_lists.children, workspace_id=parent.id, after="", limit=2)
    rest, _ = dam.read("ann", workspace_lists.children, workspace_id=parent.id, after=found[-1].id, limit=2)
    assert ([item.id for item in found + rest], more) == ([child.id for child in made], True)
    found, _ = dam.read("bob", workspace_lists.children, workspace_id=parent.id, after="", limit=2)
    assert [item.id for item in found] == [made[1].id]


@pytest.mark.req("REQ-047")
def test_members_are_listed_with_what_is_known_of_the_users(dam: World) -> None:
    workspace = dam.workspace("ann")
    dam.user("bob")
    dam.add("ann", workspace, "bob", "viewer")
    dam.add("ann", workspace, "cid", "admin")
    dam.add("ann", workspace, "eve")
    dam.remove("ann", workspace, "eve")
    found, more = dam.read("ann", members.list_, place=key(workspace), limit=2)
    rest, no_more = dam.read("ann", members.list_, place=key(workspace), after="bob", limit=2)
    assert (more, no_more) == (True, False)
    listed = found + rest
    assert [member.membership.user_id for member in listed] == ["ann", "bob", "cid"]
    assert [(member.user_name, member.user_email, member.is_owner) for member in listed] == [
        ("", "", True),
        ("Bob", "bob@example.com", False),
        ("", "", False),
    ]
    assert listed[1].membership == dam.member(workspace, "bob")


def test_members_can_be_searched(dam: World) -> None:
    workspace = dam.workspace("ann")
    for user in ("bob", "cid"):
        dam.user(user)
        dam.add("ann", workspace, user, "viewer")
    dam.update("ann", workspace, "cid", is_active=False)
    dam.write("", upsert, UserEvent(user_id="bob", name="BöB"))

    def listed(**values: Any) -> list[str]:
        found, _ = dam.read("ann", members.list_, place=key(workspace), limit=10, **values)
        return [member.membership.user_id for member in found]

    assert listed(query="bÖb") == ["bob"]
    assert listed(query="example.COM") == ["bob", "cid"]
    assert listed(query="%") == []
    assert listed(role="viewer") == ["bob", "cid"]
    assert listed(is_active=False) == ["cid"]
    assert listed(role="viewer", is_active=True) == ["bob"]


@pytest.mark.req("REQ-052")
def test_one_member_is_shown_while_it_is_one(dam: World) -> None:
    roof = dam.organization("ann")
    dam.add("ann", roof, "bob")
    assert dam.read("ann", members.get, place=key(roof), user_id="bob").membership.role == "member"
    dam.remove("ann", roof, "bob")
    for user in ("bob", "nobody"):
        with pytest.raises(MemberNotFound):
            dam.read("ann", members.get, place=key(roof), user_id=user)
