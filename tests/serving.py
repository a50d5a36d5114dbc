"""Running servers for tests: in this process, or as processes of their own that can be killed.

In this process, with the generated stubs of one actor::

    with Serving(sqlite_url, BUNDLES / "dam") as server:
        created = server.client("ann").workspaces.CreateWorkspace(CreateWorkspaceRequest(name="Acme"))
        refused = refusal(server.client("bob").workspaces.GetWorkspace, GetWorkspaceRequest(workspace_id="w"))
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")

As a process, for kill, restart and several of them on one database::

    with ServerProcess(database_url, BUNDLES / "dam") as process:
        process.kill()
        process.start()
"""

import asyncio
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self, TypeVar

import grpc
import uvloop
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from tests.forked import Forked
from wsauthz.server import Server
from wsauthz.settings import Settings
from wsauthz.v1 import (
    audit_pb2_grpc,
    authorization_pb2_grpc,
    invitations_pb2_grpc,
    memberships_pb2_grpc,
    organizations_pb2_grpc,
    policy_pb2_grpc,
    settings_pb2_grpc,
    users_pb2,
    users_pb2_grpc,
    workspace_states_pb2_grpc,
    workspaces_pb2_grpc,
)

ROOT: Final = Path(__file__).parents[1]
BUNDLES: Final = ROOT / "policies"
ACTOR: Final = "x-wsauthz-actor"
CALL_SECONDS: Final = 10.0
READY_SECONDS: Final = 90.0

T = TypeVar("T")


# --- clients ----------------------------------------------------------------------------------------------------------


class _Defaults(grpc.UnaryUnaryClientInterceptor):
    """Adds the actor and a deadline to every call that has none."""

    def __init__(self, actor: str | None) -> None:
        self._actor = actor

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Pass the call on."""
        details = client_call_details
        metadata = list(details.metadata or ())
        if self._actor is not None:
            metadata.append((ACTOR, self._actor))
        timeout = CALL_SECONDS if details.timeout is None else details.timeout
        return continuation(details._replace(metadata=metadata, timeout=timeout), request)


class Client:
    """The generated stubs of every service, each call made for one actor (None: for nobody)."""

    def __init__(self, channel: grpc.Channel, actor: str | None = None) -> None:
        self.actor = actor
        self.channel = grpc.intercept_channel(channel, _Defaults(actor))
        self.authorization = authorization_pb2_grpc.AuthorizationServiceStub(self.channel)
        self.users = users_pb2_grpc.UserServiceStub(self.channel)
        self.organizations = organizations_pb2_grpc.OrganizationServiceStub(self.channel)
        self.workspaces = workspaces_pb2_grpc.WorkspaceServiceStub(self.channel)
        self.states = workspace_states_pb2_grpc.WorkspaceStateServiceStub(self.channel)
        self.settings = settings_pb2_grpc.SettingsServiceStub(self.channel)
        self.memberships = memberships_pb2_grpc.MembershipServiceStub(self.channel)
        self.invitations = invitations_pb2_grpc.InvitationServiceStub(self.channel)
        self.audit = audit_pb2_grpc.AuditServiceStub(self.channel)
        self.policy = policy_pb2_grpc.PolicyServiceStub(self.channel)

    def mirror(self, *users: str) -> None:
        """Mirror users by their ids alone: nobody else is given anything."""
        for start in range(0, len(users), 1_000):
            events = [users_pb2.UserEvent(user_id=user) for user in users[start : start + 1_000]]
            self.users.BatchUpsertUsers(users_pb2.BatchUpsertUsersRequest(users=events))

    def call(self, method: str, request: Message, answer: type[T]) -> T:
        """Call a method by its full name, ``/wsauthz.v1.Service/Method``: for tests made from descriptors."""
        reply: Any = answer
        serialize: Any = type(request).SerializeToString
        called = self.channel.unary_unary(method, serialize, reply.FromString)
        found: T = called(request)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An RPC error with its google.rpc details taken apart; texts and lists are empty where a detail is missing."""

    code: grpc.StatusCode
    message: str
    reason: str
    domain: str
    metadata: dict[str, str]
    fields: tuple[str, ...]
    """Of BadRequest: the fields at fault."""
    violations: tuple[str, ...]
    """Of PreconditionFailure: the types."""
    retry_seconds: float | None

    @property
    def kind(self) -> str:
        """What frontends know the error by: ValidationError, NotFoundError, AuthError."""
        return self.metadata.get("kind", "")


def refusal(method: Callable[..., Any], request: Any, **options: Any) -> Refusal:
    """Call a method that must refuse, and return the refusal.

    Raises:
        AssertionError: the call was answered.

    """
    answer = attempt(method, request, **options)
    assert isinstance(answer, Refusal), f"answered instead of refusing: {answer}"
    return answer


def attempt(method: Callable[..., Any], request: Any, **options: Any) -> Any:
    """Call a method and return its answer, or its refusal."""
    try:
        return method(request, **options)
    except grpc.RpcError as error:
        return decode(error)


def decode(error: grpc.RpcError) -> Refusal:
    """Take an RPC error apart."""
    call: Any = error
    status: Any = rpc_status.from_call(call)
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    precondition = error_details_pb2.PreconditionFailure()
    retry = error_details_pb2.RetryInfo()
    details: list[Message] = [info, bad_request, precondition, retry]
    for packed in status.details if status else ():
        assert any(packed.Unpack(detail) for detail in details), f"an unexpected detail {packed.type_url}"
    return Refusal(
        code=call.code(),
        message=str(call.details()),
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        fields=tuple(violation.field for violation in bad_request.field_violations),
        violations=tuple(violation.type for violation in precondition.violations),
        retry_seconds=retry.retry_delay.ToMilliseconds() / 1000 if retry.HasField("retry_delay") else None,
    )


