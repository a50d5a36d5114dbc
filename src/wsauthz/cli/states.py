"""State files as commands: into the database and out of it."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from wsauthz.cli import opening, options, printing
from wsauthz.cli.failures import Failed, listed
from wsauthz.cli.progress import progress
from wsauthz.cli.state_text import Form, replaced, state_form, write_state
from wsauthz.model.memberships import Membership
from wsauthz.policy.problems import Problem, StateRefused
from wsauthz.policy.state_file import State, read_lines, read_state, state_of
from wsauthz.replica.replica import Replica
from wsauthz.replica.writing import write
from wsauthz.tenancy.exports import NOT_EXPORTED, export_state
from wsauthz.tenancy.imports import Imported, import_state

app = typer.Typer(rich_markup_mode=None)

_MOST_LISTED: Final = 100
"""Memberships that an import adds by itself and that are printed one by one."""
_STDIN: Final = "-"

Format = Annotated[Form | None, typer.Option("--format", help="yaml or jsonl; default: what the name ends with.")]


@app.command(name="import")
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A state file: .yaml or .jsonl; - is standard input.")],
    form: Format = None,
    allow_platform: Annotated[
        bool, typer.Option("--allow-platform", help="Also import memberships of the platform.")
    ] = False,
    allow_unknown_users: Annotated[
        bool, typer.Option("--allow-unknown-users", help="Also import members and owners that no user is.")
    ] = False,
    database: options.Database = None,
    policy: options.Policy = None,
) -> None:
    """Put a state file into the database, all or nothing.

    It lists users, organizations, workspaces, memberships, removals, visits, invitations, subscriptions and the source
    versions of deleted users. Records that are there get the fields that the file lists, others are made; nothing is
    deleted. Mistakes are reported together, with their lines, and importing the same file again changes nothing.
    Members of a workspace become members of its organization; those that the file does not list are printed. Running
    servers notice; what they would write meanwhile has to wait.

    \b
    Example:
      wsauthz import examples/dam.yaml
      wsauthz demo --workspaces 100 --users 1000 | wsauthz import - --format jsonl
    """
    using = opening.settings(database, policy)
    form = form or state_form(file)
    with opening.loaded(using) as replica:
        try:
            state = _read(file, form)
            imported = _import(replica, state, allow_platform=allow_platform, allow_unknown_users=allow_unknown_users)
        except StateRefused as refused:
            raise Failed(*listed(refused.problems), f"Nothing was imported. The bundle is {using.policy}.") from None
    _report(imported)


@app.command(name="export")
def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to: .yaml or .jsonl; - is standard output.")],
    form: Format = None,
    database: options.Database = None,
) -> None:
    """Write the database into a state file that an import takes.

    If somebody has a role at the platform the import wants --allow-platform, and if a member or an owner is no user,
    --allow-unknown-users. Everything that decisions, rules and limits depend on is in the file, of one revision. What
    is not, such as secrets and the audit, is named on standard error and at the head of the file. The file has
    addresses of people, so only its owner may read it.

    \b
    Example:
      wsauthz export backup.jsonl
      wsauthz export - --format yaml
    """
    form = form or state_form(file)
    notes = [f"Not in this file: {what}." for what in NOT_EXPORTED]
    with opening.opened(opening.settings(database).database_url) as opened, opened.read() as connection:
        if file == _STDIN:
            write_state(sys.stdout, form, export_state(connection), notes)
        else:
            with replaced(Path(file)) as output:
                count = write_state(output, form, export_state(connection), notes)
            print(f"{file}: {count:,} records")
    print(*notes, sep="\n", file=sys.stderr)


def _read(file: str, form: Form) -> State:
    """Return what a file says; reports how far it is with long ones.

    Raises:
        StateRefused: with every mistake in it. OSError, Failed: it cannot be read.

    """
    name = "standard input" if file == _STDIN else file
    try:
        text = sys.stdin.buffer.read() if file == _STDIN else Path(file).read_bytes()
        content = text.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Failed(f"{name}: is not UTF-8") from None
    if form is Form.YAML:
        return read_state(content, "yaml", file=name)
    problems: list[Problem] = []
    lines = content.split("\n")
    with progress("Reading", len(lines)) as advance:
        state = state_of(read_lines(_counted(lines, advance), problems, file=name), name)
    if problems:
        raise StateRefused(sorted(problems))
    return state


def _import(replica: Replica, state: State, *, allow_platform: bool, allow_unknown_users: bool) -> Imported:
    """Import a state in one writing transaction; reports how far it is with long ones."""
    with progress("Writing", sum(map(len, state.records.values()))) as advance:
        work = partial(
            import_state,
            state=state,
            allow_platform=allow_platform,
            allow_unknown_users=allow_unknown_users,
            advance=advance,
        )
        return write(replica, opening.caller("import"), work).answer


def _counted(lines: list[str], advance: Callable[[int], None]) -> Iterator[str]:
    for start in range(0, len(lines), 1_000):
        some = lines[start : start + 1_000]
        yield from some
        advance(len(some))


def _report(imported: Imported) -> None:
    counts = imported.counts
    if not any(count.added or count.changed for count in counts.values()):
        print("Nothing has changed.")
        return
    out = printing.console()
    rows = [(kind, f"{each.added:,}", f"{each.changed:,}", f"{each.unchanged:,}") for kind, each in counts.items()]
    printing.table(out, ("IMPORTED", "NEW", "CHANGED", "UNCHANGED"), rows)
    if imported.brought:
        print("\nMembers of a workspace are members of its organization. Added or changed for that:")
        found = [_brought(membership) for membership in imported.brought[:_MOST_LISTED]]
        printing.table(out, ("ORGANIZATION", "USER", "ROLE", "MODULES", "EXPIRES"), found)
        if len(imported.brought) > _MOST_LISTED:
            print(f"and {len(imported.brought) - _MOST_LISTED:,} more")


def _brought(membership: Membership) -> tuple[str, ...]:
    modules = "all" if membership.modules is None else ", ".join(membership.modules) or "none"
    expires = "never" if membership.expires_at is None else membership.expires_at.isoformat()
    return (str(membership.organization_id), membership.user_id, membership.role, modules, expires)
