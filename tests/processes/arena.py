"""Several server processes on one database, and callers that all call at once."""

import itertools
import os
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import sqlalchemy
from google.protobuf.message import Message

from tests.serving import BUNDLES, Client, Refusal, ServerProcess, attempt
from wsauthz.store.database import Database
from wsauthz.v1 import authorization_pb2, memberships_pb2, users_pb2, workspaces_pb2

BUNDLE: Final = BUNDLES / "oneglanse"
"""It has several owners and all ways of joining."""
UNPROTECTED: Final = Path(__file__).parent / "unprotected"
PATIENCE_SECONDS: Final = 20.0
SETTLE_SECONDS: Final = 0.3
TRY_AGAIN: Final = {"UNAVAILABLE", "TOO_MANY_REQUESTS", "TOO_FAR_BEHIND"}

Call = tuple[str, str, Message]
"""The actor, the method - such as "memberships.AddMember" - and the request."""


class Arena:
    """Processes on one database, with tenants made through the first of them; every id is new."""

    def __init__(
        self, url: str, processes: list[ServerProcess], stack: ExitStack, *, callers: int, is_weak: bool
    ) -> None:
        self.callers = callers
        """How many call at once."""
        self._is_weak = is_weak
        self.database = Database(url)
        stack.callback(self.database.close)
        self._channels = [stack.enter_context(grpc.insecure_channel(process.address)) for process in processes]
        self._clients: dict[tuple[int, str], Client] = {}
        self._numbers = itertools.count(1)
        self._revision = ""

    def call(self, actor: str, method: str, request: Message, *, process: int = 0) -> Any:
        """Make a call that must be answered; what it changed the next callers at once know everywhere."""
        answer = self._attempt(process, (actor, method, request))
        assert not isinstance(answer, Refusal), answer
        self._revision = getattr(answer, "revision", "") or self._revision
        return answer

    def user(self) -> str:
        """Make a user with a verified address ``<id>@example.com``."""
        user = f"user{next(self._numbers)}"
        mirrored = users_pb2.UpsertUserRequest(user_id=user, email=f"{user}@example.com", email_verified=True)
        self.call("", "users.UpsertUser", mirrored)
        return user

    def workspace(self, owner: str, **fields: Any) -> workspaces_pb2.Workspace:
        """Make a workspace that stands alone, unless the fields say something else."""
        request = workspaces_pb2.CreateWorkspaceRequest(name="North", **fields)
        made: workspaces_pb2.Workspace = self.call(owner, "workspaces.CreateWorkspace", request).workspace
        return made

    def member(self, by: str, workspace: str, role: str = "member") -> str:
        """Make a user and add it to a workspace."""
        user = self.user()
        request = memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=user, role=role)
        self.call(by, "memberships.AddMember", request)
        return user

    def at_once(self, calls: Iterable[Call], *, after: threading.Event | None = None, late: int = 0) -> list[Any]:
        """Make the calls at the same time, on the processes in turn; return answers and refusals in their order.

        The last ``late`` of them wait for ``after``, which is set when the first one is answered.
        """
        calls = list(calls)
        self.settle()
        for number, (actor, _, _) in enumerate(calls):
            self._client(number, actor)
        ready = threading.Barrier(len(calls))

        def run(number: int) -> Any:
            ready.wait(PATIENCE_SECONDS)
            if after is not None and number >= len(calls) - late:
                assert after.wait(PATIENCE_SECONDS)
            answer = self._attempt(number, calls[number])
            if after is not None and number == 0:
                after.set()
            return answer

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(run, range(len(calls))))

    def settle(self) -> None:
        """Wait until every process knows of every call so far."""
        question = authorization_pb2.CheckRequest(
            subject="nobody", platform=True, resource="workspace", action="view", at_least_revision=self._revision
        )
        for process in range(len(self._channels)):
            assert not isinstance(self._attempt(process, ("", "authorization.Check", question)), Refusal)
        if self._is_weak:  # without the lock a revision may be known before its changes are; the next polls mend that
            time.sleep(SETTLE_SECONDS)

    def count(self, what: str, **values: str) -> int:
        """Return how many rows there are of a table, with a condition."""
        with self.database.read() as connection:
            query = sqlalchemy.text(f"SELECT count(*) FROM {what}")
            return int(connection.execute(query, values).scalar_one())

    def value(self, what: str, **values: str) -> Any:
        """Return the only value of a query."""
        with self.database.read() as connection:
            return connection.execute(sqlalchemy.text(f"SELECT {what}"), values).scalar_one()

    def _attempt(self, process: int, call: Call) -> Any:
        """Make a call, again if the server has too much to do just now."""
        actor, method, request = call
        stub, _, name = method.partition(".")
        made = getattr(getattr(self._client(process, actor), stub), name)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = attempt(made, request)
            waits = isinstance(answer, Refusal) and answer.reason in TRY_AGAIN and time.monotonic() < deadline
            if not waits:
                return answer

    def _client(self, process: int, actor: str) -> Client:
        key = (process % len(self._channels), actor)
        if key not in self._clients:
            self._clients[key] = Client(self._channels[key[0]], actor or None)
        return self._clients[key]


@contextmanager
def arena(url: str, processes: int, *, callers: int, without: Iterable[str] = ()) -> Iterator[Arena]:
    """Serve a database with so many processes, for the block; without some of their protections."""
    off = ",".join(without)
    path = os.pathsep.join(filter(None, (str(UNPROTECTED), os.environ.get("PYTHONPATH"))))
    weak = {"PYTHONPATH": path, "WSAUTHZ_TEST_WITHOUT": off} if off else {}
    made = [ServerProcess(url, BUNDLE, **weak) for _ in range(processes)]
    with ExitStack() as stack:
        for process in made:
            stack.callback(process.close)
        with ThreadPoolExecutor(processes) as pool:
            list(pool.map(ServerProcess.start, made))
        yield Arena(url, made, stack, callers=callers, is_weak=bool(off))
