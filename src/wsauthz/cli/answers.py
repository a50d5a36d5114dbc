"""Whoever answers the questions of a command: a server, or the same servicers on a database, in this process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc

from wsauthz.cli import opening
from wsauthz.cli.failures import Failed
from wsauthz.rpc import wrapper
from wsauthz.rpc.access import AccessQueries
from wsauthz.rpc.authorization import AuthorizationService
from wsauthz.rpc.decisions import DecisionIds
from wsauthz.rpc.pages import Pages
from wsauthz.settings import Settings
from wsauthz.store import revisions
from wsauthz.tenancy.transaction import Caller
from wsauthz.v1.authorization_pb2_grpc import AuthorizationServiceStub

Ask = Callable[[str, Any], Any]
"""Name of an RPC of AuthorizationService and its request -> its response."""

_DEADLINE_SECONDS: Final = 10.0
_DETAILS: Final = "grpc-status-details-bin"


@contextmanager
def answers(server: str | None, database: str | None, policy: Path | None, actor: str = "") -> Iterator[Ask]:
    """Give what answers: a server unless a database is named.

    Raises:
        Failed: both are named, or a bundle without a database; or see ``opening.loaded``.

    """
    if database is None:
        if policy is not None:
            raise Failed("--policy goes with --database; a server has its own")
        with _server(server or Settings.from_environment().listen, actor) as ask:
            yield ask
    elif server is not None:
        raise Failed("name a server or a database, not both")
    else:
        with _in_process(opening.settings(database, policy), actor) as ask:
            yield ask


@contextmanager
def _server(address: str, actor: str) -> Iterator[Ask]:
    metadata = [(wrapper.ACTOR, actor)] if actor else []
    with grpc.insecure_channel(address) as channel:
        stub: Any = AuthorizationServiceStub(channel)

        def ask(name: str, request: Any) -> Any:
            try:
                return getattr(stub, name)(request, timeout=_DEADLINE_SECONDS, metadata=metadata)
            except grpc.RpcError as error:
                raise Failed(_sentence(error, address)) from None

        yield ask


@contextmanager
def _in_process(using: Settings, actor: str) -> Iterator[Ask]:
    with opening.loaded(using) as replica:
        with replica.database.read() as connection:
            pages = Pages(revisions.installation(connection).secret)
        ids = DecisionIds()
        servicers = (
            AuthorizationService(replica, replica.metrics, ids),
            AccessQueries(replica, replica.metrics, pages, ids),
        )

        def ask(name: str, request: Any) -> Any:
            by = Caller(caller=wrapper.TRUSTED, actor=actor, method=f"AuthorizationService/{name}")
            servicer = next(servicer for servicer in servicers if hasattr(servicer, name))
            return getattr(servicer, name)(request, by)

        yield ask


def _sentence(error: Any, address: str) -> str:
    """Return what a server said, or that none did: only what it says itself comes with details."""
    code, said = error.code(), _DETAILS in dict(error.trailing_metadata() or ())
    if code is grpc.StatusCode.UNAVAILABLE and not said:
        return f"No server answers at {address}; start one with `wsauthz serve`, or name a database with --database."
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"The server at {address} did not answer within {_DEADLINE_SECONDS:.0f} seconds."
    return str(error.details())
