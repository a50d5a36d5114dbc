"""Roles at the platform, which no RPC gives: they are given here, on the database, whether servers run or not."""

from typing import Annotated

import typer

from wsauthz.cli import opening, options, printing
from wsauthz.cli.failures import Failed
from wsauthz.model.errors import MemberNotFound
from wsauthz.model.identifiers import check_user_id
from wsauthz.replica.writing import write
from wsauthz.tenancy import platform

app = typer.Typer(name="platform", rich_markup_mode=None, no_args_is_help=True)

User = Annotated[str, typer.Argument(metavar="USER", help="A user id.")]


@app.callback()
def main() -> None:
    """Give, take and list roles at the platform.

    \b
    Example:
      wsauthz platform grant olga
      wsauthz platform list
    """


@app.command()
def grant(
    user: User,
    role: Annotated[str, typer.Argument(metavar="[ROLE]", help="Default: the bundle's operator role.")] = "",
    database: options.Database = None,
    policy: options.Policy = None,
) -> None:
    """Give USER a role at the platform.

    In place of the one it has there, if any. Running servers notice.

    \b
    Example:
      wsauthz platform grant olga
    """
    check_user_id("USER", user)
    with opening.loaded(opening.settings(database, policy)) as replica:
        wanted = role or replica.rules.catalog.operator_role
        is_known = user in replica.facts.users
        write(replica, opening.caller("platform/grant"), lambda tx: platform.grant(tx, user_id=user, role=wanted))
    print(f"{user} is {wanted} at the platform.")
    if not is_known:
        print(f"Nobody with the id {user} is known yet; whoever comes by it will be.")


@app.command()
def revoke(
    user: User,
    role: Annotated[str, typer.Argument(metavar="[ROLE]", help="Only if this is the role that it has.")] = "",
    database: options.Database = None,
    policy: options.Policy = None,
) -> None:
    """Take USER's role at the platform away.

    Running servers notice.

    \b
    Example:
      wsauthz platform revoke olga
    """
    check_user_id("USER", user)
    with opening.loaded(opening.settings(database, policy)) as replica:
        try:
            revoked = write(
                replica, opening.caller("platform/revoke"), lambda tx: platform.revoke(tx, user_id=user, role=role)
            ).answer
        except MemberNotFound:
            raise Failed(f"{user} does not hold {role or 'a role'} at the platform.") from None
    print(f"{user} is no longer {revoked.role} at the platform.")


@app.command(name="list")
def list_(database: options.Database = None) -> None:
    """List who holds a role at the platform.

    \b
    Example:
      wsauthz platform list
    """
    with opening.opened(opening.settings(database).database_url) as opened, opened.read() as connection:
        held = platform.members(connection)
    rows = [(each.user_id, each.role, "yes" if each.is_active else "no", f"{each.joined_at:%Y-%m-%d}") for each in held]
    printing.table(printing.console(), ("USER", "ROLE", "ACTIVE", "SINCE"), rows)
