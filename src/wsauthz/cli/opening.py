"""The database and the replica of a command, which needs no server and does not disturb those that run."""

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wsauthz.cli.failures import Failed, listed
from wsauthz.metrics import Metrics
from wsauthz.model.identifiers import is_user_id
from wsauthz.policy.bundle import Bundle, BundleRefused
from wsauthz.policy.bundle_problems import unknown_roles
from wsauthz.policy.current import CurrentPolicy
from wsauthz.policy.facts import Facts
from wsauthz.replica.replica import Replica
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.settings import Settings
from wsauthz.store import schema
from wsauthz.store.audit_keys import AuditKeys
from wsauthz.store.database import Database
from wsauthz.tenancy.transaction import Caller

_WAIT_SECONDS: Final = 30.0
"""A command can wait for a running server's write, and writes a lot at once itself."""


def settings(database: str | None = None, policy: Path | None = None) -> Settings:
    """Return the settings of the environment, with those that options override.

    Raises:
        SettingsRefused: with every problem there is.

    """
    return Settings.from_environment(database_url=database, policy=policy)


def caller(method: str) -> Caller:
    """Return what the audit says of a command: ``cli:`` with the name of the system's user who runs it."""
    number = os.geteuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:  # containers often run as a user without a name
        name = str(number)
    return Caller(caller=f"cli:{name}" if is_user_id(name) else f"cli:{number}", actor="", method=method)


@contextmanager
def bundle_at(directory: Path) -> Iterator[None]:
    """Say in which directory a bundle is that is refused within the block.

    Raises:
        Failed: instead of BundleRefused.

    """
    try:
        yield
    except BundleRefused as refused:
        hint = [] if directory.exists() else [f"To write a bundle to start from: wsauthz policy init {directory}"]
        raise Failed(f"The policy bundle {directory} is refused:", *listed(refused.problems), *hint) from None


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """Give a database whose schema is at the revision of this program.

    Raises:
        Failed: it lacks the schema. UnusableUrl: see ``parse_url``. Unavailable: it cannot be reached.

    """
    database = Database(url, wait_seconds=_WAIT_SECONDS)
    try:
        if problems := schema.check(url):
            raise Failed(*(f"{database.name}: {problem}" for problem in problems))
        yield database
    finally:
        database.close()


@contextmanager
def loaded(using: Settings) -> Iterator[Replica]:
    """Give a replica, loaded once, with the bundle in force; it writes as that of a server does.

    Raises:
        Failed: there is no valid bundle, or see ``opened``. Unavailable: see ``opened``.

    """
    with bundle_at(using.policy):
        policy = CurrentPolicy(using.policy, core_vocabulary())
    with opened(using.database_url) as database:
        replica = Replica(database, policy, Metrics(), audit_keys=AuditKeys(using.audit_keys))
        replica.load()
        warn_of_roles(policy.bundle, replica.facts, database.name)
        yield replica


def warn_of_roles(bundle: Bundle, facts: Facts, database: str) -> None:
    """Print the roles of memberships that the bundle lacks, with their members, on standard error."""
    if problems := list(unknown_roles(bundle.catalog, facts.roles)):
        print(f"{database}:", *listed(problems), sep="\n", file=sys.stderr)