# --- a server in this process -----------------------------------------------------------------------------------------


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """Return the loop of all servers of this process, in a thread of its own.

    It is one for all: grpc.aio has one poller per process and complains when several loops share it.
    """
    loop = uvloop.new_event_loop()
    threading.Thread(target=loop.run_forever, name="servers", daemon=True).start()
    return loop


def on_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop of all servers of this process and return what it returns."""
    return asyncio.run_coroutine_threadsafe(work, _loop()).result(READY_SECONDS)


class Serving:
    """A real server on a port of 127.0.0.1, from the beginning of the block to its end."""

    transport: ClassVar[str] = "grpcio"
    """Of servers that are not told otherwise, processes too; the fixture `transport` sets it."""

    def __init__(self, database_url: str, policy: Path, **settings: Any) -> None:
        """Prepare a server on a database and a bundle directory; ``settings`` are fields of Settings."""
        usual: dict[str, Any] = {
            "listen": "127.0.0.1:0",
            "metrics_listen": "",
            "poll_seconds": 0.1,
            "drain_seconds": 2,
            "write_share": 1.0,
            "transport": self.transport,
        }
        self.database_url = database_url
        self.policy = policy
        self.settings = Settings(database_url=database_url, policy=policy, **{**usual, **settings})
        self.server: Server
        self.channel: grpc.Channel
        self._clients: dict[str | None, Client] = {}

    def __enter__(self) -> Self:
        """Start serving."""
        self.server = Server(self.settings)
        self.run(self.server.start())
        self.channel = grpc.insecure_channel(self.server.address)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.channel.close()
        self.run(self.server.stop())

    def client(self, actor: str | None = None) -> Client:
        """Return the stubs of one actor."""
        if actor not in self._clients:
            self._clients[actor] = Client(self.channel, actor)
        return self._clients[actor]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop and return what it returns."""
        return on_loop(work)


# --- a server process -------------------------------------------------------------------------------------------------


class ServerProcess:
    """``wsauthz serve`` as a process of its own, on a Unix socket that stays the same over restarts."""

    forks: ClassVar[bool] = True
    """Whether it is started from a process that has everything loaded, unless it is to load something else."""

    def __init__(self, database_url: str, policy: Path, **environment: str) -> None:
        """Prepare a process; ``environment`` are further variables."""
        self._forks = self.forks and "PYTHONPATH" not in environment
        self.folder = Path(tempfile.mkdtemp(prefix="wsauthz-"))
        self.address = f"unix:{self.folder / 'socket'}"
        self.log = self.folder / "log"
        self.process: subprocess.Popen[bytes] | Forked | None = None
        own = {name: value for name, value in os.environ.items() if not name.startswith("WSAUTHZ_")}
        self._environment = {
            **own,
            "WSAUTHZ_DATABASE_URL": database_url,
            "WSAUTHZ_POLICY": str(policy),
            "WSAUTHZ_LISTEN": self.address,
            "WSAUTHZ_TRANSPORT": Serving.transport,
            "WSAUTHZ_METRICS_LISTEN": "",
            "WSAUTHZ_POLL_SECONDS": "0.1",
            "WSAUTHZ_WRITE_SHARE": "1",
            **environment,
        }
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        """Start the process and wait until it serves."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process and remove its folder."""
        self.close()

    def start(self) -> float:
        """Start the process, wait until it serves, and return how many seconds that took."""
        began = time.monotonic()
        if self._forks:
            self.process = Forked(self._environment, self.folder, self.log)
        else:
            with self.log.open("ab") as log:
                command = [str(Path(sys.executable).parent / "wsauthz"), "serve"]
                self.process = subprocess.Popen(command, env=self._environment, cwd=self.folder, stdout=log, stderr=log)
        self.wait_ready()
        return time.monotonic() - began

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until grpc.health.v1 says SERVING.

        Raises:
            AssertionError: the process ended, or the time is over; with the end of its log.

        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                break
            with grpc.insecure_channel(self.address) as channel:
                health: Any = health_pb2_grpc.HealthStub(channel)
                try:
                    answer = health.Check(health_pb2.HealthCheckRequest(), timeout=1)
                except grpc.RpcError:
                    time.sleep(0.02)
                    continue
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            time.sleep(0.02)
        raise AssertionError(f"the server does not serve:\n{self.log.read_text()[-4000:]}")

    def client(self, actor: str | None = None) -> Client:
        """Return the stubs of one actor, on a channel that lives until the process ends."""
        if self._channel is None:
            self._channel = grpc.insecure_channel(self.address)
        return Client(self._channel, actor)

    def kill(self) -> None:
        """End the process with SIGKILL."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """Ask the process to stop (SIGTERM) and return its exit status."""
        return self._end(signal.SIGTERM)

    def close(self) -> None:
        """End the process, if it runs, and remove its folder."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self.process.send_signal(number)
        return self.process.wait(READY_SECONDS)


class ServerCommand(ServerProcess):
    """The same, started by the command as users do it."""

    forks: ClassVar[bool] = False
