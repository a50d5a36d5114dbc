"""The stream of changes, printed as it comes."""

from typing import Annotated, Any

import grpc
import typer

from wsauthz.cli import printing
from wsauthz.cli.answers import sentence
from wsauthz.cli.failures import Failed
from wsauthz.cli.options import Server
from wsauthz.settings import Settings
from wsauthz.v1 import watch_pb2 as pb
from wsauthz.v1.authorization_pb2_grpc import AuthorizationServiceStub

app = typer.Typer(rich_markup_mode=None)

Ids = Annotated[list[str] | None, typer.Option(metavar="ID", help="Only what is of this one; repeatable.")]


@app.command()
def watch(
    since: Annotated[str, typer.Option("--from", metavar="REVISION", help="Begin after this one; default: now.")] = "",
    workspace: Ids = None,
    organization: Ids = None,
    user: Ids = None,
    heartbeats: Annotated[bool, typer.Option("--heartbeats", help="Print when there was nothing, too.")] = False,
    limit: Annotated[int, typer.Option("--limit", help="End after so many revisions; 0: never.", min=0)] = 0,
    server: Server = None,
) -> None:
    """Print changes that decisions depend on, and new policies.

    One message a line, as JSON. The first has the version of the policy, the second says where the stream begins. It
    goes on until it is interrupted, or the server ends it (exit status 2); --from goes on with the last revision.

    \b
    Example:
      wsauthz watch
      wsauthz watch --from 0f3a5c7e9b1d.42.9c1f03ab --workspace north --limit 10
    """
    wanted = pb.WatchFilter(workspace_ids=workspace, organization_ids=organization, user_ids=user)
    address = server or Settings.from_environment().listen
    with grpc.insecure_channel(address) as channel:
        stub: Any = AuthorizationServiceStub(channel)
        try:
            _print(stub.Watch(pb.WatchRequest(from_revision=since, filter=wanted)), limit, heartbeats=heartbeats)
        except grpc.RpcError as error:
            raise Failed(sentence(error, address)) from None


def _print(stream: Any, limit: int, *, heartbeats: bool) -> None:
    count = 0
    for message in stream:
        if message.event != pb.WATCH_EVENT_HEARTBEAT or heartbeats:
            printing.as_json(message, on_one_line=True)
        count += message.event == pb.WATCH_EVENT_REVISION and not message.continues
        if count >= limit > 0:
            return
