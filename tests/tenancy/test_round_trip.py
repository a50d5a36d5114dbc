"""An export, imported into an empty database, is the same state: same facts, rows and answers."""

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import pytest
from sqlalchemy import Table, delete, insert, select

from tests.oracle import worlds
from tests.oracle.agreement import picture
from tests.oracle.bundles import shipped_bundle
from tests.oracle.plain_rules import counts
from tests.oracle.plain_state import PlaceKey, Policy, path, place_of
from tests.serving import BUNDLES
from tests.store import samples
from tests.store.samples import add_many
from tests.tenancy.world import policy
from wsauthz.cli.state_text import Form, write_state
from wsauthz.metrics import Metrics
from wsauthz.model.memberships import Membership
from wsauthz.model.subscriptions import SubscriptionStatus
from wsauthz.model.workspaces import Branding, WorkspaceSettings
from wsauthz.policy.decision import decide
from wsauthz.policy.state_file import read_state
from wsauthz.replica.replica import Replica
from wsauthz.replica.writing import write
from wsauthz.store import tables
from wsauthz.store.database import Connection, Database
from wsauthz.store.tables import metadata
from wsauthz.tenancy.exports import NOT_EXPORTED, export_state
from wsauthz.tenancy.imports import import_state
from wsauthz.tenancy.transaction import Caller

SHORT, LONG = 4, 100
"""States for each bundle and direction; of the long form there are two directions."""
FEW, MANY = 100, 5_000
"""Questions for each state."""
TEXTS: Final = (
    "",
    "1e3",
    "null",
    "~",
    "true",
    "0123",
    "12:30",
    "- {a: b} # c",
    "\u2028\"'",
    "two\nlines",
    "日本語 😀",
    "=",
)
KEYS: Final = ("", "a b", "null", "1e3", "ключ", "a: b", "#")
NOT_CARRIED: Final = {"updated_at", "code"}
"""Columns that a state file does not have."""
MADE_ANEW: Final = {"memberships", "subscriptions", "module_settings", "invite_codes"}
"""Tables whose `created_at` a state file does not have."""


