import pytest

from tests.policy.bundle_files import CATALOG, POLICY, TESTS, bundle, catalog
from wsauthz.policy.bundle import BundleRefused
from wsauthz.policy.rules_reader import read_rules
from wsauthz.policy.ruleset import Ruleset
from wsauthz.policy.scenarios import Report, failures, load_scenarios, prepare, run_scenarios

NOW = 1_900_000_000.0
GIVEN = """\
- name: it
  given:
    users: [{id: ann}, {id: gus}, {id: off, is_active: false}]
    organizations: [{id: o}]
    workspaces: [{id: w, organization: o, owner: ann, is_suspended: true, modules: [art]}]
    memberships: [{workspace: w, user: gus, role: guest}]
"""


def run(tests: str = TESTS, policy: str = POLICY, catalog: str = CATALOG) -> Report:
    return run_scenarios(bundle(tests_yaml=tests, policy_csv=policy, catalog_toml=catalog), NOW)


def failed(expectation: str) -> list[str]:
    return [str(problem) for problem in run(f"{GIVEN}  expect:\n    - {{{expectation}}}\n").failures]


def refusals(tests: str) -> list[str]:
    with pytest.raises(BundleRefused) as refused:
        run(tests)
    return [str(problem) for problem in refused.value.problems]


def test_expectations_that_hold_are_counted() -> None:
    report = run()
    cells = 4 * (4 + 2 + 2 + 1 + 1 + 1) + 2  # for four rows every action; and both of picture/7, which a row names
    assert (report.scenarios, report.expectations, report.failures) == (1, 6 + cells, ())


def test_a_bundle_without_tests_has_no_scenarios() -> None:
    assert run("") == Report(scenarios=0, expectations=0, failures=(), exercised=frozenset())


def test_the_rows_that_decided_something_are_exercised() -> None:
    assert run().exercised == {2, 3, 4, 5, 7, 8, 9, 10}


def test_a_row_that_no_question_reaches_is_not_exercised() -> None:
    assert (
        11
        not in run(
            policy=POLICY.replace("g, role", "p, role:guest, workspace:x, note/*, read, any, allow\ng, role", 1)
        ).exercised
    )


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (
            'subject: gus, workspace: w, check: "art:picture see", allow: true',
            "tests.yaml:8: scenario 'it': gus art:picture see in workspace w: expected allow, got WORKSPACE_SUSPENDED",
        ),
        (
            'subject: gus, workspace: w, check: "workspace view", reason: NOT_A_MEMBER',
            "gus workspace view in workspace w: expected NOT_A_MEMBER, got allow by policy.csv:2",
        ),
        (
            'subject: gus, workspace: w, check: "art:picture/13 see", reason: DENIED_BY_RULE',
            "expected DENIED_BY_RULE, got WORKSPACE_SUSPENDED by policy.csv:5",
        ),
        (
            'subject: gus, workspace: w, check: "art:picture see", reason: WORKSPACE_SUSPENDED, blocked_by: o',
            "expected WORKSPACE_SUSPENDED by o, got it by w",
        ),
        (
            'subject: gus, workspace: w, check: "workspace create_child", reason: WORKSPACE_SUSPENDED, blocked_by: o',
            "expected WORKSPACE_SUSPENDED by o, got it by w",
        ),
        (
            'subject: gus, check: "note read", allow: true',
            "gus note read in no place: expected allow, got WORKSPACE_ID_MISSING",
        ),
        ('subject: gus, workspace: x, check: "note read", allow: true', "expected allow, got WORKSPACE_NOT_FOUND"),
        ('subject: off, workspace: w, check: "note read", allow: true', "expected allow, got USER_INACTIVE"),
        ('subject: gus, platform: true, check: "note read", allow: true', "gus note read in platform: expected allow"),
        (
            'subject: gus, workspace: w, module: shop, check: "workspace view", allow: true',
            "expected allow, got MODULE_NOT_ENABLED",
        ),
        (
            "subject: gus, workspace: w, route: default, allow: true",
            "gus opens a page of workspace w: expected allow, got W",
        ),
        (
            "subject: gus, workspace: w, route: [checkWorkspace], reason: NOT_A_MEMBER",
            "expected NOT_A_MEMBER, got allow",
        ),
        (
            "subject: gus, workspace: w, route: default, reason: WORKSPACE_SUSPENDED, guard: checkWorkspace",
            "expected WORKSPACE_SUSPENDED by the guard checkWorkspace, got it by check-if-suspended",
        ),
    ],
)
def test_a_failure_reads_like_a_difference(expectation: str, message: str) -> None:
    found = failed(expectation)
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize(
    "expectation",
    [
        'subject: gus, workspace: w, check: "workspace view", allow: true',
        'subject: ann, organization: o, check: "organization view", reason: NOT_A_MEMBER',
        'subject: gus, platform: true, check: "workspace create", allow: true',
        'subject: gus, workspace: w, module: art, check: "workspace view", allow: true',
        "subject: gus, workspace: w, route: [checkWorkspace], allow: true",
        "subject: gus, workspace: w, parent: x, route: [], reason: WORKSPACE_NOT_FOUND",
        "subject: gus, route: default, reason: WORKSPACE_ID_MISSING, guard: checkWorkspace",
    ],
)
def test_what_holds_does_not_fail(expectation: str) -> None:
    assert failed(expectation) == []


