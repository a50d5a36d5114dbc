import hashlib
import hmac
import json
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from tests.store import samples
from wsauthz.model.errors import Unavailable
from wsauthz.store import audit, audit_verification, revisions
from wsauthz.store import tables as t
from wsauthz.store.audit import AuditEntry
from wsauthz.store.audit_verification import Head, Verification, parse_head
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


def verify(database: Database, *published: Head) -> Verification:
    return audit_verification.verify(database.read, published)


def head_of(database: Database) -> Head:
    with database.read() as connection:
        return audit_verification.head(connection)


def edit(database: Database, statement: Any) -> None:
    with database.write() as connection:
        connection.execute(statement)


def test_an_empty_audit_verifies(database: Database) -> None:
    assert verify(database) == Verification(
        head=Head(count=0, mac=""), problem="", reached=0, own=0, unverifiable=0, unknown_keys=()
    )


def test_what_was_appended_verifies_and_has_its_revision(written: Database) -> None:
    verified = verify(written)
    assert verified.head.count == 7
    assert verified.problem == ""
    with written.read() as connection:
        rows = connection.execute(t.audit_entries.select().order_by(t.audit_entries.c.number)).all()
        said = connection.execute(t.revision.select()).one()
    assert [row.number for row in rows] == list(range(1, 8))
    assert [row.revision for row in rows] == [1, 2, 3, 4, 5, None, None]
    assert rows[0].after == ENTRY.after
    assert (said.audit_count, said.audit_head) == (7, rows[-1].mac) == (7, verified.head.mac)


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
    assert verified.head.count == 2
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


# --- published heads --------------------------------------------------------------------------------------------------


def cut(database: Database, count: int) -> None:
    """Remove the entries after ``count`` as somebody does who wants nobody to notice."""
    entries = t.audit_entries
    with database.write() as connection:
        mac = connection.execute(select(entries.c.mac).where(entries.c.number == count)).scalar_one()
        connection.execute(entries.delete().where(entries.c.number > count))
        connection.execute(t.revision.update().values(audit_count=count, audit_head=mac))


def test_an_end_that_was_cut_off_with_care_shows_by_a_published_head(written: Database) -> None:
    published = head_of(written)
    cut(written, 5)
    assert verify(written).problem == ""
    assert verify(written, published).problem == "7 entries were published, 5 are here: the end was cut off"


def test_other_entries_in_place_of_the_last_ones_show_by_a_published_head(written: Database) -> None:
    published = head_of(written)
    cut(written, 5)
    with written.write() as connection:
        audit.append(connection, [replace(ENTRY, actor="mallory")] * 3, None)
    assert verify(written).problem == ""
    assert verify(written, published).problem == "entry 7 is not the one whose head was published"


def forge(database: Database, number: int, actor: str) -> None:
    """Change the actor of an entry and sign it again, as people can who read the key in the database."""
    entries = t.audit_entries
    with database.write() as connection:
        secret = bytes.fromhex(connection.execute(select(t.revision.c.secret)).scalar_one())
        rows = connection.execute(entries.select().order_by(entries.c.number)).mappings().all()
        before, forged = rows[number - 2], {**rows[number - 1], "actor": actor}
        mac = audit.mac_of(secret, before["mac"], forged)
        connection.execute(entries.update().where(entries.c.number == number).values(actor=actor, mac=mac))


def test_an_entry_that_was_forged_with_the_secret_breaks_what_follows(written: Database) -> None:
    forge(written, 2, "mallory")
    assert verify(written).problem == "entry 3 is not as it was written"


def test_a_forged_entry_and_all_that_follows_signed_anew_show_by_a_published_head(written: Database) -> None:
    published = head_of(written)
    forge(written, 2, "mallory")
    for number in range(3, 8):
        forge(written, number, "bob")
    cut(written, 7)
    assert verify(written).problem == ""
    assert verify(written, published).problem == "entry 7 is not the one whose head was published"


@pytest.mark.parametrize("key_id", ["", "0123456789ab"])
def test_the_mac_of_an_entry_is_the_same_in_every_version(key_id: str) -> None:
    """Entries of earlier versions, and heads that were published, must verify for good."""
    entry = {
        **{name: getattr(ENTRY, name) for name in AuditEntry.__dataclass_fields__},
        "number": 3,
        "revision": 2,
        "key_id": key_id,
    }
    signed = {name: value for name, value in entry.items() if value or name != "key_id"}
    signed["created_at"] = samples.NOW.isoformat(timespec="microseconds")
    text_of_both = json.dumps(["aa" * 32, signed], sort_keys=True)
    mac = hmac.new(b"secret", text_of_both.encode(), hashlib.sha256).hexdigest()
    assert audit.mac_of(b"secret", "aa" * 32, entry) == mac


