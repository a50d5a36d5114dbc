"""Keys from outside the database: who has only the database cannot make entries, and no key is gone back to."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import select

from tests.store.test_audit import ENTRY
from wsauthz.model.errors import AuditKeyMissing
from wsauthz.store import audit, audit_verification
from wsauthz.store import tables as t
from wsauthz.store.audit_keys import AuditKeys
from wsauthz.store.audit_verification import Verification
from wsauthz.store.database import Database

A, B, C = ("a" * 32, "b" * 40, "c" * 64)
NONE, ONLY_A, ONLY_B = AuditKeys(), AuditKeys([A]), AuditKeys([B])
OLD_NEW, NEW_OLD = AuditKeys([A, B]), AuditKeys([B, A])


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Return a migrated database of the test's own; once SQLite, once PostgreSQL."""
    with closing(Database(database_url)) as opened:
        yield opened


def write(database: Database, keys: AuditKeys, count: int = 2, actor: str = "ann") -> None:
    with database.write() as connection:
        audit.append(connection, [replace(ENTRY, actor=actor)] * count, None, keys=keys)


def verify(database: Database, keys: AuditKeys) -> Verification:
    return audit_verification.verify(database.read, (), keys)


def key_ids(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(t.audit_entries.c.key_id).order_by(t.audit_entries.c.number)).scalars())


def forge(database: Database, first: int) -> None:
    """Replace the entries from ``first`` on by ones that are made with all that the database holds."""
    entry = t.audit_entries.c
    with database.write() as connection:
        mac = connection.execute(select(entry.mac).where(entry.number == first - 1)).scalar() or ""
        connection.execute(t.audit_entries.delete().where(entry.number >= first))
        connection.execute(t.revision.update().values(audit_count=first - 1, audit_head=mac, audit_keys=""))
        audit.append(connection, [replace(ENTRY, actor="mallory")] * 3, None)


def test_without_keys_entries_are_signed_as_before(database: Database) -> None:
    write(database, NONE)
    found = verify(database, NONE)
    assert (found.is_good, found.own, found.unverifiable, key_ids(database)) == (True, 2, 0, ["", ""])


def test_a_key_from_outside_signs_from_its_first_use_on(database: Database) -> None:
    write(database, NONE)
    write(database, ONLY_A)
    found = verify(database, ONLY_A)
    assert (found.is_good, found.own, found.head.count) == (True, 2, 4)
    assert key_ids(database) == ["", "", *ONLY_A.ids * 2]
    assert A not in str(key_ids(database))


@pytest.mark.parametrize("first", [1, 3, 4])
def test_who_has_the_database_alone_cannot_make_entries(database: Database, first: int) -> None:
    write(database, NONE)
    write(database, ONLY_A, 3)
    forge(database, first)
    found = verify(database, ONLY_A)
    assert (
        found.problem
        == {
            1: "no entry is signed with a key from outside, though there is one",
            3: "no entry is signed with a key from outside, though there is one",
            4: "entry 4 is signed with the key in the database, which was replaced after entry 2",
        }[first]
    )
    assert not found.is_good


def test_a_published_head_tells_that_the_only_entry_with_a_key_was_cut_off(database: Database) -> None:
    write(database, NONE)
    write(database, ONLY_A, 1)
    with database.read() as connection:
        published = audit_verification.head(connection)
    with database.write() as connection:
        mac = connection.execute(select(t.audit_entries.c.mac).where(t.audit_entries.c.number == 2)).scalar_one()
        connection.execute(t.audit_entries.delete().where(t.audit_entries.c.number == 3))
        connection.execute(t.revision.update().values(audit_count=2, audit_head=mac, audit_keys=""))
    found = audit_verification.verify(database.read, [published], ONLY_A)
    assert found.problem == "3 entries were published, 2 are here: the end was cut off"


def test_an_entry_under_another_name_of_a_key_is_not_verified(database: Database) -> None:
    write(database, ONLY_A, 3)
    with database.write() as connection:
        connection.execute(t.audit_entries.update().where(t.audit_entries.c.number == 2).values(key_id=ONLY_B.ids[0]))
    assert verify(database, ONLY_A).problem.startswith("entry 3 is signed with the key ")
    assert verify(database, NEW_OLD).problem == "entry 2 is not as it was written"


def test_entries_of_a_key_that_was_taken_away_are_unverifiable_and_not_tampered_with(database: Database) -> None:
    write(database, ONLY_A)
    write(database, ONLY_B, 3)
    found = verify(database, ONLY_B)
    assert (found.problem, found.unverifiable, found.unknown_keys, found.head.count) == ("", 2, ONLY_A.ids, 5)
    assert not found.is_good
    assert verify(database, NEW_OLD).is_good
    assert verify(database, NONE).unverifiable == 5


def test_while_servers_get_a_new_key_one_after_another_none_goes_back(database: Database) -> None:
    write(database, ONLY_A)
    for keys in (OLD_NEW, NEW_OLD, OLD_NEW, NEW_OLD, OLD_NEW, ONLY_B):
        write(database, keys, 1)
    assert key_ids(database) == [*ONLY_A.ids * 3, *ONLY_B.ids * 5]
    assert verify(database, NEW_OLD).is_good
    with pytest.raises(AuditKeyMissing, match=ONLY_B.ids[0]):
        write(database, ONLY_A)
    with pytest.raises(AuditKeyMissing):
        write(database, NONE)
    assert verify(database, NEW_OLD).head.count == 8


def test_a_third_key_follows_the_second(database: Database) -> None:
    for keys in (ONLY_A, NEW_OLD, AuditKeys([C, B]), AuditKeys([B, C])):
        write(database, keys, 1)
    assert key_ids(database) == [AuditKeys([key]).ids[0] for key in (A, B, C, C)]
    assert verify(database, AuditKeys([C, B, A])).is_good


def test_entries_of_the_version_before_are_findings_once_there_is_a_key(database: Database) -> None:
    """A server of the version before knows no keys: it signs with the one in the database."""
    write(database, ONLY_A)
    with database.write() as connection:
        connection.execute(t.revision.update().values(audit_keys=""))
    write(database, NONE)
    assert (
        verify(database, ONLY_A).problem
        == "entry 3 is signed with the key in the database, which was replaced after entry 0"
    )
