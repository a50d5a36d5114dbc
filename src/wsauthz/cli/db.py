"""The schema of the database, and what is kept in it, as commands."""

import json
import shlex
from collections import Counter
from typing import Annotated, Final, TypeVar

import typer

from wsauthz.cli import opening, options
from wsauthz.model.places import PLATFORM
from wsauthz.policy.bundle import read_bundle
from wsauthz.replica import retention
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.settings import Settings
from wsauthz.store import audit, migrations, revisions
from wsauthz.store.audit_keys import AuditKeys
from wsauthz.tenancy import platform
from wsauthz.tenancy.row_checks import Call, check_rows
from wsauthz.tenancy.transaction import AuditNote, audit_entry

app = typer.Typer(name="db", rich_markup_mode=None, no_args_is_help=True)

T = TypeVar("T")
UNFIT: Final = 1
"""The exit status of a check that found something."""


@app.callback()
def main() -> None:
    """Bring the database to the schema, check it, prune it.

    \b
    Example:
      wsauthz db upgrade --database postgresql://wsauthz@localhost/wsauthz
      wsauthz db check
    """


@app.command()
def upgrade(database: options.Database = None) -> None:
    """Bring the database to the newest schema.

    An SQLite file is made when it is missing. Repeating it changes nothing.

    \b
    Example:
      wsauthz db upgrade
    """
    url = opening.settings(database).database_url
    before = migrations.current(url)
    migrations.upgrade(url)
    after = migrations.current(url)
    print(
        f"The database is at revision {after}." if before != after else f"The database was at revision {after} already."
    )


@app.command()
def current(database: options.Database = None) -> None:
    """Print the schema's revision in the database, or none.

    \b
    Example:
      wsauthz db current
    """
    print(migrations.current(opening.settings(database).database_url) or "none")


@app.command()
def check(
    rows: Annotated[
        bool, typer.Option("--rows", help="Also list the rows that need a look, and what repairs them.")
    ] = False,
    database: options.Database = None,
    policy: options.Policy = None,
) -> None:
    """Tell whether this program can work with the database.

    With --rows it lists memberships of organizations that say more than those of their workspaces, members whom nobody
    has mirrored, and rows that break a rule, each with the management calls that would repair it, as JSON and as a
    command; of several calls one is enough. Nothing is changed.

    Exit status: 0 if all is well, 1 with what is not, 2 error.

    \b
    Example:
      wsauthz db check
      wsauthz db check --rows --policy policies/dam
    """
    using = opening.settings(database, policy)
    problems = migrations.check(using.database_url)
    print(*(problems or ["The database has the schema of this program."]), sep="\n")
    if problems or (rows and _print_findings(using)):
        raise typer.Exit(UNFIT)


@app.command()
def prune(database: options.Database = None) -> None:
    """Delete what is kept for 24 hours, now.

    That is changes and the answers to named requests. Servers do it by themselves about once an hour; nothing else is
    ever deleted: what users deleted, and the audit, stay for good.

    \b
    Example:
      wsauthz db prune
    """
    pruned: Counter[str] = Counter(changes=0, request_ids=0)
    with opening.opened(opening.settings(database).database_url) as opened:
        for kind, count in retention.prune(opened):
            pruned[kind] += count
    print(f"{pruned['changes']:,} changes and {pruned['request_ids']:,} answers were old enough, and are gone.")


@app.command(name="new-epoch")
def new_epoch(database: options.Database = None) -> None:
    """Reject the revision tokens from before a restore.

    Run it after restoring a backup. Clients read everything anew; servers that run reload at their next poll and end
    their streams. It may be repeated.

    \b
    Example:
      wsauthz db new-epoch
    """
    by = opening.caller("db/new-epoch")
    using = opening.settings(database)
    with opening.opened(using.database_url) as opened, opened.write() as connection:
        before = revisions.current(connection)
        after = revisions.new_epoch(connection)
        epochs = {"before": {"epoch": before.epoch}, "after": {"epoch": after.epoch}}
        note = AuditNote(target_kind="database", target_id=before.epoch, place=PLATFORM, **epochs)
        entry = audit_entry(by, note, revisions.database_time(connection))
        audit.append(connection, [entry], None, keys=AuditKeys(using.audit_keys))
    print(f"The epoch is {after.epoch}, it was {before.epoch}. Revision tokens of the earlier epoch are rejected.")


def _print_findings(using: Settings) -> int:
    """Print every row that needs a look, and return how many those are."""
    count = 0
    with opening.bundle_at(using.policy):
        catalog = read_bundle(using.policy, core_vocabulary()).catalog
    with opening.opened(using.database_url) as opened, opened.read() as connection:
        operators = [each.user_id for each in platform.members(connection) if each.role == catalog.operator_role]
        operator = operators[0] if operators else "OPERATOR"
        for finding in check_rows(connection, catalog, revisions.database_time(connection)):
            count += 1
            print(finding.text)
            for call in finding.calls:
                _print_call(call, operator if call.actor is None else call.actor)
    print(f"{count:,} rows need a look. Nothing was changed." if count else "No row needs a look.")
    return count


def _print_call(call: Call, actor: str) -> None:
    request = json.dumps(call.request, ensure_ascii=False)
    print(f"  {json.dumps({'method': call.method, 'request': call.request}, ensure_ascii=False)}")
    words = ["wsauthz", "call", call.method, request, *(["--actor", actor] if actor else [])]
    print(f"  {shlex.join(words)}")
