import json
from pathlib import Path

import pytest

from tests.cli.running import EXAMPLES, Run
from tests.serving import ServerProcess

QUESTIONS = (
    ("check", "ann", "north-press", "dam:asset", "delete", "--trace"),
    ("check", "cleo", "south-shop", "dam:asset", "update"),
    ("check", "cleo", "south-shop", "dam:asset", "update", "--as", "bob"),
    ("check", "dan", "north", "analytics:report", "read"),
    ("check", "dan", "north", "dam:asset/42", "read", "--module", "analytics"),
    ("check", "hana", "fjord", "dam:brand", "edit"),
    ("check", "ann", "organization:halden", "organization", "update"),
    ("check", "dan", "platform", "workspace", "create"),
    ("check", "ann", "", "dam:asset", "read"),
    ("check", "ann", "nowhere", "dam:asset", "read"),
    ("check", "ann", "north", "dam:asset", "reed"),
    ("check", "a n n", "north", "dam:asset", "read"),
    ("explain", "eve", "north", "dam:asset", "read"),
    ("explain", "gil", "halden", "dam:asset", "read"),
    ("access", "finn", "north-press"),
    ("access", "hana", "fjord", "--json"),
    ("access", "ann", "nowhere"),
    ("lookup", "workspaces", "ann", "dam:asset", "read"),
    ("lookup", "subjects", "north", "dam:asset", "read"),
    ("lookup", "subjects", "platform", "organization", "create"),
    ("lookup", "subjects", "north", "dam:picture", "read"),
)


def test_an_allow_prints_allow_and_exits_with_0(example: Run) -> None:
    outcome = example.here("check", "ann", "north-press", "dam:asset", "delete")
    assert (outcome.status, outcome.out, outcome.err) == (0, "ALLOW\n", "")


def test_a_denial_prints_why_and_what_would_fix_it_and_exits_with_1(example: Run) -> None:
    outcome = example.here("check", "cleo", "south-shop", "dam:asset", "update")
    assert outcome.status == 1
    assert outcome.lines == [
        "DENY",
        "reason WORKSPACE_SUSPENDED",
        "message Workspace suspended",
        "http status 403",
        "redirect /south-shop/workspace-suspended",
        "blocked by workspace:south",
        "remedy Reinstate workspace:south, for everybody there and below it (requires permission in its parent).",
        "by WorkspaceStateService/ReinstateWorkspace in workspace:south",
        "who can ann",
    ]


def test_a_denial_names_every_reason(example_sqlite: Run) -> None:
    outcome = example_sqlite.here("check", "eve", "north", "dam:asset", "read")
    assert outcome.lines[1:3] == ["reason MEMBERSHIP_EXPIRED", "also ROLE_INSUFFICIENT"]


def test_who_could_help_is_told_only_to_somebody_who_may_list_members(example_sqlite: Run) -> None:
    question = ("check", "eve", "north", "dam:asset", "read")
    assert not any(line.startswith("who can") for line in example_sqlite.here(*question).lines)
    assert "who can ann, bob" in example_sqlite.here(*question, "--as", "bob").lines


def test_a_warning_is_printed_with_an_allow(example_sqlite: Run) -> None:
    outcome = example_sqlite.here("check", "hana", "fjord", "dam:brand", "edit")
    assert (outcome.status, outcome.lines) == (0, ["ALLOW", "warning SUBSCRIPTION_EXPIRED"])


def test_a_trace_says_where_roles_come_from_and_which_rule_matched(example_sqlite: Run) -> None:
    lines = example_sqlite.here("check", "dan", "north", "dam:asset", "update", "--trace").lines
    assert lines[1:4] == [
        "HELD IN HOW FROM MODULES COUNTS HERE",
        "workspace:north direct dam member",
        "workspace:north implied member dam viewer",
    ]
    assert lines[-1].startswith("allow line ")
    assert lines[-1].endswith("member p, role:member, *, *, update, active, allow")


def test_json_is_the_answer_under_the_names_of_the_proto(example_sqlite: Run) -> None:
    outcome = example_sqlite.here("check", "cleo", "south-shop", "dam:asset", "update", "--json")
    answer = json.loads(outcome.out)
    assert outcome.status == 1
    assert answer["decision"] == "DECISION_DENY"
    assert answer["denial"]["blocked_by"] == {"workspace_id": "south"}
    assert answer["denial"]["remedy"]["user_ids"] == ["ann"]


def test_explain_lists_the_steps_in_order(example_sqlite: Run) -> None:
    outcome = example_sqlite.here("explain", "dan", "north", "analytics:report", "read")
    steps = outcome.lines[outcome.lines.index("STEP WHY") + 1 :]
    assert outcome.status == 1
    assert [line.split()[1] for line in steps if line.startswith("NO ")] == ["MODULE_NOT_GRANTED", "rules"]
    assert "NO MODULE_NOT_GRANTED" in next(line for line in steps if line.startswith("NO "))
    assert example_sqlite.here("explain", "ann", "north", "dam:asset", "read").status == 0