def test_a_published_head_stays_in_the_chain_that_goes_on(written: Database) -> None:
    published = [head_of(written)]
    with written.write() as connection:
        audit.append(connection, [ENTRY], None)
    published.append(head_of(written))
    found = verify(written, *published, Head(count=0, mac=""))
    assert (found.problem, found.reached, found.head) == ("", 8, published[1])
    assert verify(written, published[0]).reached == 7


@pytest.mark.parametrize(
    "token", ["", ".", "x", "7", "7.", "0.", "07.", "-1.", "7.zz", "0." + "a" * 64, "01." + "a" * 64, "7." + "A" * 64]
)
def test_a_token_is_read_as_it_was_printed_or_not_at_all(written: Database, token: str) -> None:
    assert parse_head(head_of(written).token) == head_of(written)
    if token == "0.":
        assert parse_head(token) == Head(count=0, mac="")
    else:
        with pytest.raises(ValueError, match="published head"):
            parse_head(token)


# --- entries that cannot be read --------------------------------------------------------------------------------------

SPOILED_JSON = [
    "[]",
    "3",
    "null",
    '{"a": 1e999}',
    '{"a": ' + "9" * 30 + "}",
    '{"a": 1, "a": 2}',
    '{"a": "\\ud800"}',
    '{"a": ' + "[" * 40 + "]" * 40 + "}",
]
SPOILED_ON_SQLITE = [
    *(("before", text) for text in ("not JSON", "", "{", "NaN", '{"a": NaN}', "[" * 100_000)),
    *((name, b"\xff") for name in ("before", "actor", "mac", "created_at", "attempts", "revision", "place_id")),
    *(("created_at", text) for text in ("yesterday", "", 5, "2030-01-01 00:00:00+02:00")),
    *(("attempts", text) for text in ("many", "", 1.5, 2**40, " 7", "1_0")),
    *(("number", text) for text in ("x", b"\xff", 2.5)),
    ("mac", "\u00fc"),
]


def spoil(database: Database, column: str, value: object) -> None:
    """Write a value into entry 3 as it is, past the types of the program."""
    with database.write() as connection:
        kind = "" if database.is_sqlite else "::json"
        as_text = "CAST(:value AS TEXT)" if isinstance(value, bytes) else f":value{kind}".replace("::", "\\:\\:")
        connection.execute(text(f"UPDATE audit_entries SET {column} = {as_text} WHERE number = 3"), {"value": value})


def check_spoiled(database: Database) -> None:
    found = verify(database)
    assert found.head.count == 2
    assert found.problem.startswith("entry 3 is ")
    with database.read() as connection:
        listed = audit.in_place(connection, ("workspace", "w"), before=None, limit=100)
    assert len(listed) >= 6
    assert [each.problem for each in listed].count("") >= 6


@pytest.mark.parametrize("value", SPOILED_JSON)
def test_an_entry_that_is_no_json_object_of_ours_is_a_finding(written: Database, value: str) -> None:
    spoil(written, "before", value)
    check_spoiled(written)


@pytest.mark.parametrize(("column", "value"), SPOILED_ON_SQLITE)
def test_whatever_stands_in_a_column_of_sqlite_is_a_finding(sqlite_url: str, column: str, value: object) -> None:
    with closing(Database(sqlite_url)) as database:
        with database.write() as connection:
            audit.append(connection, [ENTRY] * 7, None)
        spoil(database, column, value)
        check_spoiled(database)


@pytest.mark.parametrize("number", [0, -4])
def test_an_entry_before_the_first_one_is_a_finding(written: Database, number: int) -> None:
    with written.write() as connection:
        row = connection.execute(t.audit_entries.select().limit(1)).mappings().one()
        connection.execute(t.audit_entries.insert().values({**row, "number": number}))
    assert verify(written).problem == f"the number {number} is not one that servers write"


def test_a_key_that_cannot_be_read_is_a_finding(written: Database) -> None:
    edit(written, t.revision.update().values(secret="no key"))
    assert verify(written).problem == "the key in the database cannot be read"


# --- pages ------------------------------------------------------------------------------------------------------------


def test_a_long_chain_is_read_in_pages_while_others_write(written: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_verification, "_PAGE", 3)
    monkeypatch.setattr(audit_verification, "_AT_ONCE", 2)
    reached: list[int] = []

    def write(count: int) -> None:
        reached.append(count)
        if count == 5:
            with written.write() as connection:
                audit.append(connection, [ENTRY], None)

    found = audit_verification.verify(written.read, advance=write)
    assert (found.problem, found.head) == ("", head_of(written))
    assert reached == [2, 3, 5, 6, 8]


def test_a_verification_that_nobody_waits_for_ends(written: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_verification, "_AT_ONCE", 2)
    reached: list[int] = []

    def stop(count: int) -> None:
        reached.append(count)
        raise Unavailable

    with pytest.raises(Unavailable):
        audit_verification.verify(written.read, advance=stop)
    assert reached == [2]
