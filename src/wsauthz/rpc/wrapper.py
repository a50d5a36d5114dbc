"""The one wrapper around every method, made when a servicer is registered: who asks, admission, errors, metrics, log.

No grpc interceptors: three of them cost more than an empty call (findings.md section 3).
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2

from wsauthz.metrics import Metrics
from wsauthz.model.errors import (
    ActorRepeated,
    ActorRequired,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Refused,
    TooManyAttempts,
    TooManyRefusals,
    Unavailable,
)
from wsauthz.model.identifiers import check_user_id
from wsauthz.model.places import PLATFORM
from wsauthz.replica.auditor import Auditor
from wsauthz.replica.replica import Replica
from wsauthz.rpc import errors, streams, targets
from wsauthz.rpc.causes import Causes
from wsauthz.rpc.lengths import LONGEST, check_texts
from wsauthz.rpc.methods import Method, methods
from wsauthz.rpc.replays import LONGEST_REQUEST_ID
from wsauthz.rpc.running import Implementation, Running
from wsauthz.rpc.workers import Workers
from wsauthz.store.revisions import Revision, parse_token
from wsauthz.tenancy.transaction import Caller

_log = logging.getLogger(__name__)

ACTOR: Final = "x-wsauthz-actor"
REQUEST_ID: Final = "x-request-id"
TRUSTED: Final = "local"
"""The caller's name while no keys are configured and everybody on loopback is trusted."""
_MOST_WAIT_SECONDS: Final = 10.0
_AUDITED: Final = (NotFound, PermissionDenied, FailedPrecondition, TooManyAttempts, TooManyRefusals)
"""Rejections that depend on the actor or on the state. Malformed requests and trouble of the server are not audited."""

Handler = Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]


