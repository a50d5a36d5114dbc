"""Users, mirrored from the application."""

from dataclasses import replace
from typing import Any

from wsauthz.model.errors import InvalidArgument, UserNotFound
from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.model.users import User, UserKind
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import changes
from wsauthz.store import users as user_rows
from wsauthz.tenancy import texts
from wsauthz.tenancy.transaction import Reading, Transaction


def upsert(
    tx: Transaction,
    *,
    user_id: str,
    kind: UserKind | None = None,
    is_active: bool | None = None,
    email: str | None = None,
    email_verified: bool | None = None,
    name: str | None = None,
    image_url: str | None = None,
) -> tuple[User, bool]:
    """Create the user or change the given fields; return it, and whether it is new. An empty ``email`` removes it.

    A new address is unverified unless ``email_verified`` says otherwise.

    Raises:
        InvalidArgument: a text is not what its field may hold. EmailTaken: another user has the address.

    """
    old = user_rows.find(tx.connection, user_id)
    values: dict[str, Any] = {"kind": kind, "is_active": is_active, "email_verified": email_verified}
    if name is not None:
        values["name"] = texts.line("name", name, texts.NAME_MOST)
    if image_url is not None:
        values["image_url"] = texts.line("image_url", image_url, texts.URL_MOST)
    values = {field: value for field, value in values.items() if value is not None}
    if email is not None:
        values["email"] = texts.email(email) if email.strip() else None
        if values["email"] != (old.email if old else None):
            values.setdefault("email_verified", False)
    new = replace(old or _new(tx, user_id), **values)
    if new.email_verified and new.email is None:
        raise InvalidArgument("email_verified", "needs an email address")
    if new == old:
        return old, False
    new = replace(new, updated_at=tx.now)
    if old is None:
        user_rows.add(tx.connection, new)
    else:
        user_rows.update(tx.connection, user_id, {**values, "updated_at": tx.now})
    if old is None or changes.user(old) != changes.user(new):
        tx.changed(changes.user(new))
    tx.audit("user", user_id, PLATFORM, before=_described(old) if old else None, after=_described(new))
    return new, old is None


def get(reading: Reading, *, user_id: str) -> User:
    """Return the user, if it is the actor, or if the actor may list members where it is one, or view every user.

    Who sees it as a fellow member is not told its default workspace: that may be another tenant's.

    Raises:
        UserNotFound: there is no such user, or none to be seen by the actor.

    """
    actor = reading.actor
    sees_all = user_id == actor or reading.on_loop(
        lambda facts, rules, now: _may_view(facts, rules, now, "user", actor=actor, place=PLATFORM)
    )
    if not sees_all and not reading.on_loop(lambda facts, rules, now: _shares(facts, rules, now, actor, user_id)):
        raise UserNotFound
    user = user_rows.find(reading.connection, user_id)
    if user is None:
        raise UserNotFound
    return user if sees_all else replace(user, default_workspace_id=None)


def _shares(facts: Facts, rules: Ruleset, now: float, actor: str, user: str) -> bool:
    """Tell whether the user is somewhere where the actor may list members."""
    places = {*facts.grants.get(user, ()), *facts.owned.get(user, ())}
    return any(_may_view(facts, rules, now, "member", actor=actor, place=place.key) for place in places)


def _may_view(facts: Facts, rules: Ruleset, now: float, resource: str, *, actor: str, place: PlaceKey) -> bool:
    return decide(facts, rules, now, subject=actor, place=place, resource=resource, action="view").allowed


def _new(tx: Transaction, user_id: str) -> User:
    return User(
        id=user_id,
        kind=UserKind.HUMAN,
        is_active=True,
        email=None,
        email_verified=False,
        name="",
        image_url="",
        default_workspace_id=None,
        created_at=tx.now,
        updated_at=tx.now,
    )


def _described(user: User) -> dict[str, Any]:
    return {
        "kind": int(user.kind),
        "is_active": user.is_active,
        "has_email": user.email is not None,
        "email_verified": user.email_verified,
    }
