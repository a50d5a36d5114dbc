"""Policy bundles as commands: validated and tested without a database, compared and exported with one."""

import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from wsauthz.cli import in_force, opening, options, printing, shipped
from wsauthz.cli.failures import Failed, listed
from wsauthz.policy.bundle import Bundle as PolicyBundle
from wsauthz.policy.bundle import BundleRefused, read_bundle
from wsauthz.policy.bundle_directory import TESTS
from wsauthz.policy.bundle_problems import broad_defaults, core_objects, unknown_places, untested
from wsauthz.policy.current import load
from wsauthz.policy.facts import Facts
from wsauthz.policy.loading import fill
from wsauthz.policy.scenarios import load_scenarios, run_scenarios
from wsauthz.policy.stock import export_policy
from wsauthz.policy.stock import verify as compare
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.store import revisions, snapshot

app = typer.Typer(name="policy", rich_markup_mode=None, no_args_is_help=True)
app.command()(shipped.init)
app.command()(in_force.info)
app.command()(in_force.reload)

FAILED: Final = 1
"""The exit status of a bundle, or an answer, that is not as it should be."""

Bundle = Annotated[
    Path | None, typer.Argument(metavar="[BUNDLE]", help="The bundle's directory; default WSAUTHZ_POLICY.")
]


@app.callback()
def main() -> None:
    """Write, validate, test, verify, export and reload policy bundles.

    \b
    Example:
      wsauthz policy init policies/acme --from dam
      wsauthz policy validate policies/dam
      wsauthz policy test policies/dam --coverage
    """


@app.command()
def validate(
    bundle: Bundle = None,
    database: Annotated[
        str | None,
        typer.Option("--database", metavar="URL", help="Check that the places that rules name exist in this database."),
    ] = None,
    allow_untested: Annotated[bool, typer.Option("--allow-untested", help="Accept a bundle without tests.")] = False,
    allow_unknown_places: Annotated[
        bool, typer.Option("--allow-unknown-places", help="Accept rules about places that the database lacks.")
    ] = False,
) -> None:
    """Read, compile and test a bundle as a server does.

    Exit status: 0 valid, 1 not valid, with what is wrong, 2 error. With --database also warns of members
    whose role the bundle does not know.

    \b
    Example:
      wsauthz policy validate policies/dam
      wsauthz policy validate policies/dam --database sqlite:///wsauthz.db
    """
    directory = opening.settings(policy=bundle).policy
    try:
        found = load(directory, core_vocabulary())
    except BundleRefused as refused:
        print(f"{directory} is refused:", *listed(refused.problems), sep="\n")
        raise typer.Exit(FAILED) from None
    count = len(load_scenarios(found.files.get(TESTS, "")))
    problems = [] if count or allow_untested else [untested()]
    if database is not None:
        facts = _facts(database, found)
        problems += [] if allow_unknown_places else unknown_places(found.rules.table, facts.places)
    if warnings := [*core_objects(found), *broad_defaults(found)]:
        print(f"{directory}:", *listed(warnings), sep="\n", file=sys.stderr)
    tests = "1 test" if count == 1 else f"{count:,} tests"
    if problems:
        print(f"{directory} is not valid: {found.catalog.name}, version {found.version}, {tests}.")
        print(*listed(problems), sep="\n")
        raise typer.Exit(FAILED)
    print(f"{directory} is valid: {found.catalog.name}, version {found.version}, {tests}.")


def _facts(url: str, bundle: PolicyBundle) -> Facts:
    """Return the facts of a database, after a warning of the roles in it that the bundle lacks."""
    facts = Facts()
    with opening.opened(url) as opened, opened.read() as connection:
        for _ in fill(facts, snapshot.load(connection)):
            pass
        opening.warn_of_roles(bundle, facts, opened.name)
    return facts


@app.command(name="test")
def run_tests(
    bundle: Bundle = None,
    coverage: Annotated[bool, typer.Option("--coverage", help="List the rules that no test exercises.")] = False,
) -> None:
    """Run a bundle's tests.yaml, without a database.

    Exit status: 0 if every expectation holds, 1 with those that do not or if there is none, 2 error.

    \b
    Example:
      wsauthz policy test policies/dam --coverage
    """
    directory = opening.settings(policy=bundle).policy
    with opening.bundle_at(directory):
        found = read_bundle(directory, core_vocabulary())
        report = run_scenarios(found, time.time())
    rules = {row.line: row.text for row in found.rules.table.rules}
    unexercised = sorted(rules.keys() - report.exercised)
    print(f"{report.scenarios} scenarios, {report.expectations:,} questions, {len(report.failures)} failures.")
    print(f"{len(rules) - len(unexercised)} of {len(rules)} rules are exercised.")
    print(*listed(report.failures), sep="\n", end="\n" if report.failures else "")
    if coverage:
        for line in unexercised:
            print(f"  policy.csv:{line}: {rules[line]}")
    if report.failures or not report.scenarios:
        raise typer.Exit(FAILED)


@app.command()
def verify(
    questions: Annotated[int, typer.Option("--questions", min=1, help="How many random questions.")] = 1_000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed asks the same questions.")] = 1,
    database: options.Database = None,
    policy: options.Policy = None,
) -> None:
    """Compare the engine with stock Casbin on the database.

    Both are asked the same random questions. Exit status: 0 if they agree, 1 with the differences, 2 error.

    \b
    Example:
      wsauthz policy verify --questions 10000
    """
    using = opening.settings(database, policy)
    with opening.bundle_at(using.policy):
        bundle = load(using.policy, core_vocabulary())
    with opening.opened(using.database_url) as opened, opened.read() as connection:
        rows = list(snapshot.load(connection))
    found = compare(bundle, rows, count=questions, seed=seed, now=time.time())
    print(f"{questions:,} questions, {len(found)} differences.")
    if found:
        answers = {True: "allow", False: "deny"}
        printing.table(
            printing.console(),
            ("SUBJECT", "PLACE", "RESOURCE", "ACTION", "MODULE", "ENGINE", "CASBIN"),
            [
                (
                    each.subject,
                    each.place,
                    each.resource,
                    each.action,
                    each.required_module,
                    answers[each.engine],
                    answers[each.stock],
                )
                for each in found
            ],
        )
        raise typer.Exit(FAILED)


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="Where model.conf and policy.csv go.")],
    database: options.Database = None,
    policy: options.Policy = None,
) -> None:
    """Write bundle and database as files for any Casbin.

    Plain model.conf and policy.csv, with the facts as rows. Questions are asked like this:
    enforce("user:ann", "workspace:north", "workspace:north#dam", "dam:asset/42", "read").

    \b
    Example:
      wsauthz policy export casbin
    """
    using = opening.settings(database, policy)
    with opening.bundle_at(using.policy):
        bundle = load(using.policy, core_vocabulary())
    directory.mkdir(parents=True, exist_ok=True)
    if directory.resolve() in {using.policy.resolve(), using.policy.resolve().parent}:
        raise Failed(f"{directory}: is where the bundle itself is; name another directory")
    with opening.opened(using.database_url) as opened, opened.read() as connection:
        model, rows = export_policy(bundle, snapshot.load(connection), revisions.database_time(connection).timestamp())
    (directory / "model.conf").write_text(model, encoding="utf-8")
    (directory / "policy.csv").write_text(rows, encoding="utf-8")
    print(f"{directory}: model.conf, policy.csv with {rows.count(chr(10)):,} rows")
