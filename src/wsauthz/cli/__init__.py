"""The commands: each a thin function over the rest. Exit status: 0 yes or done, 1 no, 2 error."""

from typing import Annotated

import typer

from wsauthz.cli.commands import Commands, show_version

__all__ = ["app"]

app = typer.Typer(
    cls=Commands,
    name="wsauthz",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def wsauthz(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=show_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Access control for workspaces: may this user do this here, and if not, why, and what would fix it?

    Settings come from the environment (WSAUTHZ_DATABASE_URL, WSAUTHZ_POLICY, WSAUTHZ_LISTEN, ...); options override
    them.

    \b
    Example:
      export WSAUTHZ_DATABASE_URL=sqlite:///wsauthz.db WSAUTHZ_POLICY=policies/dam
      wsauthz db upgrade
      wsauthz import examples/dam.yaml
      wsauthz serve
      wsauthz check ann halden dam:asset read
    """