def test_everything_that_a_matrix_does_not_list_must_be_denied() -> None:
    tests = TESTS.replace('guest: ["workspace view", ', "guest: [")
    (failure,) = run(tests).failures
    where = "tests.yaml:17: scenario 'a guest looks': matrix: guest workspace view in workspace w"
    assert str(failure) == f"{where}: expected a denial, got allow by policy.csv:2"


def test_everything_that_a_matrix_lists_must_be_allowed() -> None:
    tests = TESTS.replace(
        '["workspace view", "art:picture see", "art:picture/7 hang"]',
        '["note read", "workspace view", "art:picture see", "art:picture/7 hang"]',
    )
    (failure,) = run(tests).failures
    assert "matrix: guest note read in workspace w: expected allow, got ROLE_INSUFFICIENT" in str(failure)


def test_a_role_without_a_row_may_do_nothing() -> None:
    lines = TESTS.splitlines(keepends=True)
    tests = "".join(line for line in lines if not line.startswith("      editor:"))
    found = [str(problem) for problem in run(tests).failures]
    assert len(found) == 4
    assert all("matrix: editor" in text and "expected a denial" in text for text in found)


def test_a_matrix_may_ask_below_the_place_where_the_roles_are_held() -> None:
    tests = """\
- name: what flows
  given: {workspaces: [{id: p}, {id: c, parent: p}], subscriptions: [{workspace: p, plan: large}]}
  matrix:
    workspace: c
    held_in: {workspace: p}
    rows:
      owner: ["workspace view", "art:picture see", "art:picture hang", "art:frame gild"]
      editor: ["workspace view", "art:picture see", "art:picture hang", "art:frame gild"]
"""
    assert run(tests).failures == ()


