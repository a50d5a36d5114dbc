"""`db check --rows`: what it lists, and that the calls it prints repair it."""

import json
import shlex
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import EXAMPLES, Run
from tests.serving import BUNDLES, ServerProcess
from tests.store import samples
from tests.store.samples import add_many
from wsauthz.cli.call import rpcs
from wsauthz.store import tables
from wsauthz.store.database import Database

PAST, FUTURE = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2099))
EXPECTED = (
    "workspace w, user ghost: the user is unknown",
    "organization acme, user ghost: the user is unknown",
    "organization acme, user boss: an owner-like role has no expiry and no module list",
    "organization acme, user few: has only narrower memberships in its workspaces (modules dam, until 2099-",
    "organization acme, user gone: had only narrower memberships in its workspaces (modules dam)",
    "organization acme, user goneoff: had only expired or deactivated memberships in its workspaces",
    "organization acme, user lost: is a member of a workspace, and not of the organization",
    "organization acme, user off: has only expired or deactivated memberships in its workspaces",
    "organization acme, user past: has only expired or deactivated memberships in its workspaces",
    "workspace w, user wiz: the bundle does not give the role 'wizard' here",
    "organization orphan: has no owner",
    "workspace stray: the primary owner nobody is unknown",
    "user lone: the default workspace does not exist",
    "user lone: no address, and it counts as verified",
)


def fill(url: str) -> None:
    """Store rows as faults have left them, between rows that are as they should be."""
    user = {"default_workspace_id": "w-gone", "email_verified": True}
    known = ["ann", "boss", "few", "gone", "goneoff", "heir", "lost", "off", "op", "past", "solo", "whole", "wiz"]
    users = [samples.user("lone", **user), *map(samples.user, known)]
    workspaces = [samples.workspace("w", organization_id="acme"), samples.workspace("stray", owner_user_id="nobody")]
    acme, inside = {"organization_id": "acme"}, {"workspace_id": "w", "role": "viewer"}
    rows: list[tuple[str, dict[str, Any]]] = [
        ("op", {"role": "operator"}),
        ("ann", {**acme, "role": "organization-owner"}),
        ("ann", {**inside, "role": "admin"}),
        ("whole", {**inside, "modules": ("dam",)}),
        ("whole", {**acme, "modules": ("dam",), "is_derived": True}),
        ("off", {**inside, "is_active": False}),
        ("past", {**inside, "expires_at": PAST}),
        ("few", {**inside, "modules": ("dam",), "expires_at": FUTURE}),
        ("gone", {**inside, "modules": ("dam",), "deleted_at": samples.NOW}),
        ("goneoff", {**inside, "is_active": False, "deleted_at": samples.NOW}),
        *((each, acme) for each in ("off", "past", "few", "gone", "goneoff", "ghost", "wiz")),
        ("ghost", inside),
        ("lost", {**inside, "modules": ("dam",)}),
        ("wiz", {**inside, "role": "wizard"}),
        ("boss", {**acme, "role": "organization-owner", "modules": ("dam",)}),
        ("solo", {"organization_id": "orphan"}),
        ("heir", {"workspace_id": "stray", "role": "member"}),
    ]
    with closing(Database(url, wait_seconds=30)) as database, database.write() as connection:
        add_many(connection, tables.organizations, map(samples.organization, ("acme", "orphan")))
        add_many(connection, tables.workspaces, workspaces)
        add_many(connection, tables.users, users)
        memberships = (samples.membership(f"m{number}", each, **said) for number, (each, said) in enumerate(rows))
        add_many(connection, tables.memberships, memberships)


def findings(lines: list[str]) -> dict[str, list[str]]:
    """Return what was printed below each finding."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("  "):
            found[list(found)[-1]].append(line.strip())
        else:
            found[line] = []
    return found


@pytest.mark.parametrize("which", [0, -1], ids=["first", "last"])
def test_every_row_that_needs_a_look_is_listed_and_the_calls_repair_it(run: Run, which: int) -> None:
    fill(run.database_url)
    outcome = run("db", "check", "--rows")
    assert (outcome.status, outcome.err) == (1, "")
    first, *found, last = outcome.out.splitlines()
    assert first == "The database has the schema of this program."
    assert last == f"{len(EXPECTED)} rows need a look. Nothing was changed."
    listed = findings(found)
    assert len(listed) == len(EXPECTED)
    assert all(any(text.startswith(expected) for text in listed) for expected in EXPECTED), list(listed)
    assert run("db", "check", "--rows").out == outcome.out
    with ServerProcess(run.database_url, BUNDLES / "dam") as server:
        for lines in listed.values():
            said, command = lines[::2], lines[1::2]
            assert json.loads(said[which])["method"] in rpcs()
            words = shlex.split(command[which])
            assert words[:3] == ["wsauthz", "call", json.loads(said[which])["method"]]
            made = run(*words[1:], "--server", server.address)
            assert made.status == 0, (command[which], made.err)
    again = run("db", "check", "--rows")
    assert (again.status, again.lines[1:]) == (0, ["No row needs a look."])


def test_a_repaired_membership_says_what_the_others_say(run_sqlite: Run) -> None:
    fill(run_sqlite.database_url)
    listed = findings(run_sqlite("db", "check", "--rows").out.splitlines()[1:-1])
    (few,) = (lines for text, lines in listed.items() if "user few" in text)
    assert json.loads(few[0]) == {
        "method": "MembershipService/UpdateMember",
        "request": {
            "organization_id": "acme",
            "user_id": "few",
            "modules": {"modules": ["dam"]},
            "expires_at": "2099-01-01T00:00:00Z",
            "update_mask": "modules,expiresAt",
        },
    }


@pytest.mark.parametrize("bundle", ["dam", "eventpalour", "oneglanse"])
def test_nothing_is_wrong_with_an_example(run_sqlite: Run, bundles: Path, bundle: str) -> None:
    policy = ("--policy", bundles / bundle)
    assert run_sqlite("import", EXAMPLES / f"{bundle}.yaml", *policy).status == 0
    outcome = run_sqlite("db", "check", "--rows", *policy)
    assert (outcome.status, outcome.lines[1:]) == (0, ["No row needs a look."])


def test_rows_are_looked_at_only_on_demand(run_sqlite: Run) -> None:
    fill(run_sqlite.database_url)
    assert run_sqlite("db", "check").lines == ["The database has the schema of this program."]
