"""What commands change is in the audit, with the system's user who ran them."""

import os
import pwd

import pytest

from tests import audited
from tests.cli.running import EXAMPLES, Run


def test_imports_and_platform_grants_say_who_ran_them(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    who = f"cli:{pwd.getpwuid(os.geteuid()).pw_name}"
    run("platform", "grant", "olga")
    run("import", EXAMPLES / "dam.yaml")
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999)
    run("platform", "revoke", "olga")
    found = [(each.caller, each.method, each.target_kind) for each in audited.entries(run.database_url)]
    assert found == [
        (who, "platform/grant", "membership"),
        (who, "import", "state"),
        ("cli:3999999", "platform/revoke", "membership"),
    ]


def test_commands_that_change_nothing_leave_no_entry(run: Run) -> None:
    run("platform", "grant", "olga")
    before = len(audited.entries(run.database_url))
    run("platform", "grant", "olga")
    run("platform", "list")
    run("platform", "revoke", "nobody")
    assert len(audited.entries(run.database_url)) == before