def test_a_matrix_row_may_be_about_everyone() -> None:
    tests = '- name: all\n  matrix:\n    platform: true\n    rows: {everyone: ["workspace create"]}\n'
    assert run(tests).failures == ()
    assert run(tests).exercised == {10}


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ("name: x", "tests.yaml:1: must be a list of scenarios"),
        ("- name: [", "tests.yaml:2: is no YAML"),
        ("- {expect: []}", "tests.yaml:1: a scenario needs a name"),
        ("- {name: x}", "tests.yaml:1: a scenario needs expect or matrix"),
        ("- text", "tests.yaml:1: must be a mapping"),
        ("- {name: x, expects: []}", "tests.yaml:1: 'expects' is not a key here (did you mean expect?)"),
        ("- {name: x, expect: {}}", "tests.yaml:1: expect: must be a list"),
        (TESTS + TESTS, "tests.yaml:21: a second scenario 'a guest looks'"),
        (TESTS.replace("role: guest", "role: gest"), "tests.yaml:5: membership: role: the catalog has no 'gest'"),
        (TESTS.replace("parent: w", "parent: x"), "tests.yaml:4: workspace: there is no workspace 'x'"),
        (TESTS.replace("parent: w", "praent: w"), "tests.yaml:4: workspace: 'praent' is not a key here"),
        (
            TESTS.replace("subject: gus, platform", "sujbect: gus, platform"),
            "tests.yaml:13: 'sujbect' is not a key here",
        ),
        (TESTS.replace("subject: gus, platform", "subject: 'g us', platform"), "subject: 'g us' is no user id"),
        (TESTS.replace("platform: true", "platform: false"), "platform: must be true, or be left out"),
        (
            TESTS.replace("platform: true", "platform: true, workspace: w"),
            "needs one of workspace, organization and pl",
        ),
        (TESTS.replace("workspace: w, check", "workspace: -w, check"), "workspace: '-w' is no id"),
        (TESTS.replace('"workspace create"', '"workspace"'), "'workspace' is no question: write \"resource action\""),
        (TESTS.replace('"workspace create"', '"workspace/# create"'), "'#' cannot be the id of a resource"),
        (
            TESTS.replace('"workspace create"', '"wrokspace create"'),
            "'wrokspace' is not a resource of the catalog (did",
        ),
        (TESTS.replace('"workspace create"', '"workspace create_chidl"'), "(did you mean create_child?)"),
        (TESTS.replace('check: "workspace create", ', ""), "tests.yaml:13: needs check or route"),
        (TESTS.replace("allow: true}", "allow: false}"), "allow: must be true; a denial is expected by its reason"),
        (TESTS.replace("allow: true}", "allow: true, reason: NOT_A_MEMBER}"), "needs one of allow: true and reason"),
        (TESTS.replace(", allow: true}", "}"), "needs one of allow: true and reason"),
        (
            TESTS.replace("reason: NOT_A_MEMBER", "reason: NOT_MEMBER"),
            "'NOT_MEMBER' is not a reason (did you mean NOT_A_",
        ),
        (TESTS.replace('check: "workspace create"', "route: default"), "a route is in a workspace"),
        (TESTS.replace('check: "workspace view"', "route: x"), "route: must be default, or a list of guards"),
        (
            TESTS.replace('check: "workspace view"', "route: [checkWorkspac]"),
            "has no guard 'checkWorkspac' (did you mean",
        ),
        (TESTS.replace("    workspace: w\n", ""), "tests.yaml:15: needs one of workspace, organization and platform"),
        (TESTS.replace("    workspace: w\n", "    workspace: x\n"), "matrix: given has no workspace 'x'"),
        (TESTS.replace("    rows:", "    row:"), "tests.yaml:15: a matrix needs rows"),
        (TESTS.replace("    rows:\n", "    held_in: {wrkspace: w}\n    rows:\n"), "'wrkspace' is not a key here"),
        (
            TESTS.replace("      guest:", "      gest:"),
            "matrix: gest: the catalog has no role 'gest' (did you mean guest?)",
        ),
        (TESTS.replace("      guest:", "      operator:"), "the places of 'operator' are platform, not workspace"),
        (
            TESTS.replace("guest+perm:can-hang", "guest+can-hang"),
            "'can-hang' is no permission (did you mean perm:can-hang?)",
        ),
        (
            TESTS.replace("guest+perm:can-hang", "guest+perm:can-hag"),
            "the catalog has no permission 'can-hag' (did you",
        ),
        (
            TESTS.replace('"shop:ticket sell"', '"shop:ticket sel"'),
            "tests.yaml:20: matrix: owner: 'sel' is not an action",
        ),
        (TESTS.replace('"shop:ticket sell"', '"shop:ticket"'), "tests.yaml:20: 'shop:ticket' is no question"),
        (TESTS.replace('"shop:ticket sell"', '"workspace view"'), "owner: 'workspace view' is listed twice"),
        (
            TESTS.replace('      guest: ["workspace view"', '      x: a\n      guest: ["workspace view"'),
            "x: must be a list",
        ),
    ],
)
def test_a_mistake_in_the_tests_is_refused_with_its_line(tests: str, message: str) -> None:
    found = refusals(tests)
    assert any(message in text for text in found), found


def test_every_row_that_is_dropped_or_flipped_is_noticed() -> None:
    vocabulary = catalog()
    prepared = prepare(load_scenarios(TESTS), vocabulary, NOW)
    lines = POLICY.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if not line.startswith(("p", "g,")):
            continue
        flipped = line.replace("allow", "deny").replace("active, ", "any, ")
        for changed in ("", flipped) if line.startswith("p") else ("",):
            table, problems = read_rules("".join([*lines[:number], changed, *lines[number + 1 :]]), vocabulary)
            if changed == line:
                continue
            assert table is not None, problems
            assert next(failures(prepared, Ruleset(vocabulary, table), NOW), None), (line, changed)
