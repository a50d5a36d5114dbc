"""The bundle that a running server uses: shown, and read again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import grpc
import typer

from wsauthz.cli import options, printing
from wsauthz.cli.answers import ACTOR, Ask
from wsauthz.cli.call import explained
from wsauthz.cli.failures import Failed, listed
from wsauthz.settings import Settings
from wsauthz.v1 import policy_pb2 as pb
from wsauthz.v1.policy_pb2_grpc import PolicyServiceStub

REFUSED: Final = 1
"""The exit status when the newest files are not in force."""
_SECONDS: Final = 90.0
"""Longer than a bundle may take."""


def info(server: options.Server = None, json: options.Json = False) -> None:
    """Show the bundle that a server uses.

    Its version, since when it is in force, and its problems.

    Exit status: 0 the newest files are in force, 1 they were refused, 2 error.

    \b
    Example:
      wsauthz policy info
    """
    with _asking(server) as ask:
        found = ask("GetPolicyInfo", pb.GetPolicyInfoRequest())
    refused = found.HasField("refused_at")
    if json:
        printing.as_json(found)
    else:
        out = printing.console()
        out.print(f"{found.name}, version {found.version}")
        printing.field(out, "in force", f"since {found.loaded_at.ToJsonString()}")
        if refused:
            printing.field(out, "refused", f"newer files, at {found.refused_at.ToJsonString()}", "bold red")
        if found.problems:
            printing.field(out, "problems", str(len(found.problems)), "yellow")
            print(*listed(found.problems), sep="\n")
    if refused:
        raise typer.Exit(REFUSED)


def reload(
    actor: Annotated[
        str, typer.Option("--actor", metavar="USER", help="The user for whom it is done; needs policy/reload.")
    ] = "",
    server: options.Server = None,
) -> None:
    """Let a server read its bundle again, now.

    SIGHUP does the same, and a changed bundle is read without being asked for. Exit status: 0 the files are in
    force, 1 they were refused, with what is wrong, 2 error.

    \b
    Example:
      wsauthz policy reload --actor root
    """
    with _asking(server, actor) as ask:
        answer = ask("ReloadPolicy", pb.ReloadPolicyRequest())
    if answer.problems:
        print(f"The files are refused; version {answer.version} stays in force:", *listed(answer.problems), sep="\n")
        raise typer.Exit(REFUSED)
    print(f"Version {answer.version} is in force{'' if answer.changed else ', as before'}.")


@contextmanager
def _asking(server: str | None, actor: str = "") -> Iterator[Ask]:
    """Give what asks a server for the actor, by the name of an RPC of PolicyService.

    Raises:
        Failed: with what the server said, or that none did.

    """
    address = server or Settings.from_environment().listen
    metadata = [(ACTOR, actor)] if actor else []
    with grpc.insecure_channel(address) as channel:
        stub = PolicyServiceStub(channel)
        try:
            yield lambda name, request: getattr(stub, name)(request, timeout=_SECONDS, metadata=metadata)
        except grpc.RpcError as error:
            raise Failed(*explained(error, address)) from None