def test_access_lists_what_somebody_holds_and_may_do(example_sqlite: Run) -> None:
    lines = example_sqlite.here("access", "finn", "north-press").lines
    assert lines[0] == "viewer"
    assert "permissions can-manage-users" in lines
    assert "member add, remove, update, view" in lines
    assert example_sqlite.here("access", "nobody", "north").lines[0] == "no role"


def test_lookups_print_one_id_a_line(example: Run) -> None:
    assert example.here("lookup", "workspaces", "ann", "dam:asset", "read").lines == ["halden", "north", "north-press"]
    assert example.here("lookup", "subjects", "north", "dam:asset", "read").lines == ["ann", "bob", "dan"]
    assert example.here("lookup", "workspaces", "gil", "dam:asset", "read").out == ""


def test_a_lookup_prints_every_page(run_sqlite: Run) -> None:
    users = [f"u{number:04}" for number in range(2_345)]
    state = "".join(json.dumps({"kind": "user", "id": user}) + "\n" for user in users)
    assert run_sqlite("import", "-", "--format", "jsonl", stdin=state).status == 0
    assert run_sqlite.here("lookup", "subjects", "platform", "workspace", "create").lines == users


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (("check", "ann", "north", "dam:asset", "reed"), "action: 'reed' is not an action of 'dam:asset'"),
        (("check", "ann", "north", "dam:picture", "read"), "resource: 'dam:picture' is not a resource type"),
        (("check", "ann", "north ", "dam:asset", "read"), "workspace_id: must be 1 to 128 characters"),
        (("check", "a'nn", "north", "dam:asset", "read"), "subject: must be 1 to 128 characters"),
        (("check", "ann", "galaxy:north", "dam:asset", "read"), "'galaxy:north' is no place"),
        (("access", "ann", "nowhere"), "Workspace not found"),
        (("access", "ann", "organization:nowhere"), "Organization not found"),
    ],
)
def test_a_mistake_is_one_sentence_and_exits_with_2(
    example_sqlite: Run, question: tuple[str, ...], sentence: str
) -> None:
    outcome = example_sqlite.here(*question)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(sentence)
    assert outcome.err.count("\n") == 1


def test_nobody_answering_is_a_sentence_and_exits_with_2(run_sqlite: Run) -> None:
    outcome = run_sqlite("check", "ann", "north", "dam:asset", "read", "--server", "127.0.0.1:1")
    assert outcome.status == 2
    assert outcome.err.startswith("No server answers at 127.0.0.1:1; start one with `wsauthz serve`")
    assert outcome.err.count("\n") == 1


def test_a_server_and_a_database_are_not_named_together(run_sqlite: Run, bundles: Path) -> None:
    question = ("check", "ann", "north", "dam:asset", "read")
    assert run_sqlite.here(*question, "--server", "127.0.0.1:1").status == 2
    assert run_sqlite(*question, "--policy", bundles / "dam").status == 2


def test_a_server_and_the_database_itself_print_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch, bundles: Path
) -> None:
    assert run("import", EXAMPLES / "dam.yaml").status == 0
    with ServerProcess(run.database_url, bundles / "dam") as server:
        monkeypatch.setenv("WSAUTHZ_LISTEN", server.address)
        for question in QUESTIONS:
            asked, here = run(*question), run.here(*question)
            assert asked == here, question
        assert run("health").out == "SERVING\n"
        assert run("health", "--service", "wsauthz.v1.AuthorizationService").status == 0
        missing = run("health", "--service", "nothing")
        assert (missing.status, missing.err) == (2, f"{server.address}: there is no such service\n")
    gone = run("health", "--timeout", "0.5")
    assert (gone.status, gone.err) == (2, f"{server.address}: no server answers\n")


def test_a_running_server_sees_what_commands_write(run: Run, monkeypatch: pytest.MonkeyPatch, bundles: Path) -> None:
    def becomes(status: int) -> bool:
        return any(run("check", "olga", "platform", "user", "view").status == status for _ in range(100))

    with ServerProcess(run.database_url, bundles / "dam") as server:
        monkeypatch.setenv("WSAUTHZ_LISTEN", server.address)
        assert run("check", "ann", "north", "dam:asset", "read").status == 1
        assert run("import", EXAMPLES / "dam.yaml").status == 0
        assert run("platform", "grant", "olga").out == "olga is operator at the platform.\n"
        assert becomes(0)
        assert run("check", "ann", "north", "dam:asset", "read").status == 0
        assert run("platform", "revoke", "olga", "operator").out == "olga is no longer operator at the platform.\n"
        assert becomes(1)
