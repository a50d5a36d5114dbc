from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.running import Run
from wsauthz.store.database import Database
from wsauthz.store.tables import changes


def test_a_database_is_brought_to_the_schema_once(empty_database_url: str) -> None:
    run, of = Run(empty_database_url), ("--database", empty_database_url)
    assert run("db", "current", *of).out == "none\n"
    missing = run("db", "check", *of)
    assert (missing.status, missing.out) == (1, "the database has no tables of wsauthz yet: run `wsauthz db upgrade`\n")
    assert run("db", "upgrade", *of).out.startswith("The database is at revision ")
    assert run("db", "upgrade", *of).out.endswith(" already.\n")
    assert run("db", "check", *of).out == "The database has the schema of this program.\n"
    assert run("db", "current", *of).out != "none\n"


@pytest.mark.parametrize(
    "command",
    [
        ("import", "-", "--format", "yaml"),
        ("export", "-", "--format", "yaml"),
        ("platform", "list"),
        ("platform", "grant", "ann"),
        ("db", "prune"),
        ("policy", "verify"),
        ("check", "ann", "w", "dam:asset", "read"),
    ],
)
def test_a_database_without_the_schema_is_refused_and_left_alone(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = tmp_path / "new.db"
    outcome = Run("")(*command, "--database", f"sqlite:///{path}", stdin="")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == f"{path}: the database has no tables of wsauthz yet: run `wsauthz db upgrade`\n"
    assert not path.exists()


@pytest.mark.parametrize("command", [("db", "check"), ("db", "upgrade"), ("platform", "list"), ("policy", "verify")])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:canary@127.0.0.1:1/nothing",
        "sqlite:////nowhere/nothing.db",
        "mysql://ann:canary@host/x",
        "canary",
    ],
)
def test_a_database_that_cannot_be_used_is_a_sentence_that_does_not_repeat_its_url(
    command: tuple[str, ...], url: str
) -> None:
    outcome = Run("")(*command, "--database", url)
    assert (outcome.status in {1, 2}, outcome.out if outcome.status == 2 else "") == (True, "")
    assert "canary" not in outcome.out + outcome.err
    assert "Traceback" not in outcome.err


def test_what_is_older_than_a_day_is_pruned_and_nothing_else(example: Run) -> None:
    assert example("db", "prune").out == "0 changes and 0 answers were old enough, and are gone.\n"
    assert example("platform", "grant", "root", "operator").status == 0
    day_before_yesterday = datetime.now(UTC) - timedelta(hours=49)
    database = Database(example.database_url)
    with database.write() as connection:
        connection.execute(changes.update().values(created_at=day_before_yesterday))
    database.close()
    exported = example("export", "-", "--format", "yaml").out
    assert example("db", "prune").out == "1 changes and 0 answers were old enough, and are gone.\n"
    assert example("export", "-", "--format", "yaml").out == exported
