"""One import at work: what the file says, what is in the database, what is wrong, and what will be written."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wsauthz.model.places import PlaceKey
from wsauthz.policy.problems import Problem
from wsauthz.policy.state_file import Record, State
from wsauthz.store import bulk
from wsauthz.store import invite_codes as invite_code_rows
from wsauthz.store import users as user_rows
from wsauthz.store.database import Connection
from wsauthz.store.rows import batches
from wsauthz.tenancy import places
from wsauthz.tenancy.transaction import Transaction


@dataclass(slots=True)
class Pile:
    """The nouns of one kind that are to be written."""

    added: list[Any] = field(default_factory=list)
    changed: list[Any] = field(default_factory=list)
    unchanged: int = 0
    park: tuple[str, set[str]] = ("", set())
    """A column, and the ids of the rows that give up what is unique there to another one."""
    put: Callable[[Connection, Iterable[Any]], None] | None = None
    """Stores what is no noun with an id, be it new or changed."""


@dataclass(slots=True, kw_only=True)
class Work:
    """An import within its transaction."""

    tx: Transaction
    state: State
    allow_platform: bool
    allow_unknown_users: bool
    problems: list[Problem] = field(default_factory=list)
    piles: dict[str, Pile] = field(default_factory=dict)
    """Kind -> what is to be written, in the order of writing."""
    codes: dict[str, str] = field(default_factory=dict)
    """Workspace id -> the invite code it is to have from now on."""
    coded: set[str] = field(default_factory=set)
    """Those of the workspaces that have one now."""
    joinable: dict[str, bool] = field(default_factory=dict)
    """Workspace id -> whether people may join it by code from now on, where that changes."""
    versions: dict[str, int] = field(default_factory=dict)
    """Id of a user, or of a deleted account -> its source_version in the file."""
    known_versions: dict[str, int] = field(default_factory=dict)
    """The same of those that have one in the database."""
    user_ids: set[str] = field(default_factory=set)
    """The users in the file."""
    organization_ids: set[str] = field(default_factory=set)
    """The organizations in the file."""
    organizations: dict[str, str | None] = field(default_factory=dict)
    """Id of a workspace in the file -> the organization it is in."""
    depths: dict[str, int] = field(default_factory=dict)
    """Id of a workspace in the file -> how many workspaces there are from its root to it."""

    def records(self, kind: str) -> tuple[Record, ...]:
        """Return the file's records of a kind."""
        return self.state.records[kind]

    def refuse(self, record: Record, text: str) -> None:
        """Note what is wrong with a record."""
        self.problems.append(Problem(file=self.state.file, line=record.line, text=f"{record.kind}: {text}"))

    def keep(self, kind: str, before: Any | None, after: Any) -> None:
        """Put a noun on its pile; ``before`` is the one in the database, None if there is none."""
        pile = self.piles.setdefault(kind, Pile())
        if before is None:
            pile.added.append(after)
        elif before != after:
            pile.changed.append(after if pile.put else replace(after, updated_at=self.tx.now))
        else:
            pile.unchanged += 1

    def check_user(self, record: Record, key: str, user_id: str) -> None:
        """Refuse a record that gives something to a user who is neither in the file nor in the database."""
        if not (self.allow_unknown_users or user_id in self.user_ids or user_id in self.tx.facts.users):
            self.refuse(record, f"{key}: there is no user {user_id!r} (--allow-unknown-users imports it anyway)")

    def has(self, place: PlaceKey) -> bool:
        """Tell whether the place is in the file or in the database."""
        kind, identifier = place
        listed = self.organizations if kind == "workspace" else self.organization_ids
        return identifier in listed or place in self.tx.facts.places

    def organization_of(self, workspace_id: str) -> str | None:
        """Return the organization that a workspace is in; None if it stands alone."""
        if workspace_id in self.organizations:
            return self.organizations[workspace_id]
        return places.organization_of(self.tx.facts.places["workspace", workspace_id])

    def settle(
        self, kind: str, column: str, wanted: Iterable[tuple[Record, str, Any]], held: Mapping[Any, str]
    ) -> None:
        """See that what is unique stays so: (record, id, value or None) as it will be, and value -> id as it is.

        Rows of the file may exchange values: who gives one up is parked while the others are written.
        """
        final = list(wanted)
        mentioned = {identifier for _, identifier, _ in final}
        taken: dict[Any, Record] = {}
        moving: set[str] = set()
        for record, identifier, value in final:
            if value is None:
                continue
            first = taken.setdefault(value, record)
            holder = held.get(value)
            if first is not record:
                self.refuse(record, f"{column}: line {first.line} has the same")
            elif holder is not None and holder != identifier:
                if holder in mentioned:
                    moving.add(holder)
                else:
                    self.refuse(record, f"{column}: is taken by the {kind} {holder!r}")
        self.piles.setdefault(kind, Pile()).park = (column, moving)

    def write(self, advance: Callable[[int], None]) -> None:
        """Write everything; ``advance`` is told how many nouns have been."""
        connection = self.tx.connection
        for pile in self.piles.values():
            if pile.put is not None:
                pile.put(connection, [*pile.changed, *pile.added])
                advance(len(pile.changed) + len(pile.added) + pile.unchanged)
                continue
            column, moving = pile.park
            if moving:
                bulk.park(connection, type(pile.changed[0]), column, sorted(moving))
            for nouns, put in ((pile.changed, bulk.change), (pile.added, bulk.add)):
                for some in batches(nouns):
                    put(connection, some)
                    advance(len(some))
            advance(pile.unchanged)
        changed = {user: version for user, version in self.versions.items() if self.known_versions.get(user) != version}
        user_rows.put_source_versions(connection, changed)
        bulk.put_codes(connection, self.codes, self.coded, now=self.tx.now)
        for value in (True, False):
            switched = [workspace_id for workspace_id, wanted in self.joinable.items() if wanted is value]
            invite_code_rows.switch(connection, switched, is_enabled=value)
