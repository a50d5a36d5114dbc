"""Whoever answers the questions of a command: a server, or the same servicers on a database, in this process."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import grpc

from wsauthz.cli.failures import Failed
from wsauthz.settings import Settings
from wsauthz.v1.authorization_pb2_grpc import AuthorizationServiceStub

Ask = Callable[[str, Any], Any]
"""Name of an RPC and its request -> its response."""

ACTOR: Final = "x-wsauthz-actor"
"""The metadata that names the user for whom something is done."""
_DEADLINE_SECONDS: Final = 10.0
DETAILS: Final = "grpc-status-details-bin"
"""The metadata of an error that a server itself gave."""


def answers(
    server: str | None, database: str | None, policy: Path | None, actor: str = ""
) -> AbstractContextManager[Ask]:
    """Return what answers: a server unless a database is named.

    Raises:
        Failed: both are named, or a bundle without a database. SettingsRefused: see ``Settings``.

    """
    if database is None:
        if policy is not None:
            raise Failed("--policy goes with --database; a server has its own")
        return _server(server or Settings.from_environment().listen, actor)
    if server is not None:
        raise Failed("name a server or a database, not both")
    # Loaded on demand: whoever asks a server should not wait for a database driver and a policy engine.
    embedded: AbstractContextManager[Ask] = import_module("wsauthz.cli.embedded").answers(database, policy, actor)
    return embedded


@contextmanager
def _server(address: str, actor: str) -> Iterator[Ask]:
    metadata = [(ACTOR, actor)] if actor else []
    with grpc.insecure_channel(address) as channel:
        stub: Any = AuthorizationServiceStub(channel)

        def ask(name: str, request: Any) -> Any:
            try:
                return getattr(stub, name)(request, timeout=_DEADLINE_SECONDS, metadata=metadata)
            except grpc.RpcError as error:
                raise Failed(sentence(error, address)) from None

        yield ask


def sentence(error: Any, address: str) -> str:
    """Return what a server said, or that none did: only what it says itself comes with details."""
    code, said = error.code(), DETAILS in dict(error.trailing_metadata() or ())
    if code is grpc.StatusCode.UNAVAILABLE and not said:
        return f"No server answers at {address}; start one with `wsauthz serve`, or name a database with --database."
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"The server at {address} did not answer in time."
    return str(error.details())
