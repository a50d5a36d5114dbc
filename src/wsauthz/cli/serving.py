"""The server as a command."""

import resource
from typing import Annotated

import typer
import uvloop

from wsauthz import logs
from wsauthz.cli.opening import bundle_at
from wsauthz.cli.options import Database, Policy
from wsauthz.server import serve as run
from wsauthz.settings import Settings

OPEN_FILES = 4_096
"""A thousand connections, streams, the database; many systems begin with 1,024 and let a process ask for more."""

app = typer.Typer(rich_markup_mode=None)


@app.command()
def serve(
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen", metavar="ADDRESS", help="host:port on loopback or unix:/path; default WSAUTHZ_LISTEN."
        ),
    ] = None,
    transport: Annotated[
        str | None,
        typer.Option(
            "--transport",
            metavar="NAME",
            help="grpcio, or native: faster, without TLS, from wsauthz[native]; default WSAUTHZ_TRANSPORT.",
        ),
    ] = None,
    database: Database = None,
    policy: Policy = None,
    metrics_listen: Annotated[
        str | None,
        typer.Option(
            "--metrics-listen",
            metavar="ADDRESS",
            help="host:port for Prometheus; '' for none; default WSAUTHZ_METRICS_LISTEN.",
        ),
    ] = None,
    reflection: Annotated[
        bool | None, typer.Option("--reflection/--no-reflection", help="Serve gRPC server reflection.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
    ] = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Brings the database to the newest schema first. SIGHUP has the policy bundle read again.

    \b
    Example:
      wsauthz serve --database sqlite:///wsauthz.db --policy policies/dam
      wsauthz serve --listen unix:/run/wsauthz/wsauthz.sock --metrics-listen ''
      wsauthz serve --transport native
    """
    settings = Settings.from_environment(
        listen=listen,
        transport=transport,
        database_url=database,
        policy=policy,
        metrics_listen=metrics_listen,
        reflection=reflection,
        log_level=log_level,
    )
    logs.configure(settings.log_level)
    _raise_open_files()
    with bundle_at(settings.policy):
        uvloop.run(run(settings))


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
