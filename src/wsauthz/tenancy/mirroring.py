"""Users as the application mirrors them: events about users, one or many, applied in their order."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from wsauthz.model import texts
from wsauthz.model.errors import EmailTaken, InvalidArgument, Refused, SourceVersionRequired
from wsauthz.model.places import PLATFORM
from wsauthz.model.targets import Target
from wsauthz.model.users import User, UserKind
from wsauthz.store import bulk, changes
from wsauthz.store import users as user_rows
from wsauthz.tenancy.transaction import Transaction

_SOURCE_VERSION: Final = "source_version"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserEvent:
    """The fields of a user that an event sets; None: unchanged, or the default of a new user. Empty ``email``: none."""

    user_id: str
    kind: UserKind | None = None
    is_active: bool | None = None
    email: str | None = None
    email_verified: bool | None = None
    name: str | None = None
    image_url: str | None = None
    source_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upserted:
    """The result of creating or changing a user."""

    user: User | None
    """None: the account was deleted, and the event is out of date."""
    created: bool = False
    changed: bool = False
    """Something was written, be it only the source_version."""
    out_of_date: bool = False
    """The user has this source_version or a higher one already, so nothing was changed."""
    source_version: int | None = None
    """The latest one of the user; None: it has none."""


def upsert(tx: Transaction, event: UserEvent) -> Upserted:
    """Create the user or change the given fields.

    A new address is unverified unless ``email_verified`` says otherwise. A ``source_version`` that is not above the
    user's latest one changes nothing, also after the account was deleted.

    Raises:
        InvalidArgument: a text is not what its field may hold, or the version is negative. EmailTaken: another user has
        the address. SourceVersionRequired: the user has a version, and none is given.

    """
    (found,) = upsert_many(tx, [event])
    if isinstance(found, Refused):
        raise found
    return found


def upsert_many(tx: Transaction, events: Sequence[UserEvent]) -> list[Upserted | Refused]:
    """Apply the events one after the other, and return the result of each; one that is refused changes nothing."""
    given = [_checked(event) for event in events]
    addresses = {values["email"] for values in given if isinstance(values, Mapping) and values.get("email")}
    mirror = _read(tx, {event.user_id for event in events}, addresses)
    results: list[Upserted | Refused] = []
    for event, values in zip(events, given, strict=True):
        try:
            results.append(mirror.apply(event, values))
        except Refused as refused:
            refused.target = Target(kind="user", identifier=event.user_id)
            results.append(refused)
    mirror.write()
    return results


@dataclass(slots=True, kw_only=True)
class _Mirror:
    """The users of some events: as they are stored, and as they will be."""

    tx: Transaction
    before: Mapping[str, User]
    users: dict[str, User]
    versions: dict[str, int]
    """Latest source_version by user; of deleted accounts as well."""
    holders: dict[str, str]
    """Address -> the user who has it."""
    raised: dict[str, int] = field(default_factory=dict)
    """The versions that have to be written."""

    def apply(self, event: UserEvent, values: Mapping[str, Any] | InvalidArgument) -> Upserted:
        """Apply one event; ``values`` are its checked fields, or what is wrong with them."""
        user_id, version = event.user_id, event.source_version
        old, known = self.users.get(user_id), self.versions.get(user_id)
        if not _is_newer(version, known):
            return Upserted(user=old, out_of_date=True, source_version=known)
        if isinstance(values, InvalidArgument):
            raise values
        new = _merged(self.tx, old, user_id, values)
        if new == old and version is None:
            return Upserted(user=old)
        self._move(old, new)
        new = self.users[user_id] = replace(new, updated_at=self.tx.now)
        before, after = _described(old) if old else {}, _described(new)
        if version is not None:
            self.versions[user_id] = self.raised[user_id] = version
            before, after = {**before, _SOURCE_VERSION: known}, {**after, _SOURCE_VERSION: version}
        self.tx.audit("user", user_id, PLATFORM, before=before, after=after)
        return Upserted(user=new, created=old is None, changed=True, source_version=version)

    def _move(self, old: User | None, new: User) -> None:
        """Give the user its address, and free the one that it had."""
        if new.email is not None and self.holders.setdefault(new.email, new.id) != new.id:
            raise EmailTaken
        if old is not None and old.email is not None and old.email != new.email:
            self.holders.pop(old.email, None)

    def write(self) -> None:
        """Write the users as they are now; addresses may have passed from one to another."""
        connection = self.tx.connection
        added = [user for user_id, user in self.users.items() if user_id not in self.before]
        changed = [user for user_id, user in self.users.items() if self.before.get(user_id, user) != user]
        addresses = ((user.id, self.before[user.id].email) for user in changed)
        taken = [user_id for user_id, email in addresses if email and self.holders.get(email, user_id) != user_id]
        bulk.park(connection, User, "email", taken)
        bulk.change(connection, changed)
        user_rows.add(connection, *added)
        user_rows.put_source_versions(connection, self.raised)
        for user in (*changed, *added):
            stored = self.before.get(user.id)
            if stored is None or changes.user(stored) != changes.user(user):
                self.tx.changed(changes.user(user))


def _read(tx: Transaction, user_ids: Collection[str], addresses: Collection[str]) -> _Mirror:
    """Return the users as they are stored, and who has the addresses."""
    found = user_rows.find_many(tx.connection, user_ids)
    holders = bulk.holders_of_emails(tx.connection, addresses)
    holders |= {user.email: user.id for user in found.values() if user.email is not None}
    versions = user_rows.source_versions(tx.connection, user_ids)
    return _Mirror(tx=tx, before=found, users=dict(found), versions=versions, holders=holders)


def _checked(event: UserEvent) -> Mapping[str, Any] | InvalidArgument:
    """Return the fields that the event sets as they are stored, or what is wrong with one of them."""
    names = ("kind", "is_active", "email_verified")
    values = {name: value for name in names if (value := getattr(event, name)) is not None}
    try:
        if event.name is not None:
            values["name"] = texts.line("name", event.name, texts.NAME_MOST)
        if event.image_url is not None:
            values["image_url"] = texts.line("image_url", event.image_url, texts.URL_MOST)
        if event.email is not None:
            values["email"] = texts.email(event.email) if event.email.strip() else None
    except InvalidArgument as wrong:
        return wrong
    return values


def _is_newer(version: int | None, known: int | None) -> bool:
    """Tell whether an event with the version, None: without one, comes after what is known of the user."""
    if version is None:
        if known is not None:
            raise SourceVersionRequired(known)
        return True
    if version < 0:
        raise InvalidArgument(_SOURCE_VERSION, "must not be negative")
    return known is None or version > known


def _merged(tx: Transaction, old: User | None, user_id: str, values: Mapping[str, Any]) -> User:
    """Return the user with the values."""
    base = old or new_user(user_id, tx.now)
    new = replace(base, **values)
    if new.email != base.email and "email_verified" not in values:
        new = replace(new, email_verified=False)
    if new.email_verified and new.email is None:
        raise InvalidArgument("email_verified", "needs an email address")
    return new


def new_user(user_id: str, now: datetime) -> User:
    """Return a user of whom nothing is known but the id."""
    return User(
        id=user_id,
        kind=UserKind.HUMAN,
        is_active=True,
        email=None,
        email_verified=False,
        name="",
        image_url="",
        default_workspace_id=None,
        created_at=now,
        updated_at=now,
    )


def _described(user: User) -> dict[str, Any]:
    return {
        "kind": int(user.kind),
        "is_active": user.is_active,
        "has_email": user.email is not None,
        "email_verified": user.email_verified,
    }
