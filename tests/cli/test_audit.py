"""The audit as commands."""

from sqlalchemy import select

from tests.cli.running import Run
from wsauthz.store import tables
from wsauthz.store.database import Database


def cut_last(database_url: str) -> None:
    """Remove the newest entry so that the database itself does not show it."""
    entry = tables.audit_entries.c
    database = Database(database_url)
    with database.write() as connection:
        count = connection.execute(select(tables.revision.c.audit_count)).scalar_one()
        mac = connection.execute(select(entry.mac).where(entry.number == count - 1)).scalar_one()
        connection.execute(tables.audit_entries.delete().where(entry.number == count))
        connection.execute(tables.revision.update().values(audit_count=count - 1, audit_head=mac))
    database.close()


def test_a_head_is_printed_and_checked_later(run: Run) -> None:
    assert run("audit", "head").out == "0.\n"
    for user in ("olga", "ann"):
        run("platform", "grant", user)
    head = run("audit", "head").out.strip()
    assert head.startswith("2.")
    run("platform", "grant", "bob")
    found = run("audit", "verify", "--head", head, "--head", "0.")
    assert (found.status, found.lines[0]) == (0, f"head: {run('audit', 'head').out.strip()}")
    assert "Entries 1 to 2 are those whose head was published." in found.lines
    assert found.lines[-1].endswith("after entry 2: compare with a published head.")


def test_what_was_cut_off_is_found_by_the_head_alone(run: Run) -> None:
    for user in ("olga", "ann"):
        run("platform", "grant", user)
    head = run("audit", "head").out.strip()
    cut_last(run.database_url)
    assert run("audit", "verify").status == 0
    found = run("audit", "verify", "--head", head)
    assert found.status == 1
    assert found.lines[-1] == "Problem: 2 entries were published, 1 are here: the end was cut off."


def test_what_was_changed_is_found(run: Run) -> None:
    run("platform", "grant", "olga")
    database = Database(run.database_url)
    with database.write() as connection:
        connection.execute(tables.audit_entries.update().values(actor="mallory"))
    database.close()
    found = run("audit", "verify")
    assert (found.status, found.lines[-1]) == (1, "Problem: entry 1 is not as it was written.")


def test_a_malformed_head_is_an_error(run_sqlite: Run) -> None:
    found = run_sqlite("audit", "verify", "--head", "7")
    assert (found.status, found.out) == (2, "")
    assert found.err == "--head '7' is not a published head: <count>.<64 hex digits>\n"
