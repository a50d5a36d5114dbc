"""The composition root: the only module that knows every part of a server."""

import asyncio
import logging
import signal
import time
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from wsauthz.metrics import Metrics, Scrapes
from wsauthz.policy.bundle_directory import fingerprint
from wsauthz.policy.current import CurrentPolicy
from wsauthz.replica import background
from wsauthz.replica.audit_head import AuditHead
from wsauthz.replica.following import Follower
from wsauthz.replica.policy_files import PolicyFiles
from wsauthz.replica.policy_problems import keep_logging
from wsauthz.replica.replica import Replica
from wsauthz.replica.retention import Retention
from wsauthz.rpc.access import AccessQueries
from wsauthz.rpc.attempts import Attempts
from wsauthz.rpc.audit import AuditService
from wsauthz.rpc.authorization import AuthorizationService
from wsauthz.rpc.batches import Batches
from wsauthz.rpc.decisions import DecisionIds
from wsauthz.rpc.health import Health
from wsauthz.rpc.invitations import InvitationService
from wsauthz.rpc.joining import JoiningService
from wsauthz.rpc.memberships import MembershipService
from wsauthz.rpc.methods import core_vocabulary, service_names
from wsauthz.rpc.organizations import OrganizationService
from wsauthz.rpc.pages import Pages
from wsauthz.rpc.policy import PolicyService
from wsauthz.rpc.profiles import ProfileService
from wsauthz.rpc.providers import ProviderService
from wsauthz.rpc.schedules import ScheduleService
from wsauthz.rpc.settings import SettingsService
from wsauthz.rpc.subscriptions import SubscriptionService
from wsauthz.rpc.users import UserService
from wsauthz.rpc.watch import Watches
from wsauthz.rpc.workspace_states import WorkspaceStateService
from wsauthz.rpc.workspaces import WorkspaceService
from wsauthz.rpc.wrapper import Wrapper
from wsauthz.settings import Settings
from wsauthz.store import audit, poolers, revisions, schema
from wsauthz.store.audit_keys import AuditKeys
from wsauthz.store.database import Database
from wsauthz.store.scheduler import NoScheduler, PgCron
from wsauthz.transport import addresses, choice
from wsauthz.transport.addresses import Listening

_log = logging.getLogger(__name__)

METRICS_HINT: Final = "; see --metrics-listen"


