from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.store import samples
from wsauthz.store import audit, revisions
from wsauthz.store import tables as t
from wsauthz.store.audit import AuditEntry, Verification
from wsauthz.store.database import Database

ENTRY = AuditEntry(
    created_at=samples.NOW,
    caller="key:1",
    actor="ann",
    method="AddMember",
    target_kind="membership",
    target_id="member_1",
    place_kind="workspace",
    place_id="w",
    before={},
    after={"role": "member", "modules": ["dam"], "is_active": True, "expires_at": None, "rank": 40},
    request_id="r-1",
)


@pytest.fixture
def written(database: Database) -> Database:
    for number in range(5):
        with database.write() as connection:
            revision, now = revisions.advance(connection)
            audit.append(connection, [replace(ENTRY, created_at=now, actor=f"user-{number}")], revision)
    with database.write() as connection:
        audit.append(connection, [replace(ENTRY, refusal="ROLE_INSUFFICIENT", attempts=7), ENTRY], None)
    return database


def verify(database: Database) -> Verification:
    with database.read() as connection:
        return audit.verify(connection)


def edit(database: Database, statement: Any) -> None:
    with database.write() as connection:
        connection.execute(statement)


def test_an_empty_audit_verifies(database: Database) -> None:
    assert verify(database) == Verification(count=0, head="", problem="")


def test_what_was_appended_verifies_and_has_its_revision(written: Database) -> None:
    verified = verify(written)
    assert verified.count == 7
    assert verified.problem == ""
    with written.read() as connection:
        rows = connection.execute(t.audit_entries.select().order_by(t.audit_entries.c.number)).all()
        said = connection.execute(t.revision.select()).one()
    assert [row.number for row in rows] == list(range(1, 8))
    assert [row.revision for row in rows] == [1, 2, 3, 4, 5, None, None]
    assert rows[0].after == ENTRY.after
    assert (said.audit_count, said.audit_head) == (7, rows[-1].mac) == (7, verified.head)


def test_appending_nothing_changes_nothing(written: Database) -> None:
    before = verify(written)
    with written.write() as connection:
        audit.append(connection, [], None)
    assert verify(written) == before


def test_a_rolled_back_entry_never_was(written: Database) -> None:
    before = verify(written)
    with written.write() as connection:
        audit.append(connection, [ENTRY], None)
        connection.rollback()
    assert verify(written) == before


@pytest.mark.parametrize(
    "values",
    [
        {"actor": "mallory"},
        {"caller": ""},
        {"method": "RemoveMember"},
        {"target_id": "member_2"},
        {"place_id": "x"},
        {"before": {"role": "owner"}},
        {"after": {**ENTRY.after, "role": "owner"}},
        {"revision": 9},
        {"refusal": "DENIED_BY_RULE"},
        {"attempts": 2},
        {"request_id": ""},
        {"created_at": samples.NOW + timedelta(microseconds=1)},
        {"mac": "00"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_an_edited_entry_shows(written: Database, values: dict[str, Any]) -> None:
    edit(written, t.audit_entries.update().where(t.audit_entries.c.number == 3).values(values))
    verified = verify(written)
    assert verified.count == 2
    assert verified.problem == "entry 3 is not as it was written"


def test_a_deleted_entry_shows(written: Database) -> None:
    edit(written, t.audit_entries.delete().where(t.audit_entries.c.number == 3))
    assert verify(written).problem == "entry 3 is missing"


def test_a_cut_off_end_shows(written: Database) -> None:
    edit(written, t.audit_entries.delete().where(t.audit_entries.c.number > 5))
    assert verify(written).problem == "7 entries were written, 5 are here"


def test_an_entry_made_without_the_secret_shows(written: Database) -> None:
    edit(written, t.revision.update().values(secret="11" * 32))
    assert verify(written).problem == "entry 1 is not as it was written"


def test_exchanged_entries_show(written: Database) -> None:
    for number, to in ((2, 99), (3, 2), (99, 3)):
        edit(written, t.audit_entries.update().where(t.audit_entries.c.number == number).values(number=to))
    assert verify(written).problem == "entry 2 is not as it was written"