class Rows:
    """Random rows for every table that an export reads."""

    def __init__(self, chance: Random, rules: Policy, now: datetime) -> None:
        self.chance, self.rules, self.now = chance, rules, now
        self.state = worlds.random_state(chance, rules, size=chance.choice([3, 8, 16]))
        self._make_valid()
        self._bring_organizations()

    def _make_valid(self) -> None:
        """Leave out what the catalog lacks, and what nobody may be given."""
        catalog, state = self.rules.catalog, self.state
        for row in [*state.workspaces.values(), *state.memberships.values()]:
            if row["modules"] is not None:
                row["modules"] = [name for name in row["modules"] if name in catalog.get("modules", {})]
        for row in state.memberships.values():
            row["permissions"] = [name for name in row["permissions"] if name in catalog.get("permissions", {})]
            if row["expires_at"] is not None:
                row["expires_at"] += self.now.timestamp() - worlds.NOW
            role = catalog["roles"].get(row["role"], {"assignable": False})
            if role.get("owner_like"):
                row |= {"modules": None, "expires_at": None}
        state.memberships = {key: row for key, row in state.memberships.items() if self._may_be(row)}
        plans = catalog.get("plans", {})
        for key, row in list(state.subscriptions.items()):
            if plans and row["plan"] not in plans:
                del state.subscriptions[key]

    def _may_be(self, row: Mapping[str, Any]) -> bool:
        role = self.rules.catalog["roles"].get(row["role"])
        return role is not None and role.get("assignable", True) and place_of(row)[0] in role["places"]

    def _bring_organizations(self) -> None:
        """Give everybody who is in a workspace a membership of its organization, of any kind."""
        default = self.rules.catalog["defaults"]["organization"]
        for (place, user), row in list(self.state.memberships.items()):
            above = next((each for each in path(self.state, place) if each[0] == "organization"), None)
            if above is None or above == place or (above, user) in self.state.memberships:
                continue
            if counts(row, self.now.timestamp() - 1):
                brought = {
                    **row,
                    "workspace_id": None,
                    "organization_id": above[1],
                    "role": default,
                    "is_derived": True,
                }
                self.state.put("membership", {**brought, "permissions": []})

    def put(self, connection: Connection) -> None:
        """Store everything."""
        chance, state = self.chance, self.state
        add_many(connection, tables.organizations, map(self._organization, state.organizations.values()))
        ordered = [state.workspaces[key] for key in sorted(state.workspaces, key=state.depth)]
        add_many(connection, tables.workspaces, map(self._workspace, ordered))
        add_many(connection, tables.users, map(self._user, state.users.values()))
        add_many(connection, tables.memberships, self._memberships())
        _insert(connection, tables.user_versions, self._versions())
        _insert(connection, tables.module_settings, self._module_settings())
        _insert(connection, tables.entries, self._visits())
        _insert(connection, tables.invite_codes, self._codes())
        rows = [samples.subscription(**self._subscription(row)) for row in state.subscriptions.values()]
        add_many(connection, tables.subscriptions, rows)
        roles = [each["role"] for (place, _), each in state.memberships.items() if place[0] == "workspace"]
        for number, key in enumerate(state.workspaces):
            if roles and chance.random() < 0.5:
                said = {"email": f"x{number}@example.com", "role": chance.choice(roles), "invited_by": "ann"}
                invitation = samples.invitation(f"i{number}", key, **said, **self._times("created_at", "expires_at"))
                add_many(connection, tables.invitations, [invitation])

    def _time(self) -> datetime:
        return self.now + timedelta(microseconds=self.chance.randint(-(10**12), 10**12))

    def _times(self, *names: str) -> dict[str, datetime]:
        return {name: self._time() for name in names}

    def _text(self) -> str:
        return self.chance.choice(TEXTS).strip()

    def _organization(self, row: Mapping[str, Any]) -> Any:
        slug = f"s{list(self.state.organizations).index(row['id'])}"
        name = " ".join(self._text().split()) or "x"
        said = {"is_suspended": row["is_suspended"], "name": name, "slug": slug}
        return samples.organization(row["id"], **said, **self._times("created_at"))

    def _user(self, row: Mapping[str, Any]) -> Any:
        email = f"{list(self.state.users).index(row['id'])}@example.com" if self.chance.random() < 0.7 else None
        default = self.chance.choice([None, *self.state.workspaces])
        said = {"email": email, "email_verified": email is not None and self.chance.random() < 0.5}
        named = {"name": " ".join(self._text().split()), "default_workspace_id": default}
        return samples.user(row["id"], is_active=row["is_active"], **said, **named, **self._times("created_at"))

    def _workspace(self, row: dict[str, Any]) -> Any:
        chance = self.chance
        kept = {name: value for name, value in row.items() if name not in {"id", "child_workspaces", "modules"}}
        features = {} if row["child_workspaces"] is None else {"child_workspaces": row["child_workspaces"]}
        providers = list(self.rules.catalog.get("providers", {}))
        return samples.workspace(
            row["id"],
            **kept,
            modules=tuple(row["modules"]),
            settings=WorkspaceSettings(branding=Branding(logo="a.png", primary_color=""), features=features),
            slug=f"s{list(self.state.workspaces).index(row['id'])}",
            name=" ".join(self._text().split()) or "x",
            notes=self._text(),
            description=self._text(),
            schedule=chance.choice([None, "0 6 * * *"]),
            enabled_providers=chance.choice([None, tuple(providers[:1])]),
            analysis_epoch=chance.randint(0, 9),
            suspended_reason=self._text() if row["is_suspended"] else "",
            suspended_at=self._time() if row["is_suspended"] else None,
            suspended_by=chance.choice([None, "auth0|5f7c"]),
            **self._times("created_at"),
        )

    def _memberships(self) -> Iterator[Membership]:
        chance, held = self.chance, list(self.state.memberships.values())
        for number, row in enumerate(held):
            yield self._membership(f"m{number}", row)
        places = [("organization", key) for key in self.state.organizations]
        places += [("workspace", key) for key in self.state.workspaces]
        pairs = [(place, user) for place in places for user in worlds.USERS]
        for number, (place, user) in enumerate(chance.choices(pairs, k=12) if pairs else ()):
            had: dict[str, Any] = {
                "role": chance.choice(["viewer", "withdrawn", "member"]),
                "permissions": [],
                "modules": None,
            }
            where = {"workspace_id": None, "organization_id": None, f"{place[0]}_id": place[1], "user_id": user}
            removed_by = chance.choice([None, "ann", "auth0|5f7c", ""])
            gone = {**had, **where, "is_active": chance.random() < 0.5, "expires_at": None}
            yield self._membership(f"r{number}", gone, deleted_at=self._time(), removed_by=removed_by)

    def _membership(self, identifier: str, row: Mapping[str, Any], **more: Any) -> Membership:
        ends = None if row["expires_at"] is None else datetime.fromtimestamp(row["expires_at"], UTC)
        lists = {"permissions": tuple(row["permissions"]), "modules": _tuple(row["modules"])}
        return samples.membership(
            identifier, **{**row, **lists, "expires_at": ends, **self._times("joined_at", "created_at"), **more}
        )

    def _subscription(self, row: Mapping[str, Any]) -> dict[str, Any]:
        kind = self.chance.choice(["", "paid", "a type of its own"])
        status = SubscriptionStatus(row["status"])
        return {**row, "plan_type": kind, "status": status, **self._times("plan_changed_at")}

    def _versions(self) -> list[dict[str, Any]]:
        ids = [user for user in [*self.state.users, "gone", "gone2"] if self.chance.random() < 0.4]
        return [{"user_id": user, "source_version": self.chance.randint(0, 10**14)} for user in ids]

    def _module_settings(self) -> list[dict[str, Any]]:
        modules = self.rules.catalog.get("modules", {})
        pairs = [(key, module) for key in self.state.workspaces for module in modules if self.chance.random() < 0.3]
        times = {"created_at": self.now, "updated_at": self.now}
        return [{"workspace_id": key, "module": module, "settings": self._object(4), **times} for key, module in pairs]

    def _object(self, levels: int) -> dict[str, Any]:
        return {key: self._json(levels) for key in self.chance.sample(KEYS, self.chance.randint(0, 3))}

    def _json(self, levels: int) -> Any:
        chance = self.chance
        if levels and chance.random() < 0.4:
            return self._object(levels - 1) if chance.random() < 0.5 else [self._json(levels - 1) for _ in range(2)]
        return chance.choice([None, True, False, 0, -1, 1.0, 1e300, 0.1, -2.5e-7, 10**20, *TEXTS])

    def _visits(self) -> list[dict[str, Any]]:
        pairs = [(user, key) for user in worlds.USERS for key in self.state.workspaces if self.chance.random() < 0.2]
        return [
            {
                "user_id": user,
                "workspace_id": key,
                "entered_at": self._time(),
                "previous_entered_at": self._time() if self.chance.random() < 0.5 else None,
            }
            for user, key in pairs
        ]

    def _codes(self) -> list[dict[str, Any]]:
        times = {"created_at": self.now, "updated_at": self.now}
        return [
            {"workspace_id": key, "code": f"code-{number}", "is_enabled": self.chance.random() < 0.6, **times}
            for number, key in enumerate(self.state.workspaces)
        ]