class Wrapper:
    """Wraps and registers servicers over one replica and one bounded pool of worker threads."""

    def __init__(
        self, replica: Replica, metrics: Metrics, *, threads: int, waiting: int, write_share: float = 1.0
    ) -> None:
        self.replica = replica
        self.metrics = metrics
        self._workers = Workers(replica, threads=threads, waiting=waiting, write_share=write_share)
        self._running = Running(replica, metrics, self._workers, self._rejected)
        self._methods = methods()
        self.auditor = Auditor(replica)
        self._causes = Causes()

    def register(self, server: grpc.aio.Server, *servicers: object) -> None:
        """Register the methods of every service of this API, each wrapped; exactly one of the servicers has it."""
        handlers: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {}
        for method in self._methods.values():
            (owner,) = (servicer for servicer in servicers if hasattr(servicer, method.name))
            wrap, handler = self.wrap, grpc.unary_unary_rpc_method_handler
            if method.streams:
                wrap, handler = self.wrap_stream, grpc.unary_stream_rpc_method_handler
            handlers.setdefault(method.full_service, {})[method.name] = handler(
                wrap(method, getattr(owner, method.name)),
                request_deserializer=partial(_parse, method.request),
                response_serializer=method.answer.SerializeToString,
            )
        for service, its_handlers in handlers.items():
            # As generated code does it: of the two, grpcio takes the first, and the native transport the second.
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, its_handlers),))
            server.add_registered_method_handlers(service, its_handlers)

    def stop_long_calls(self) -> None:
        """End the calls that take long, with UNAVAILABLE; does not wait for them."""
        self._running.stop_long_calls()

    def close(self) -> None:
        """Wait for the calls that are running."""
        self._running.close()
        self._workers.close()

    def wrap(self, method: Method, implementation: Implementation) -> Handler:
        """Return the asynchronous handler of one method."""
        name = f"{method.service}/{method.name}"
        run, waits = self._running.around(method, implementation)
        wanted = _wanted_revisions(method)
        observe = self.metrics.histogram(name).observe
        calls = self.metrics.calls
        served = (name, "OK")
        anonymous = Caller(caller=TRUSTED, actor="", method=name)

        async def handle(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            started = time.perf_counter()
            outcome = served
            by = None
            try:
                by = _caller(method, anonymous, context, request)
                if revisions := wanted(request):
                    await self._reach(revisions, context)
                self.replica.check_ready()
                answer = run(request, by)
                return await answer if waits else answer
            except Refused as refused:
                outcome = (name, errors.entry(refused)[0].name)
                self._rejected(method, by, request, refused)
                if isinstance(refused, Unavailable) and refused.cause:
                    self._causes.report(refused.cause)
                failed = errors.status(refused)
            except asyncio.CancelledError:
                outcome = (name, "CANCELLED")
                raise
            except Exception:  # noqa: BLE001 - logged with its incident id, and nothing of it leaves
                incident = secrets.token_hex(8)
                outcome = (name, "INTERNAL")
                _log.exception("a call failed", extra={"method": name, "incident": incident})
                failed = errors.internal(incident)
            finally:
                seconds = time.perf_counter() - started
                calls[outcome] += 1
                observe(seconds)
                if outcome is not served or method.writes:
                    _log_call(by, outcome, seconds)
            await _abort(context, failed)  # last: whoever has an answer finds it counted
            return None

        return handle

    def wrap_stream(self, method: Method, implementation: Implementation) -> Handler:
        """Return the asynchronous handler of a method that answers with a stream, an asynchronous generator."""
        name = f"{method.service}/{method.name}"
        wanted = _wanted_revisions(method)
        anonymous = Caller(caller=TRUSTED, actor="", method=name)

        async def handle(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            started = time.perf_counter()
            code, by = "OK", None
            try:
                by = _caller(method, anonymous, context, request)
                if revisions := wanted(request):
                    await self._reach(revisions, context)
                self.replica.check_ready()
                self._running.authorize(method, request, by)
                await streams.send(context, implementation(request, by))
            except Refused as refused:
                code = errors.entry(refused)[0].name
                await streams.end(_abort(context, errors.status(refused)))
            except streams.Gone:
                code = "CANCELLED"
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except Exception:  # noqa: BLE001 - logged with its incident id, and nothing of it leaves
                code, incident = "INTERNAL", secrets.token_hex(8)
                _log.exception("a stream failed", extra={"method": name, "incident": incident})
                await streams.end(_abort(context, errors.internal(incident)))
            finally:
                self.metrics.calls[name, code] += 1
                _log_call(by, (name, code), time.perf_counter() - started)

        return handle

    async def _reach(self, wanted: list[Revision], context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Wait until every revision has been seen here.

        Raises:
            as Replica.reached.

        """
        for revision in wanted:
            await self.replica.reached(revision, _patience(context))

    def _rejected(self, method: Method, by: Caller | None, request: Any, error: BaseException | None) -> None:
        """Have a rejected attempt to write audited."""
        if by is None or not method.writes or not isinstance(error, _AUDITED):
            return
        target = error.target or targets.named(method, request, by.actor)
        if target.place not in self.replica.facts.places:
            target = replace(target, place=PLATFORM)  # nobody could list the audit of a place that is not there
        self.auditor.rejected(by, target, error.reason)


def _caller(method: Method, anonymous: Caller, context: grpc.aio.ServicerContext[Any, Any], request: Any) -> Caller:
    """Return who asks, for whom; ``anonymous`` if the metadata does not say.

    Raises:
        ActorRepeated, ActorRequired: the metadata names nobody, or twice. InvalidArgument: a malformed user id, or
        a body of which no request could be made.

    """
    if isinstance(request, InvalidArgument):
        raise request
    actor: str | None = None
    request_id = ""
    for key, value in context.invocation_metadata() or ():
        if key == ACTOR:
            if actor is not None:
                raise ActorRepeated
            actor = check_user_id(ACTOR, str(value)) if value else ""
        elif key == REQUEST_ID:
            request_id = _printable(str(value)[:LONGEST_REQUEST_ID])
    if not actor and method.needs_actor:
        raise ActorRequired
    if not (actor or request_id):
        return anonymous
    return Caller(caller=TRUSTED, actor=actor or "", method=anonymous.method, request_id=request_id)


def _printable(text: str) -> str:
    """Return a text that logs and every database take; it is the caller's own, and no reason to reject a call."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _parse(request: type[Message], body: bytes) -> Any:
    """Return the request, or what is wrong with it, for the wrapper: grpcio would answer with the parser's words."""
    try:
        found = request.FromString(body)
        if len(body) > LONGEST:  # a text is no longer than its message
            check_texts(found)
    except DecodeError:
        return InvalidArgument("request", "is no message of this method")
    except InvalidArgument as problem:
        return problem
    return found


def _wanted_revisions(method: Method) -> Callable[[Any], list[Revision]]:
    """Return a function that reads the revisions that must have been seen here before a request is answered.

    It raises InvalidArgument for a malformed one.
    """
    own = [name for name in ("at_least_revision", "from_revision") if name in method.request_fields]
    nested = ["check.at_least_revision"] if "check" in method.request_fields else []
    read = [(name, attrgetter(name)) for name in own + nested]
    return lambda request: [parse_token(token, name) for name, get in read if (token := get(request))]


def _patience(context: grpc.aio.ServicerContext[Any, Any]) -> float:
    """Return how many seconds the caller may be kept waiting."""
    left = context.time_remaining()
    return _MOST_WAIT_SECONDS if left is None else min(_MOST_WAIT_SECONDS, left)  # type: ignore[redundant-expr]


async def _abort(context: grpc.aio.ServicerContext[Any, Any], status: status_pb2.Status) -> None:
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    details = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(code, status.message, details)


def _log_call(by: Caller | None, outcome: tuple[str, str], seconds: float) -> None:
    _log.info(
        "call",
        extra={
            "method": outcome[0],
            "code": outcome[1],
            "milliseconds": round(seconds * 1000, 3),
            "actor": by.actor if by else "",
            "request_id": by.request_id if by else "",
        },
    )
