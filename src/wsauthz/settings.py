"""The settings of a server: the only reader of the environment; every problem is reported at once."""

import ipaddress
import logging
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Final

_LARGEST_PORT: Final = 65_535
_SHORTEST_KEY: Final = 32
_SECRETS: Final = frozenset({"WSAUTHZ_AUDIT_KEY"})
"""Settings that can also be read from a file, which ``<NAME>_FILE`` names."""
_UNIX_SOCKET: Final = re.compile(r"unix:(?!//[^/])[^\0]*[^/\0]")
"""``unix:path`` or ``unix:///path``."""
_CHOICES: Final = {
    "transport": ("grpcio", "native"),
    "database_pooler": ("none", "transaction"),
    "scheduler": ("none", "pg_cron"),
}
_OF_KUBERNETES: Final = re.compile(
    r"WSAUTHZ_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)\Z", re.ASCII
)
"""Variables that kubelet sets in every container for a Service whose name begins with ``wsauthz``."""
_OF_POSTGRESQL: Final = {"database_pooler": "transaction", "scheduler": "pg_cron"}
"""Values that an SQLite database does not offer."""


class SettingsRefused(Exception):
    """Settings that a server cannot start with; ``problems`` has one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each field is the environment variable ``WSAUTHZ_<FIELD>``; durations are in seconds."""

    database_url: str = "sqlite:///wsauthz.db"
    """``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://user:password@host/name``."""
    database_pooler: str = "none"
    """``transaction``: between this server and PostgreSQL is a pooler that distributes transactions over sessions, such
    as PgBouncer in transaction mode. Statements are not prepared then, settings are made for each transaction, and
    LISTEN does not work: what other servers change is seen within ``poll_seconds``. ``none``: every connection has a
    session to itself."""
    policy: Path = Path("policies/default")
    """The directory of the policy bundle; ``wsauthz policy init`` writes one to start from."""
    listen: str = "127.0.0.1:50051"
    """``host:port`` on loopback, or ``unix:/path``. Without keys callers are trusted, so nothing else is accepted."""
    transport: str = "grpcio"
    """What carries the calls: ``grpcio``, or ``native`` (the extra of that name), which is faster and has no TLS."""
    metrics_listen: str = "127.0.0.1:9464"
    """``host:port`` of the Prometheus endpoint; empty: none."""
    poll_seconds: float = 0.5
    """How often the database is asked for what other processes changed."""
    stale_seconds: float = 30.0
    """How long answers are given from memory while the database does not answer; then callers get UNAVAILABLE."""
    worker_threads: int = 8
    """Threads for management RPCs, half of them for one actor at most; decisions need none."""
    waiting_requests: int = 64
    """Management requests that may wait for a thread before the actor with the most gets RESOURCE_EXHAUSTED."""
    write_share: float = 0.2
    """What writes may take of one core of this process, from 0 to 1, so that checks go on; a short burst may take more.

    Writes beyond it wait their turn, among the ``waiting_requests``. 1: no limit, for a server that imports, say.
    """
    drain_seconds: float = 10.0
    """How long running calls may take after SIGTERM."""
    reflection: bool = False
    """Serve gRPC server reflection."""
    audit_key: str = field(default="", repr=False)
    """Key that audit entries are signed with, at least 32 characters, such as `openssl rand -hex 32` prints.

    Empty: the key in the database, which anybody has who can read it. ``new,old`` while it is replaced: the first one
    signs, all verify. ``WSAUTHZ_AUDIT_KEY_FILE`` names a file that holds it."""
    scheduler: str = "none"
    """Who runs the schedules of workspaces: ``none`` (the application reads them), or ``pg_cron`` of the database."""
    log_level: str = "info"
    """debug, info, warning or error; denials are logged at debug."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **given: object) -> "Settings":
        """Return the settings of the environment (default: the process's), overridden by what is given and not None.

        Raises:
            SettingsRefused: with every problem there is.

        """
        environment = os.environ if environment is None else environment
        problems: list[str] = []
        values: dict[str, object] = {}
        known = {f"WSAUTHZ_{each.name.upper()}": each for each in fields(cls)}
        problems += _unknown(environment, [*known, *(f"{secret}_FILE" for secret in _SECRETS)])
        for name, setting in known.items():
            try:
                value = given.get(setting.name)
                if value is None:
                    value = _given(environment, name)
                if value is not None:
                    values[setting.name] = _parse(str(value), setting.default)
            except ValueError as error:
                problems.append(f"{name}: {error}")
        settings = cls(**values)  # type: ignore[arg-type]  # parsed by the type of each default
        problems += settings._problems()
        if problems:
            raise SettingsRefused(problems)
        return settings

    @property
    def audit_keys(self) -> tuple[str, ...]:
        """The keys that audit entries are signed with; the first one signs, all verify."""
        return tuple(key.strip() for key in self.audit_key.split(",")) if self.audit_key else ()

    def _problems(self) -> list[str]:
        problems = []
        is_unix = _UNIX_SOCKET.fullmatch(self.listen) is not None
        is_local = is_unix or is_loopback(self.listen)
        if not (is_unix or is_address(self.listen)):
            problems.append(
                f"WSAUTHZ_LISTEN: {self.listen} is neither host:port, with a port up to 65535, nor unix:/path"
            )
        elif self.transport == "native" and not is_local:
            problems.append(
                f"WSAUTHZ_LISTEN: {self.listen} is not on loopback; "
                "the native transport has no TLS and serves only loopback or unix:/path"
            )
        elif not is_local:
            problems.append(
                f"WSAUTHZ_LISTEN: {self.listen} is not on loopback; without keys only loopback or unix:/path is served"
            )
        if not self.database_url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            problems.append("WSAUTHZ_DATABASE_URL: must start with sqlite:/// or postgresql://")
        if self.metrics_listen and not is_address(self.metrics_listen):
            problems.append("WSAUTHZ_METRICS_LISTEN: must be host:port, with a port up to 65535, or empty")
        positive = (
            "poll_seconds",
            "stale_seconds",
            "write_share",
            "worker_threads",
            "waiting_requests",
            "drain_seconds",
        )
        problems += [
            f"WSAUTHZ_{name.upper()}: must be a number above 0"
            for name in positive
            if not 0 < getattr(self, name) < math.inf
        ]
        problems += [
            f"WSAUTHZ_{name.upper()}: must be {' or '.join(choices)}"
            for name, choices in _CHOICES.items()
            if getattr(self, name) not in choices
        ]
        if not self.database_url.startswith("postgresql"):
            problems += [
                f"WSAUTHZ_{name.upper()}: {value} needs a PostgreSQL database"
                for name, value in _OF_POSTGRESQL.items()
                if getattr(self, name) == value
            ]
        if any(len(key) < _SHORTEST_KEY or not key.isprintable() or " " in key for key in self.audit_keys):
            problems.append(f"WSAUTHZ_AUDIT_KEY: each key must have at least {_SHORTEST_KEY} characters without spaces")
        if self.log_level.upper() not in logging.getLevelNamesMapping():
            problems.append("WSAUTHZ_LOG_LEVEL: must be debug, info, warning or error")
        return problems


def _unknown(environment: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return a problem for each variable that is not a setting: a mistyped one must not be ignored."""
    problems = []
    own = [name.removeprefix("WSAUTHZ_") for name in known]  # the prefix would make all of them look alike
    for name in sorted(set(environment) - set(known)):
        if name.startswith("WSAUTHZ_") and not name.startswith("WSAUTHZ_TEST_") and not _OF_KUBERNETES.match(name):
            close = get_close_matches(name.removeprefix("WSAUTHZ_"), own, n=1)
            guess = f"did you mean WSAUTHZ_{close[0]}?" if close else f"the settings are {', '.join(sorted(known))}"
            problems.append(f"{name} is not a setting of wsauthz; {guess}")
    return problems


def is_address(text: str) -> bool:
    """Tell whether a text is ``host:port``; of a larger port sockets take what is left after dividing by 65,536."""
    host, _, port = text.rpartition(":")
    return host != "" and port.isascii() and port.isdecimal() and int(port[:6]) <= _LARGEST_PORT


def is_loopback(address: str) -> bool:
    """Tell whether ``host:port`` is on the loopback interface."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _given(environment: Mapping[str, str], name: str) -> str | None:
    """Return what the environment says of a setting; None: nothing.

    Raises:
        ValueError: it is given twice, or the file that holds it cannot be read.

    """
    path = environment.get(f"{name}_FILE") if name in _SECRETS else None
    if path is None:
        return environment.get(name)
    if name in environment:
        raise ValueError(f"give either this or {name}_FILE")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise ValueError(f"cannot read {path}: {reason}") from None


def _parse(text: str, default: object) -> object:
    if isinstance(default, bool):
        if text.lower() not in {"1", "0", "true", "false", "yes", "no"}:
            message = "must be true or false"
            raise ValueError(message)
        return text.lower() in {"1", "true", "yes"}
    if isinstance(default, int):
        return int(text)
    if isinstance(default, float):
        return float(text)
    return Path(text) if isinstance(default, Path) else text