def _tuple(values: Any) -> Any:
    return None if values is None else tuple(values)


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def empty(database: Database) -> None:
    """Delete everything but what tells the database from others."""
    with database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            if table is not tables.revision:
                connection.execute(delete(table))


def loaded(database: Database, bundle: str) -> Replica:
    """Return a fresh replica."""
    replica = Replica(database, policy(bundle), Metrics())
    replica.load()
    return replica


def stored(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Return the rows that an export carries, as they should come back."""
    with database.read() as connection:
        found = {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in metadata.sorted_tables
            if table.name not in {"revision", "changes", "audit_entries", "request_ids"}
        }
    for name, rows in found.items():
        left_out = NOT_CARRIED | ({"created_at"} if name in MADE_ANEW else set())
        found[name] = [{key: value for key, value in row.items() if key not in left_out} for row in rows]
    found["memberships"] = _latest(found["memberships"])
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def _latest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave of every user and place the live membership, or the removed one that was removed last."""
    latest: dict[tuple[PlaceKey, str], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (row["deleted_at"] is None, row["deleted_at"] or 0)):
        latest[place_of(row), row["user_id"]] = row
    return list(latest.values())


def carry(source: Replica, target: Replica, form: Form) -> None:
    """Export from one database and import into the other."""
    output = io.StringIO()
    with source.database.read() as connection:
        write_state(output, form, export_state(connection), NOT_EXPORTED)
    state = read_state(output.getvalue(), form.value)
    by = Caller(caller="cli", actor="", method="import")
    write(target, by, lambda tx: import_state(tx, state, allow_platform=True, allow_unknown_users=True))


def compare(source: Database, target: Database, bundle: str, number: int, questions: int) -> None:
    """Compare one random state with what comes of carrying it over."""
    shipped, rules = shipped_bundle(BUNDLES / bundle)
    chance = Random(f"round trip {bundle} {number}")
    now = datetime.fromtimestamp(round(time.time(), 3), UTC)
    made = Rows(chance, rules, now)
    for database in (source, target):
        empty(database)
    with source.write() as connection:
        made.put(connection)
    first, second = loaded(source, bundle), loaded(target, bundle)
    carry(first, second, list(Form)[number % 2])
    assert picture(first.facts) == picture(second.facts), number
    ours, theirs = stored(source), stored(target)
    assert ours == theirs, number
    world = worlds.World(shipped, rules, made.state)
    asked = [worlds.random_question(chance, world) for _ in range(questions)]
    for question in asked:
        assert _answer(first, world, question) == _answer(second, world, question), (number, question)


def _answer(replica: Replica, world: worlds.World, question: Any) -> Any:
    asked = {"subject": question.subject, "place": question.place, "required_module": question.required_module}
    action = {"resource": question.resource, "action": question.action}
    found = decide(replica.facts, world.bundle.rules, time.time(), **asked, **action)
    return found.allowed, found.reasons, found.warnings, found.valid_until


@pytest.mark.parametrize("bundle", ["dam", "eventpalour", "oneglanse"])
def test_a_random_state_survives_export_and_import_on_either_database(
    sqlite_url: str, postgresql_url: str, bundle: str
) -> None:
    with (
        closing(Database(sqlite_url, wait_seconds=30)) as one,
        closing(Database(postgresql_url, wait_seconds=30)) as two,
    ):
        for number in range(SHORT):
            source, target = (one, two) if number % 4 < 2 else (two, one)
            compare(source, target, bundle, number, FEW)


@pytest.mark.soak
@pytest.mark.parametrize("direction", [1, -1], ids=["to postgresql", "to sqlite"])
@pytest.mark.parametrize("bundle", ["dam", "oneglanse"])
def test_two_hundred_random_states_survive_export_and_import(
    sqlite_url: str, postgresql_url: str, bundle: str, direction: int
) -> None:
    with (
        closing(Database(sqlite_url, wait_seconds=30)) as one,
        closing(Database(postgresql_url, wait_seconds=30)) as two,
    ):
        source, target = (one, two)[::direction]
        for number in range(LONG):
            compare(source, target, bundle, 1_000 + number, MANY)
