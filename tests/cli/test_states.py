import json
from pathlib import Path

import pytest

from tests.cli.running import EXAMPLES, Run, write

STATE = "users: [{id: ann, email: ann@example.com}]\nworkspaces: [{id: w, owner: ann, invite_code: canary-code}]\n"


def test_an_import_counts_what_it_did_and_the_second_one_did_nothing(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "state.yaml", STATE)
    outcome = run("import", file)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.lines == [
        "IMPORTED NEW CHANGED UNCHANGED",
        "user 1 0 0",
        "workspace 1 0 0",
        "invite code 1 0 0",
    ]
    assert run("import", file).out == "Nothing has changed.\n"


def test_mistakes_in_a_file_are_listed_with_their_lines_and_nothing_is_imported(run: Run, tmp_path: Path) -> None:
    file = write(
        tmp_path / "state.yaml", STATE + "memberships:\n  - {workspace: w, user: ann, role: wizard}\n  - {x: 1}\n"
    )
    outcome = run("import", file)
    assert (outcome.status, outcome.out) == (2, "")
    assert f"{file}:5: membership: 'x' is not a key here" in outcome.err
    assert "Nothing was imported. The bundle is " in outcome.err
    write(
        file,
        f"{STATE}memberships:\n"
        "  - {workspace: w, user: ann, role: wizard}\n"
        "  - {workspace: x, user: ann, role: admin}\n",
    )
    assert run("import", file).err.splitlines()[:-1] == [
        f"  {file}:4: membership: role: the catalog has no 'wizard'",
        f"  {file}:5: membership: workspace: there is no workspace 'x'",
    ]
    exported = run("export", "-", "--format", "jsonl").out.splitlines()
    assert {json.loads(line)["kind"] for line in exported} == {"note"}


def test_of_very_many_mistakes_the_first_hundred_are_listed(run_sqlite: Run) -> None:
    outcome = run_sqlite("import", "-", "--format", "jsonl", stdin='{"kind": "user"}\n' * 150)
    lines = outcome.err.splitlines()
    assert lines[0] == "  standard input:1: user: id is missing"
    assert lines[-2] == "  and 50 more"
    assert len(lines) == 102


def test_standard_input_needs_a_format(run_sqlite: Run) -> None:
    outcome = run_sqlite("import", "-", stdin=STATE)
    assert (outcome.status, outcome.err) == (2, "-: say --format yaml or --format jsonl, or use a name that ends so\n")
    assert run_sqlite("import", "-", "--format", "yaml", stdin=STATE).status == 0


@pytest.mark.parametrize("name", ["state.yml", "state.YAML", "state.yaml"])
def test_the_format_is_what_the_name_ends_with(run_sqlite: Run, tmp_path: Path, name: str) -> None:
    assert run_sqlite("import", write(tmp_path / name, STATE)).status == 0


