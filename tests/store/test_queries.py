from datetime import timedelta

import pytest

from tests.store import samples
from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.store import invitations, invite_codes, memberships, organizations, subscriptions, users, workspaces
from wsauthz.store import tables as t
from wsauthz.store.database import Database

LATER = samples.NOW + timedelta(hours=1)


def test_users_are_found_by_id_and_by_address(database: Database) -> None:
    ann, bob = samples.user("ann", email="ann@example.com"), samples.user("bob")
    with database.write() as connection:
        users.add(connection, ann)
        users.add(connection, bob)
        assert users.find_by_email(connection, "ann@example.com") == ann
        assert users.find_by_email(connection, "") is None
        assert users.find_many(connection, ["bob", "ann", "cleo"]) == {"ann": ann, "bob": bob}
        users.update(connection, "bob", {"name": "Bob", "updated_at": LATER})
        assert users.find(connection, "bob") == samples.user("bob", name="Bob", updated_at=LATER)
        users.remove(connection, "ann")
        assert users.find(connection, "ann") is None


def test_more_ids_can_be_asked_for_than_a_statement_takes(database: Database) -> None:
    with database.write() as connection:
        samples.add_many(connection, t.users, (samples.user(f"u{number}") for number in range(2500)))
        assert len(users.find_many(connection, (f"u{number}" for number in range(40_000)))) == 2500


def test_deleted_places_are_not_found(database: Database) -> None:
    with database.write() as connection:
        organizations.add(connection, samples.organization("o"))
        workspaces.add(connection, samples.workspace("w", organization_id="o"))
        users.add(connection, samples.user("ann", default_workspace_id="w"))
        assert organizations.find_by_slug(connection, "o") == samples.organization("o")
        workspaces.delete(connection, ["w"], now=LATER)
        organizations.update(connection, "o", {"deleted_at": LATER})
        assert workspaces.find(connection, "w") is None
        assert workspaces.find_many(connection, ["w"]) == {}
        assert organizations.find(connection, "o") is None
        assert organizations.find_by_slug(connection, "o") is None
        assert organizations.find_many(connection, ["o"]) == {}
        assert [*organizations.every(connection), *workspaces.every(connection)] == []
        ann = users.find(connection, "ann")
    assert ann is not None
    assert (ann.default_workspace_id, ann.updated_at) == (None, LATER)


def test_slugs_alike_are_listed_for_the_next_free_one(database: Database) -> None:
    with database.write() as connection:
        for slug in ("team", "team-2", "team-x", "teams", "tea", "te_m", "te_m-2"):
            organizations.add(connection, samples.organization(slug))
            workspaces.add(connection, samples.workspace(slug, organization_id="team"))
        workspaces.add(connection, samples.workspace("team-9"))
        workspaces.delete(connection, ["team-x"], now=LATER)
        assert organizations.slugs_like(connection, "team") == {"team", "team-2", "team-x"}
        assert organizations.slugs_like(connection, "te_m") == {"te_m", "te_m-2"}
        assert workspaces.slugs_like(connection, "team", "team") == {"team", "team-2"}


@pytest.fixture
def members(database: Database) -> Database:
    with database.write() as connection:
        organizations.add(connection, samples.organization("o"))
        workspaces.add(connection, samples.workspace("w", organization_id="o"))
        for number, name in enumerate(("Ärger", "Bob_by", "Cleo", "Dan")):
            users.add(connection, samples.user(f"u{number}", name=name, email=f"{number}%@example.com"))
            memberships.add(
                connection,
                samples.membership(
                    f"m{9 - number}",
                    f"u{number}",
                    workspace_id="w",
                    role="admin" if number > 1 else "member",
                    is_active=number != 3,
                    joined_at=samples.NOW - timedelta(days=number),
                ),
            )
        memberships.add(connection, samples.membership("x", "unknown", workspace_id="w"))
        memberships.add(connection, samples.membership("y", "u0", organization_id="o"))
        memberships.add(connection, samples.membership("z", "u0"))
    return database


def test_members_are_paged_by_user(members: Database) -> None:
    pages, after = [], ""
    with members.read() as connection:
        while found := memberships.page(connection, ("workspace", "w"), after=after, limit=2):
            pages.append([membership.user_id for membership in found])
            after = pages[-1][-1]
        at_platform = memberships.page(connection, PLATFORM, after="", limit=10)
    assert pages == [["u0", "u1"], ["u2", "u3"], ["unknown"]]
    assert [membership.id for membership in at_platform] == ["z"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"query": "B_B"}, ["u1"]),
        ({"query": "_"}, ["u1"]),
        ({"query": "%"}, ["u0", "u1", "u2", "u3"]),
        ({"query": "2%@EXAMPLE"}, ["u2"]),
        ({"query": "nobody"}, []),
        ({"role": "admin"}, ["u2", "u3"]),
        ({"is_active": False}, ["u3"]),
        ({"is_active": True, "role": "admin", "query": "cle"}, ["u2"]),
    ],
)
def test_members_are_searched_and_filtered(members: Database, wanted: dict[str, object], found: list[str]) -> None:
    with members.read() as connection:
        page = memberships.page(connection, ("workspace", "w"), after="", limit=10, **wanted)  # type: ignore[arg-type]
    assert [membership.user_id for membership in page] == found


