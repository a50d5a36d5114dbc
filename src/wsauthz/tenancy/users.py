"""Users, mirrored from the application."""

from dataclasses import dataclass, replace
from typing import Any, Final

from wsauthz.model import texts
from wsauthz.model.errors import InvalidArgument, SourceVersionRequired, UserNotFound
from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.model.users import User, UserKind
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import changes
from wsauthz.store import users as user_rows
from wsauthz.tenancy.transaction import Reading, Transaction

_SOURCE_VERSION: Final = "source_version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upserted:
    """The result of creating or changing a user."""

    user: User | None
    """None: the account was deleted, and the call was out of date."""
    created: bool
    out_of_date: bool
    """The user has this source_version or a higher one already, so nothing was changed."""
    source_version: int | None
    """The latest one of the user; None: it has none."""


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
    source_version: int | None = None,
) -> Upserted:
    """Create the user or change the given fields. An empty ``email`` removes it.

    A new address is unverified unless ``email_verified`` says otherwise. A ``source_version`` that is not above the
    user's latest one changes nothing, also after the account was deleted.

    Raises:
        InvalidArgument: a text is not what its field may hold, or the version is negative. EmailTaken: another user has
        the address. SourceVersionRequired: the user has a version, and none is given.

    """
    old = user_rows.find(tx.connection, user_id)
    known = user_rows.source_versions(tx.connection, [user_id]).get(user_id)
    if not _is_newer(source_version, known):
        return Upserted(user=old, created=False, out_of_date=True, source_version=known)
    values = _checked(kind=kind, is_active=is_active, email_verified=email_verified, name=name, image_url=image_url)
    if email is not None:
        values["email"] = texts.email(email) if email.strip() else None
        if values["email"] != (old.email if old else None):
            values.setdefault("email_verified", False)
    new = replace(old or _new(tx, user_id), **values)
    if new.email_verified and new.email is None:
        raise InvalidArgument("email_verified", "needs an email address")
    if new == old and source_version is None:
        return Upserted(user=old, created=False, out_of_date=False, source_version=None)
    new = replace(new, updated_at=tx.now)
    if old is None:
        user_rows.add(tx.connection, new)
    else:
        user_rows.update(tx.connection, user_id, {**values, "updated_at": tx.now})
    if old is None or changes.user(old) != changes.user(new):
        tx.changed(changes.user(new))
    before, after = _described(old) if old else {}, _described(new)
    if source_version is not None:
        user_rows.put_source_versions(tx.connection, {user_id: source_version})
        before, after = {**before, _SOURCE_VERSION: known}, {**after, _SOURCE_VERSION: source_version}
    tx.audit("user", user_id, PLATFORM, before=before, after=after)
    return Upserted(user=new, created=old is None, out_of_date=False, source_version=source_version)


def _checked(*, name: str | None, image_url: str | None, **flags: UserKind | bool | None) -> dict[str, Any]:
    """Return the fields that are given, by name."""
    values: dict[str, Any] = {field: value for field, value in flags.items() if value is not None}
    if name is not None:
        values["name"] = texts.line("name", name, texts.NAME_MOST)
    if image_url is not None:
        values["image_url"] = texts.line("image_url", image_url, texts.URL_MOST)
    return values


def _is_newer(version: int | None, known: int | None) -> bool:
    """Tell whether a call with the version, None: without one, comes after what is known of the user."""
    if version is None:
        if known is not None:
            raise SourceVersionRequired(known)
        return True
    if version < 0:
        raise InvalidArgument(_SOURCE_VERSION, "must not be negative")
    return known is None or version > known


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
