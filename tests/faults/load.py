"""Callers that go on calling while something fails, and what they were told, when."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from tests.serving import Client, ServerProcess
from wsauthz.v1 import authorization_pb2, memberships_pb2, users_pb2, workspaces_pb2

OK: Final = "OK"
CHECK_PAUSE_SECONDS: Final = 0.005
WRITE_PAUSE_SECONDS: Final = 0.02
MOST_WRITES: Final = 1_000
"""Of each writer; that many users are there for it to add."""
ALLOW: Final = authorization_pb2.DECISION_ALLOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One call: when it was sent and answered (monotonic), with which code, and what came back."""

    sent: float
    answered: float
    code: str
    answer: Any = None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.answered - self.sent

    @property
    def allowed(self) -> bool:
        """Whether it was a Check, and allowed."""
        return self.code == OK and self.answer.decision == ALLOW


def tell(method: Callable[..., Any], request: Any, **options: Any) -> Told:
    """Make a call, whatever comes of it."""
    sent = time.monotonic()
    try:
        answer = method(request, **options)
    except grpc.RpcError as error:
        failed: Any = error
        return Told(sent=sent, answered=time.monotonic(), code=failed.code().name)
    return Told(sent=sent, answered=time.monotonic(), code=OK, answer=answer)


def question(workspace: str, user: str, at_least: str = "") -> authorization_pb2.CheckRequest:
    """Return the request that asks whether a user may view a workspace."""
    return authorization_pb2.CheckRequest(
        subject=user, workspace_id=workspace, resource="workspace", action="view", at_least_revision=at_least
    )


def workspace_of(client: Client) -> str:
    """Create the actor and a workspace of its own, and return the id."""
    assert client.actor is not None
    client.users.UpsertUser(users_pb2.UpsertUserRequest(user_id=client.actor))
    return str(client.workspaces.CreateWorkspace(workspaces_pb2.CreateWorkspaceRequest(name="North")).workspace.id)


@dataclass(slots=True)
class Load:
    """Checks and writes at one server, from the beginning of the block ``running`` to its end."""

    process: ServerProcess
    workspace: str
    writers: int = 4
    checks: list[Told] = field(default_factory=list)
    writes: list[Told] = field(default_factory=list)
    reads: list[Told] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Call on and on within the block."""
        with ExitStack() as stack:
            channel = stack.enter_context(grpc.insecure_channel(self.process.address))
            client = Client(channel, "ann")
            client.mirror(
                *(self._newcomer(writer, each) for writer in range(self.writers) for each in range(MOST_WRITES))
            )
            work: list[Callable[[], None]] = [lambda: self._check(client), lambda: self._read(client)]
            work += [lambda number=number: self._write(client, number) for number in range(self.writers)]  # type: ignore[misc]
            pool = stack.enter_context(ThreadPoolExecutor(len(work)))
            running = [pool.submit(each) for each in work]
            try:
                yield
            finally:
                self._stop.set()
                for each in running:
                    each.result()

    def _check(self, client: Client) -> None:
        request = question(self.workspace, "ann")
        while not self._stop.wait(CHECK_PAUSE_SECONDS):
            self.checks.append(tell(client.authorization.Check, request, timeout=5))

    def _read(self, client: Client) -> None:
        request = memberships_pb2.ListMembersRequest(workspace_id=self.workspace, page_size=1)
        while not self._stop.wait(WRITE_PAUSE_SECONDS):
            self.reads.append(tell(client.memberships.ListMembers, request))

    def _newcomer(self, writer: int, number: int) -> str:
        return f"user-{writer}-{number}"

    def _write(self, client: Client, writer: int) -> None:
        for number in range(MOST_WRITES):
            if self._stop.wait(WRITE_PAUSE_SECONDS):
                return
            user = self._newcomer(writer, number)
            request = memberships_pb2.AddMemberRequest(workspace_id=self.workspace, user_id=user)
            told = tell(client.memberships.AddMember, request)
            self.writes.append(told)
            if told.code == OK:
                self.acknowledged.add(user)


def between(calls: list[Told], since: float, until: float) -> list[Told]:
    """Return the calls sent in a time."""
    return [call for call in calls if since <= call.sent < until]


def seconds_until_ok(calls: list[Told], since: float) -> float:
    """Return how long after a time the first call was sent that was answered well; endless: none was."""
    return min((call.sent - since for call in calls if call.sent >= since and call.code == OK), default=math.inf)