def test_a_file_that_cannot_be_read_is_a_sentence(run_sqlite: Run, tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    assert run_sqlite("import", missing).err == f"{missing}: No such file or directory\n"
    (tmp_path / "latin.yaml").write_bytes(b"users: [{id: ann, name: \xe4}]")
    assert run_sqlite("import", tmp_path / "latin.yaml").err == f"{tmp_path / 'latin.yaml'}: is not UTF-8\n"
    assert run_sqlite("export", tmp_path / "nowhere" / "state.yaml").status == 2


def test_a_byte_order_mark_and_other_line_ends_are_passed_over(run_sqlite: Run, tmp_path: Path) -> None:
    (tmp_path / "state.jsonl").write_bytes(
        b'\xef\xbb\xbf{"kind": "user", "id": "ann"}\r\n{"kind": "user", "id": "bob"}\r\n'
    )
    assert run_sqlite("import", tmp_path / "state.jsonl").lines[1] == "user 2 0 0"


def test_a_users_kind_has_a_name_of_its_own_in_json_lines(run_sqlite: Run) -> None:
    state = json.dumps({"kind": "user", "id": "robot", "user_kind": "service"})
    assert run_sqlite("import", "-", "--format", "jsonl", stdin=state).status == 0
    exported = run_sqlite("export", "-", "--format", "jsonl").out.splitlines()
    assert json.loads(exported[-1])["user_kind"] == "service"


def test_roles_at_the_platform_are_imported_on_demand_only(run: Run, tmp_path: Path) -> None:
    file = write(
        tmp_path / "state.yaml", "users: [{id: olga}]\nmemberships: [{platform: true, user: olga, role: operator}]\n"
    )
    refused = run("import", file)
    assert refused.status == 2
    assert "--allow-platform" in refused.err
    assert run("import", file, "--allow-platform").status == 0
    assert run("platform", "list").lines[1].startswith("olga operator yes")


def test_members_and_owners_that_no_user_is_are_imported_on_demand_only(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "state.yaml", "workspaces: [{id: w, owner: ann}]\n")
    refused = run("import", file)
    assert refused.status == 2
    assert "workspace: owner: there is no user 'ann' (--allow-unknown-users imports it anyway)" in refused.err
    assert run("import", file, "--allow-unknown-users").status == 0
    assert run.here("check", "ann", "w", "workspace", "delete").status == 0


def test_an_export_is_a_file_for_its_owner_only_and_has_no_secret(run: Run, tmp_path: Path) -> None:
    run("import", "-", "--format", "yaml", stdin=STATE)
    file = tmp_path / "out.yaml"
    file.write_text("old")
    assert run("export", file).out == f"{file}: 2 records\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "canary" not in file.read_text()
    assert not list(tmp_path.glob(".out*")), "nothing half written is left"
    assert run("export", "-", "--format", "yaml").out == file.read_text()


def test_the_same_database_is_not_needed_to_be_the_same_kind(run: Run, tmp_path: Path) -> None:
    assert run("import", EXAMPLES / "dam.yaml").status == 0
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    assert run("export", first).status == 0
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert run("db", "upgrade", "--database", other).status == 0
    assert run("import", first, "--database", other).status == 0
    assert run("export", second, "--database", other).status == 0
    assert second.read_text() == first.read_text()


def test_an_import_prints_what_it_adds_by_itself_and_that_is_no_more_than_the_members_have(
    run: Run, tmp_path: Path
) -> None:
    people = "".join(
        f"  - {{workspace: w, user: {user}, role: viewer, {terms}}}\n"
        for user, terms in (
            ("off", "is_active: false"),
            ("past", "expires_at: 2020-01-01T00:00:00Z"),
            ("few", "modules: [dam], expires_at: 2099-01-01T00:00:00Z"),
        )
    )
    users = "users: [{id: ann}, {id: off}, {id: past}, {id: few}]\n"
    places = f"{users}organizations: [{{id: acme}}]\nworkspaces: [{{id: w, organization: acme, owner: ann}}]\n"
    outcome = run("import", write(tmp_path / "state.yaml", f"{places}memberships:\n{people}"))
    assert outcome.lines[4:] == [
        "membership 3 0 0",
        "organization membership 1 0 0",
        "invite code 1 0 0",
        "Members of a workspace are members of its organization. Added or changed for that:",
        "ORGANIZATION USER ROLE MODULES EXPIRES",
        "acme few member dam 2099-01-01T00:00:00+00:00",
    ]
    assert run.here("check", "past", "organization:acme", "organization", "view").status == 1
    assert run.here("check", "few", "organization:acme", "organization", "view").status == 0


@pytest.mark.parametrize("form", ["yaml", "jsonl"])
def test_an_export_names_what_it_lacks_at_its_head_and_on_standard_error(
    run_sqlite: Run, tmp_path: Path, form: str
) -> None:
    run_sqlite("import", "-", "--format", "yaml", stdin=STATE)
    file = tmp_path / f"state.{form}"
    outcome = run_sqlite("export", file)
    said = outcome.err.splitlines()
    assert said[0] == "Not in this file: invite codes: an import makes new ones."
    assert any("audit" in line for line in said)
    head = file.read_text().splitlines()[: len(said)]
    assert head == [f"# {line}" if form == "yaml" else json.dumps({"kind": "note", "text": line}) for line in said]
    assert run_sqlite("export", "-", "--format", form).err == outcome.err
    assert run_sqlite("import", file).out == "Nothing has changed.\n"


def test_somebody_removed_stays_out_after_export_and_import(run: Run, tmp_path: Path) -> None:
    places = "workspaces: [{id: w, owner: ann, is_joinable: false, module_settings: {dam: {size: 1e3}}}]\n"
    users = "users: [{id: ann}]\n"
    removed = "removals: [{workspace: w, user: dan, role: member, modules: [dam], removed_at: 2026-01-01T00:00:00Z}]\n"
    visits = "visits: [{workspace: w, user: ann, entered_at: 2026-01-01T00:00:00Z}]\n"
    assert run("import", write(tmp_path / "state.yaml", users + places + removed + visits)).status == 0
    for form in ("yaml", "jsonl"):
        file, other = tmp_path / f"out.{form}", f"sqlite:///{tmp_path / form}.db"
        assert run("export", file).status == 0
        assert run("db", "upgrade", "--database", other).status == 0
        outcome = run("import", file, "--database", other)
        assert [line for line in outcome.lines if line.startswith(("removal", "visit", "module", "joining"))] == [
            "module settings 1 0 0",
            "removal 1 0 0",
            "visit 1 0 0",
            "joining by code 0 1 0",
        ]
        again = tmp_path / f"again.{form}"
        assert run("export", again, "--database", other).status == 0
        assert again.read_text() == file.read_text()