def test_memberships_are_listed_by_user_and_by_place(members: Database) -> None:
    with members.read() as connection:
        of_user = memberships.of_user(connection, "u0")
        of_places = memberships.of_places(connection, [("organization", "o"), ("workspace", "w")])
    assert [membership.id for membership in of_user] == ["m9", "y", "z"]
    assert [membership.user_id for membership in of_places] == ["u0", "u0", "u1", "u2", "u3", "unknown"]


def test_the_longest_standing_member_with_a_role_counts_only_while_it_counts(members: Database) -> None:
    with members.write() as connection:
        place: PlaceKey = ("workspace", "w")
        roles = ["admin", "member"]

        def first(besides: str = "") -> str | None:
            return memberships.longest_standing(connection, place, roles, besides=besides, now=samples.NOW)

        assert first() == "u2"
        assert first(besides="u2") == "u1"
        memberships.update(connection, "m7", {"expires_at": samples.NOW})
        assert first() == "u1"
        assert memberships.longest_standing(connection, place, ["none"], besides="", now=samples.NOW) is None


def test_removed_members_are_not_found(members: Database) -> None:
    with members.write() as connection:
        memberships.remove(connection, ["y", "z"], now=LATER)
        assert [membership.id for membership in memberships.of_user(connection, "u0")] == ["m9"]
        assert memberships.find(connection, PLATFORM, "u0") is None


@pytest.mark.req("REQ-020", "REQ-021", "REQ-022")
def test_an_invitation_is_spent_once_and_in_time(members: Database) -> None:
    with members.write() as connection:
        invitations.add(connection, samples.invitation("i1", "w"), token_hash="h1")
        invitations.add(connection, samples.invitation("i2", "w", expires_at=LATER), token_hash="h2")
        found = invitations.find_by_token(connection, "h1")
        assert found is not None
        assert found.id == "i1"
        assert invitations.find_by_token(connection, "h9") is None
        pending = invitations.pending_to(connection, "w", "bob@example.com", now=samples.NOW)
        assert [invitation.id for invitation in pending] == ["i1", "i2"]
        assert not invitations.accept(connection, "i2", accepted_by="bob", now=LATER)
        assert invitations.accept(connection, "i1", accepted_by="bob", now=LATER)
        assert not invitations.accept(connection, "i1", accepted_by="bob", now=LATER)
        assert invitations.pending_by(connection, "ann", now=LATER) == []
        assert not invitations.revoke(connection, "i1", now=LATER)


def test_a_revoked_invitation_forgets_its_token(members: Database) -> None:
    with members.write() as connection:
        for number in range(3):
            invitations.add(connection, samples.invitation(f"i{number}", "w"), token_hash=f"h{number}")
        assert invitations.revoke(connection, "i0", now=LATER)
        assert not invitations.revoke(connection, "i0", now=LATER)
        assert invitations.find_by_token(connection, "h0") is None
        invitations.accept(connection, "i1", accepted_by="bob", now=LATER)
        invitations.revoke_in(connection, ["w"], now=LATER)
        revoked = {invitation.id: invitation.revoked_at for invitation in invitations.every(connection)}
    assert revoked == {"i0": LATER, "i1": None, "i2": LATER}


@pytest.mark.req("REQ-007", "REQ-036")
def test_an_invite_code_opens_its_workspace_until_it_is_rotated_or_switched_off(members: Database) -> None:
    with members.write() as connection:
        assert invite_codes.find(connection, "w") is None
        invite_codes.put(connection, "w", "ONE", is_enabled=True, now=samples.NOW)
        assert invite_codes.find_workspace(connection, "ONE") == "w"
        assert invite_codes.find_workspace(connection, "one") is None
        invite_codes.put(connection, "w", "TWO", is_enabled=True, now=LATER)
        assert invite_codes.find_workspace(connection, "ONE") is None
        assert invite_codes.find_workspace(connection, "TWO") == "w"
        invite_codes.put(connection, "w", "TWO", is_enabled=False, now=LATER)
        assert invite_codes.find(connection, "w") == ("TWO", False)
        assert invite_codes.find_workspace(connection, "TWO") is None
        invite_codes.remove(connection, ["w"])
        assert invite_codes.find(connection, "w") is None


def test_subscriptions_are_changed_in_place(members: Database) -> None:
    with members.write() as connection:
        assert subscriptions.find(connection, "w") is None
        subscriptions.add(connection, samples.subscription("w"))
        subscriptions.update(connection, "w", {"plan": "free"})
        assert list(subscriptions.every(connection)) == [samples.subscription("w", plan="free")]
