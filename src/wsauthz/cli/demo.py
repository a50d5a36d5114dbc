"""Large invented states as a command."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from wsauthz.cli import opening, options
from wsauthz.cli.invention import invent
from wsauthz.cli.state_text import Form, replaced, write_state
from wsauthz.policy.bundle import read_bundle
from wsauthz.rpc.methods import core_vocabulary

app = typer.Typer(rich_markup_mode=None)


@app.command()
def demo(
    workspaces: Annotated[int, typer.Option("--workspaces", metavar="N", min=1, help="How many workspaces.")],
    users: Annotated[int, typer.Option("--users", metavar="M", min=1, help="How many users.")],
    seed: Annotated[int, typer.Option("--seed", help="The same seed invents the same state.")] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE.jsonl", help="Where to; default standard output.")
    ] = None,
    policy: options.Policy = None,
) -> None:
    """Invent a large state for the bundle in use, to be imported.

    Organizations, trees of workspaces one to eight deep, members in skewed numbers, some of them limited to modules,
    deactivated or expired, and some suspended and inactive places: about four workspaces for every user.

    \b
    Example:
      wsauthz demo --workspaces 2000 --users 25000 --output demo.jsonl
      wsauthz import demo.jsonl
    """
    directory = opening.settings(policy=policy).policy
    with opening.bundle_at(directory):
        bundle = read_bundle(directory, core_vocabulary())
    records = invent(bundle.catalog, workspaces=workspaces, users=users, seed=seed)
    if output is None:
        write_state(sys.stdout, Form.JSONL, records)
        return
    with replaced(output) as file:
        count = write_state(file, Form.JSONL, records)
    print(f"{output}: {count:,} records")
