"""The audit as commands: its end, to be kept elsewhere, and verifying its chain."""

from typing import Annotated, Final

import typer

from wsauthz.cli import opening, options
from wsauthz.cli.failures import Failed
from wsauthz.store import audit_verification
from wsauthz.store.audit_keys import AuditKeys
from wsauthz.store.audit_verification import Head
from wsauthz.tenancy import audits

app = typer.Typer(name="audit", rich_markup_mode=None, no_args_is_help=True)

BROKEN: Final = 1
"""The exit status of a verification that found a problem."""

Heads = Annotated[
    list[str] | None,
    typer.Option("--head", metavar="HEAD", help="A head that was published earlier; may be given several times."),
]


@app.callback()
def main() -> None:
    """Print the end of the audit, verify it.

    \b
    Example:
      wsauthz audit head
      wsauthz audit verify --head 4711.9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    """


@app.command()
def head(database: options.Database = None) -> None:
    """Print the end of the audit, to be kept elsewhere.

    That is the number of entries and the MAC of the newest one. Keep it where people who can write the database
    cannot change it, and give it to `wsauthz audit verify --head`. Servers log it every hour and when they stop
    (audit_head).

    \b
    Example:
      wsauthz audit head
    """
    with opening.opened(opening.settings(database).database_url) as opened, opened.read() as connection:
        print(audit_verification.head(connection).token)


@app.command()
def verify(heads: Heads = None, database: options.Database = None) -> None:
    """Verify every entry, and that published heads are in the chain.

    Prints what that proves and what it does not. Takes about two minutes for each million entries and changes nothing.
    Keys come from WSAUTHZ_AUDIT_KEY. Exit status: 0 if every entry is as it was written, 1 if not or if its key is
    missing, 2 error.

    \b
    Example:
      wsauthz audit verify
      wsauthz audit verify --head "$(cat head.txt)"
    """
    published = [_parsed(text) for text in heads or ()]
    using = opening.settings(database)
    with opening.opened(using.database_url) as opened:
        found = audit_verification.verify(opened.read, published, AuditKeys(using.audit_keys))
    print(f"head: {found.head.token}")
    print(*audits.promises(found), sep="\n")
    if found.problem:
        print(f"Problem: {found.problem}.")
    if not found.is_good:
        raise typer.Exit(BROKEN)


def _parsed(text: str) -> Head:
    try:
        return audit_verification.parse_head(text.strip())
    except ValueError as error:
        raise Failed(f"--head {text.strip()[:100]!r} {error}") from None
