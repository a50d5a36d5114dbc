"""The servicers of a server on a database, without the server: the very same answers, asked in this process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wsauthz.cli import opening
from wsauthz.rpc import wrapper
from wsauthz.rpc.access import AccessQueries
from wsauthz.rpc.authorization import AuthorizationService
from wsauthz.rpc.batches import Batches
from wsauthz.rpc.decisions import DecisionIds
from wsauthz.rpc.pages import Pages
from wsauthz.store import revisions
from wsauthz.tenancy.transaction import Caller


@contextmanager
def answers(database: str, policy: Path | None, actor: str) -> Iterator[Callable[[str, Any], Any]]:
    """Give a function from the name of an RPC of AuthorizationService and its request to its response.

    Raises:
        Failed, Unavailable: see ``opening.loaded``. SettingsRefused: see ``Settings``.

    """
    with opening.loaded(opening.settings(database, policy)) as replica:
        with replica.database.read() as connection:
            pages = Pages(revisions.installation(connection).secret)
        ids = DecisionIds()
        servicers = (
            AuthorizationService(replica, replica.metrics, ids),
            Batches(replica, replica.metrics, ids),
            AccessQueries(replica, replica.metrics, pages, ids),
        )

        def ask(name: str, request: Any) -> Any:
            by = Caller(caller=wrapper.TRUSTED, actor=actor, method=f"AuthorizationService/{name}")
            servicer = next(servicer for servicer in servicers if hasattr(servicer, name))
            return getattr(servicer, name)(request, by)

        yield ask