class Server:
    """One process: replica, policy, servicers, health, metrics."""

    def __init__(self, settings: Settings) -> None:
        """Read the policy and prepare the database; nothing listens yet.

        Raises:
            BundleRefused: there is no valid bundle to start with. Unavailable: the database does not answer.
            TransportMissing: the transport is not installed. CannotListen: an address is in use. PoolerFound: see
            ``poolers.check``.

        """
        choice.check_installed(settings.transport)
        addresses.check(settings.listen)
        if settings.metrics_listen:
            addresses.tcp(settings.metrics_listen, METRICS_HINT)
        self.settings = settings
        self.metrics = Metrics()
        last_read = fingerprint(settings.policy)
        self.policy = CurrentPolicy(settings.policy, core_vocabulary())
        schema.ensure(settings.database_url)
        self.database = Database(settings.database_url, is_direct=settings.database_pooler == "none")
        if self.database.can_listen:
            poolers.check(self.database)
        scheduler = PgCron(self.metrics) if settings.scheduler == "pg_cron" else NoScheduler()
        self.replica = Replica(
            self.database,
            self.policy,
            self.metrics,
            scheduler,
            stale_seconds=settings.stale_seconds,
            audit_keys=AuditKeys(settings.audit_keys),
        )
        self._policy_files = PolicyFiles(
            settings.policy, last_read, lambda carry_on: self.replica.reload_policy(carry_on=carry_on)
        )
        self._follower = Follower(self.replica, settings.poll_seconds)
        self._retention = Retention(self.database, self.metrics)
        self._audit_head = AuditHead(self.database, self.metrics)
        self.health = Health(service_names(), self._why_not_ready)
        self.address = ""
        """Where the server listens, with the port that was chosen if 0 was asked for."""
        self._wrapper = Wrapper(
            self.replica,
            self.metrics,
            threads=settings.worker_threads,
            waiting=settings.waiting_requests,
            write_share=settings.write_share,
        )
        self._server: grpc.aio.Server | None = None
        self._listening: Listening | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._scrapes: Scrapes | None = None

    async def start(self) -> None:
        """Load the facts, follow the database and the bundle directory, and serve.

        Raises:
            CannotListen: an address is in use, or cannot be used. Unavailable: the database does not answer.
            AuditKeyMissing: it needs a key that the settings lack.

        """
        began = time.monotonic()
        self.replica.load()
        with self.database.read(patience=5.0) as connection:
            audit.check_keys(connection, self.replica.audit_keys)
        self._follower.start()
        self._retention.start()
        await self._wrapper.auditor.start()
        self._audit_head.start()
        self.metrics.population = self.replica.population
        self.metrics.streams = lambda: self.replica.watchers.count
        self._tasks.append(background.keep_running("policy_files", self._policy_files.follow))
        self._tasks.append(background.keep_running("policy_problems", partial(keep_logging, self.replica)))
        if self.settings.metrics_listen:
            metrics_at = addresses.tcp(self.settings.metrics_listen, METRICS_HINT)
            self._scrapes = Scrapes(metrics_at, self.metrics.registry)
            self._tasks.append(background.keep_running("scrapes", self._scrapes.keep_answering))
        server = choice.make_server(self.settings.transport)
        self._register(server)
        self._listening = addresses.listen(self.settings.listen, server.add_insecure_port)
        self.address = self._listening.address
        await server.start()
        self._server = server
        self._tasks.append(background.keep_running("health", self.health.keep_looking))
        if self.settings.database_pooler == "transaction":
            _log.warning(
                "LISTEN does not work through a pooler in transaction mode: changes of other servers are polled",
                extra={"poll_seconds": self.settings.poll_seconds},
            )
        _log.warning("no keys are configured: every caller that reaches this address is trusted to name any actor")
        _log.info(
            "serving",
            extra={
                "address": self.address,
                "transport": self.settings.transport,
                "metrics": self.settings.metrics_listen,
                "policy": self.policy.bundle.catalog.name,
                "policy_version": self.policy.bundle.version,
                "revision": self.replica.token,
                "users": len(self.replica.facts.users),
                "memberships": self.replica.facts.roles.total(),
                "seconds": round(time.monotonic() - began, 3),
                "version": version("wsauthz"),
            },
        )

    def reload_policy(self) -> None:
        """Read the bundle again soon, whether its files changed or not; on the loop."""
        _log.info("the bundle is read again because of SIGHUP")
        self._policy_files.ask()

    def _why_not_ready(self) -> str:
        return self.replica.why_not_ready() if self._server is not None else "the server is starting"

    async def stop(self) -> None:
        """Say NOT_SERVING, let running calls end for a while, and leave nothing behind."""
        if self._server is not None:
            _log.info("stopping", extra={"seconds_at_most": self.settings.drain_seconds})
        await self.health.enter_graceful_shutdown()
        self._wrapper.stop_long_calls()
        self.replica.watchers.stop()  # streams would be waited for, and have no end of their own
        if self._server is not None:
            await self._server.stop(self.settings.drain_seconds)
        if self._listening is not None:
            self._listening.close()
        await background.stop(*self._tasks)
        await self._retention.stop()
        await self._follower.stop()
        # Not on the loop: calls still running hop to it, and would wait for it in vain.
        await asyncio.get_running_loop().run_in_executor(None, self._wrapper.close)
        await self._wrapper.auditor.stop()
        await self._audit_head.stop()
        await asyncio.get_running_loop().run_in_executor(None, self.replica.watchers.close)
        if self._scrapes is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._scrapes.close)
        self.database.close()
        if self._server is not None:
            _log.info("stopped")

    def _register(self, server: grpc.aio.Server) -> None:
        with self.database.read(patience=5.0) as connection:
            pages = Pages(revisions.installation(connection).secret)
        replica, metrics, ids, attempts = self.replica, self.metrics, DecisionIds(), Attempts()
        self._wrapper.register(
            server,
            AuthorizationService(replica, metrics, ids),
            Batches(replica, metrics, ids),
            AccessQueries(replica, metrics, pages, ids),
            Watches(replica),
            UserService(),
            ProfileService(self.policy),
            OrganizationService(pages),
            WorkspaceService(pages),
            WorkspaceStateService(pages),
            SettingsService(),
            ProviderService(),
            ScheduleService(),
            SubscriptionService(),
            MembershipService(pages, Attempts()),
            InvitationService(pages, metrics, attempts),
            JoiningService(metrics, attempts),
            PolicyService(replica, metrics),
            AuditService(replica, pages),
        )
        registry: Any = server
        health_pb2_grpc.add_HealthServicer_to_server(self.health, registry)
        if self.settings.reflection:
            from grpc_reflection.v1alpha import reflection  # noqa: PLC0415 - off unless asked for, and slow to load

            names = (*service_names(), health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
            reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), registry)


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP has the bundle read again.

    Raises:
        as Server and Server.start.

    """
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # while the bundle is being read anyway; it would end us
    server = Server(settings)
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, server.reload_policy)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        await server.start()
        await stopping.wait()
    finally:
        await server.stop()
