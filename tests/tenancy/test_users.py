from typing import Any

import pytest

from tests.tenancy.world import World
from wsauthz.model.errors import EmailTaken, InvalidArgument, UserNotFound
from wsauthz.model.users import UserKind
from wsauthz.tenancy import users
from wsauthz.tenancy.mirroring import UserEvent, upsert


def test_a_user_is_created_once_and_changed_afterwards(dam: World) -> None:
    made = dam.write("", upsert, UserEvent(user_id="auth0|ann", email="  Ann@Example.com ", name=" Ann "))
    user = made.user
    assert user is not None
    assert made.created
    assert (user.kind, user.is_active, user.email, user.name) == (UserKind.HUMAN, True, "ann@example.com", "Ann")
    again = dam.write("", upsert, UserEvent(user_id="auth0|ann", kind=UserKind.SERVICE))
    changed = again.user
    assert changed is not None
    assert not again.created
    assert (changed.kind, changed.name, changed.created_at) == (UserKind.SERVICE, "Ann", user.created_at)
    assert dam.read("auth0|ann", users.get, user_id="auth0|ann").user == changed


def test_an_upsert_that_changes_nothing_makes_no_revision(dam: World) -> None:
    dam.user("ann")
    before = dam.revision
    dam.write("", upsert, UserEvent(user_id="ann", name="Ann", email="ANN@example.com", is_active=True))
    assert dam.revision == before


def test_a_new_address_is_unverified_until_somebody_says_otherwise(dam: World) -> None:
    dam.user("ann")
    for values, expected in (
        ({"email": "other@example.com"}, ("other@example.com", False)),
        ({"email_verified": True}, ("other@example.com", True)),
        ({"email": "Other@example.com"}, ("other@example.com", True)),
        ({"email": ""}, (None, False)),
    ):
        user = dam.write("", upsert, UserEvent(user_id="ann", **values)).user
        assert user is not None
        assert (user.email, user.email_verified) == expected


def test_an_address_belongs_to_one_user(dam: World) -> None:
    dam.user("ann")
    with pytest.raises(EmailTaken):
        dam.write("", upsert, UserEvent(user_id="bob", email="ANN@EXAMPLE.COM"))


def test_texts_of_users_are_checked(dam: World) -> None:
    wrong: dict[str, Any] = {
        "email": ["nobody", "a b@c", "a@b@c"],
        "name": ["a\0b", "x" * 256],
        "image_url": ["x" * 2049],
    }
    for field, values in wrong.items():
        for value in values:
            with pytest.raises(InvalidArgument) as refused:
                dam.write("", upsert, UserEvent(user_id="ann", **{field: value}))
            assert refused.value.field == field


def test_nothing_can_be_verified_without_an_address(dam: World) -> None:
    with pytest.raises(InvalidArgument):
        dam.write("", upsert, UserEvent(user_id="ann", email_verified=True))


def test_a_deactivated_user_is_refused_at_once(dam: World) -> None:
    dam.user("ann")
    workspace = dam.workspace("ann")
    assert dam.may("ann", workspace, "workspace", "view")
    dam.write("", upsert, UserEvent(user_id="ann", is_active=False))
    assert not dam.may("ann", workspace, "workspace", "view")


def test_you_see_yourself_your_members_and_as_an_operator_everybody(dam: World) -> None:
    for user in ("ann", "bob", "cid", "eve"):
        dam.user(user)
    workspace = dam.workspace("ann")
    dam.add("ann", workspace, "bob", "member")
    dam.add("ann", workspace, "cid", "viewer")
    assert dam.read("bob", users.get, user_id="bob").user.id == "bob"
    assert dam.read("bob", users.get, user_id="ann").user.id == "ann"
    assert dam.read("op", users.get, user_id="eve").user.id == "eve"
    for actor, user in (("cid", "bob"), ("eve", "ann"), ("ann", "eve"), ("op", "nobody"), ("nobody", "nobody")):
        with pytest.raises(UserNotFound):
            dam.read(actor, users.get, user_id=user)
