from pathlib import Path

from tests.cli.running import EXAMPLES, Run


def test_a_role_is_granted_listed_and_revoked(run: Run) -> None:
    granted = run("platform", "grant", "olga")
    assert granted.out.splitlines() == [
        "olga is operator at the platform.",
        "Nobody with the id olga is known yet; whoever comes by it will be.",
    ]
    assert run("platform", "grant", "olga", "operator").status == 0
    listed = run("platform", "list").lines
    assert listed[0] == "USER ROLE ACTIVE SINCE"
    assert [line.split()[:3] for line in listed[1:]] == [["olga", "operator", "yes"]]
    assert run.here("check", "olga", "platform", "user", "view").status == 0
    assert run("platform", "revoke", "olga").out == "olga is no longer operator at the platform.\n"
    assert run.here("check", "olga", "platform", "user", "view").status == 1


def test_revoking_what_nobody_holds_is_an_error(run: Run) -> None:
    outcome = run("platform", "revoke", "anm")
    assert (outcome.status, outcome.err) == (2, "anm does not hold a role at the platform.\n")
    run("platform", "grant", "ann")
    assert run("platform", "revoke", "ann", "member").err == "ann does not hold member at the platform.\n"
    assert run.here("check", "ann", "platform", "user", "view").status == 0


def test_a_role_that_is_not_one_of_the_platform_is_refused(run_sqlite: Run) -> None:
    outcome = run_sqlite("platform", "grant", "ann", "admin")
    assert (outcome.status, outcome.err) == (2, "role: 'admin' is not an assignable role of a platform\n")
    assert run_sqlite("platform", "grant", "a b").status == 2
    assert run_sqlite("platform", "list").lines == ["USER ROLE ACTIVE SINCE"]


def test_roles_that_the_bundle_lacks_are_told(run_sqlite: Run, bundles: Path) -> None:
    """Whoever forgets to name the bundle gets other answers than the server gives."""
    here = ("--database", run_sqlite.database_url)
    assert run_sqlite("import", EXAMPLES / "dam.yaml", *here, "--policy", bundles / "dam").status == 0
    outcome = run_sqlite.here("check", "ann", "north", "workspace", "view", "--policy", bundles / "oneglanse")
    lines = outcome.err.splitlines()[1:]
    assert [line.split("'")[1] for line in lines] == ["admin", "organization-owner", "viewer"]
    assert lines[1] == (
        "  memberships: 1 member has the role 'organization-owner', which the bundle does not know: it grants nothing"
    )
    assert not run_sqlite.here("check", "ann", "north", "workspace", "view", "--policy", bundles / "dam").err
