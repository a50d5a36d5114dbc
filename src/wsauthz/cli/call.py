"""Any RPC of a server from the shell, with JSON in and out, from the descriptors that this program has."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated, Any, Final

import grpc
import typer
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from wsauthz import v1
from wsauthz.cli import options, printing
from wsauthz.cli.answers import ACTOR, DETAILS, sentence
from wsauthz.cli.failures import Failed
from wsauthz.settings import Settings

app = typer.Typer(rich_markup_mode=None)

_PACKAGE: Final = "wsauthz.v1."
_STDIN: Final = "-"
_SECONDS: Final = 30.0
"""A write may have to wait for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpc:
    """One method of a server."""

    path: str
    request: type[Message]
    answer: type[Message]
    streams: bool


@app.command()
def call(
    method: Annotated[str, typer.Argument(metavar="SERVICE/METHOD", help="Such as WorkspaceService/GetWorkspace.")],
    request: Annotated[str, typer.Argument(metavar="JSON", help="The request; - is standard input.")] = "{}",
    actor: Annotated[str, typer.Option("--actor", metavar="USER", help="The user for whom it is done.")] = "",
    server: options.Server = None,
) -> None:
    """Call any method of a server.

    The request and the answer are JSON with the field names of the proto files. A stream is printed as it comes, one
    message a line. Exit status: 0 answered, 2 error; the error has the status, the reason and what is wrong.

    \b
    Example:
      wsauthz call UserService/GetUser '{"user_id": "ann"}' --actor ann
      wsauthz call UserService/UpsertUser - < user.json
    """
    rpc = _found(method)
    message = _read(rpc.request(), sys.stdin.read() if request == _STDIN else request)
    address = server or Settings.from_environment().listen
    metadata = [(ACTOR, actor)] if actor else []
    with grpc.insecure_channel(address) as channel:
        try:
            for answer in _answers(channel, rpc, message, metadata):
                printing.as_json(answer, on_one_line=rpc.streams)
        except grpc.RpcError as error:
            raise Failed(*explained(error, address)) from None


def rpcs() -> Mapping[str, Rpc]:
    """Return every method by its service and name, such as ``UserService/GetUser``."""
    found = {}
    for module in iter_modules(v1.__path__, _PACKAGE):
        if not module.name.endswith("_pb2"):
            continue
        for service in import_module(module.name).DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                found[f"{service.name}/{method.name}"] = Rpc(
                    path=f"/{service.full_name}/{method.name}",
                    request=GetMessageClass(method.input_type),
                    answer=GetMessageClass(method.output_type),
                    streams=method.server_streaming,
                )
    return found


def _found(name: str) -> Rpc:
    known = rpcs()
    rpc = known.get(name.removeprefix("/").removeprefix(_PACKAGE))
    if rpc is not None:
        return rpc
    bare = name.rpartition("/")[2]
    close = [each for each in known if each.rpartition("/")[2].lower() == bare.lower()]
    close = close or get_close_matches(name, known, n=3)
    guess = f"; did you mean {' or '.join(close)}?" if close else f"; there are {', '.join(sorted(known))}"
    raise Failed(f"There is no method {name!r}{guess}")


def _read(message: Message, text: str) -> Message:
    try:
        # Unpacked, because the library takes some lists for objects.
        return json_format.ParseDict({**json.loads(text)}, message)
    except (json_format.ParseError, TypeError, ValueError, RecursionError) as wrong:
        names = ", ".join(message.DESCRIPTOR.fields_by_name) or "none"
        raise Failed(f"The request is wrong: {wrong}", f"Fields of {message.DESCRIPTOR.name}: {names}") from None


def _answers(channel: grpc.Channel, rpc: Rpc, request: Message, metadata: list[tuple[str, str]]) -> Iterator[Any]:
    coding: Any = {"request_serializer": rpc.request.SerializeToString, "response_deserializer": rpc.answer.FromString}
    if rpc.streams:
        stream: Any = channel.unary_stream(rpc.path, **coding)
        yield from stream(request, metadata=metadata)
    else:
        single: Any = channel.unary_unary(rpc.path, **coding)
        yield single(request, metadata=metadata, timeout=_SECONDS)


def explained(error: Any, address: str) -> list[str]:
    """Return the status and the reason of an error with its sentence, and every detail that says more."""
    said = dict(error.trailing_metadata() or ()).get(DETAILS)
    if said is None:
        return [sentence(error, address)]
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(said).details:
        if detail.Unpack(info):
            break
    lines = [f"{error.code().name} {info.reason}: {error.details()}"]
    lines += [f"  {key}: {value}" for key, value in sorted(info.metadata.items()) if key != "kind"]
    if info.reason == "ACTOR_REQUIRED":
        lines.append("  Name the user for whom it is done with --actor.")
    return lines
