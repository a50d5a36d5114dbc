"""Whether a server serves: what a container asks every few seconds."""

from typing import Annotated, Any

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from wsauthz.cli.failures import Failed
from wsauthz.cli.options import Server
from wsauthz.settings import Settings

app = typer.Typer(rich_markup_mode=None)


@app.command()
def health(
    server: Server = None,
    service: Annotated[str, typer.Option("--service", help="One service of it; default: all of it.")] = "",
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait for an answer.", min=0.1)] = 2.0,
) -> None:
    """Ask a server whether it serves (grpc.health.v1).

    Exit status: 0 if it does, 2 if it does not or there is none.

    \b
    Example:
      wsauthz health
      wsauthz health --server unix:/run/wsauthz/wsauthz.sock
    """
    address = server or Settings.from_environment().listen
    request = health_pb2.HealthCheckRequest(service=service)
    with grpc.insecure_channel(address) as channel:
        try:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            status = stub.Check(request, timeout=timeout).status
        except grpc.RpcError as error:
            raise Failed(f"{address}: {_reason(error)}") from None
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
    if status != health_pb2.HealthCheckResponse.SERVING:
        raise Failed(f"{address}: {name}")
    print(name)


def _reason(error: grpc.RpcError) -> str:
    code = error.code()
    if code is grpc.StatusCode.NOT_FOUND:
        return "there is no such service"
    return "no server answers" if code is grpc.StatusCode.UNAVAILABLE else code.name
