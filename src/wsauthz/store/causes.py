"""Causes of database errors, for those who run wsauthz: the driver's own words, without secrets, and what to do."""

import re
from typing import Any, Final

from sqlalchemy.engine import URL

_LONGEST: Final = 500
_SHORTEST_SECRET: Final = 4
"""Shorter ones are left in: they would be found within ordinary words."""
_SAYS_NOTHING: Final = re.compile(
    "This probably means the server terminated abnormally before or while processing the request.|"
    r"Is the server running (on that host|locally) and accepting (TCP/IP connections|connections on that socket)\?"
)

_ADVICE: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), advice)
    for pattern, advice in (
        ("password|SCRAM", "check the user and the password of the database URL"),
        (r"role .* does not exist|peer authentication", "create the role, or correct the user of the database URL"),
        (r"database .* does not exist", "create it with the encoding UTF8, or correct the name in the database URL"),
        (
            "pg_hba.conf|not permitted to log in|permission denied for database",
            "let the role connect: LOGIN, GRANT CONNECT, pg_hba.conf",
        ),
        ("refused|no such file or directory.*socket", "check host and port, and that PostgreSQL listens there"),
        (
            "translate host name|name or service not known|name resolution|no address",
            "check the host of the database URL",
        ),
        ("takes too long", "check host and port of the database URL, and firewalls"),
        ("connection option|sslmode value", "check the options of the database URL, after the question mark"),
        ("certificate|SSL|GSSAPI", "check sslmode and sslrootcert in the database URL"),
        (
            "too many (connections|clients)|connection slots",
            "let the role and the server have more connections",
        ),
        ("permission denied for schema", "GRANT USAGE, CREATE ON SCHEMA to the role"),
        ("permission denied", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA to the role"),
        ("must be owner", "run `wsauthz db upgrade` as the owner of the tables"),
        ("already exists", "another program has this table: name a database, or a schema, of wsauthz' own"),
        ("standby|recovery|read-only|read.?write", "name the primary, and let its sessions write"),
        ("starting up|shutting down", "it is tried again"),
        ("statement pooling", "let the pooler use the mode transaction, and set WSAUTHZ_DATABASE_POOLER=transaction"),
        ("no space|disk is full|disk full|disk i/o", "make room on the disk, and check it"),
        ("unable to open|is a directory", "name a file in a folder that this user may write to"),
        ("readonly database", "let this user write to the file and to its folder"),
        ("not a database|malformed", "name an SQLite database that is whole, or restore a backup"),
        ("database is locked", "another process is writing: try again when it has ended"),
    )
)


def cause_of(error: BaseException, url: URL | None = None) -> str:
    """Return what an error of the database, its driver or its library says, and what may help, in one line.

    Nothing of a statement, its values or a password of the URL is in it.
    """
    text = _words(getattr(error, "orig", None) or error)
    for secret in _secrets(url):
        text = text.replace(secret, "***")
    text = text[:_LONGEST]
    advice = next((advice for pattern, advice in _ADVICE if pattern.search(text)), "")
    return f"{text}: {advice}" if advice else text


def _words(error: BaseException) -> str:
    """Return the message: of PostgreSQL's without detail and context, which quote rows; of SQLAlchemy's without SQL."""
    primary: Any = getattr(getattr(error, "diag", None), "message_primary", None)
    first = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    if isinstance(error, OSError) and error.strerror:
        first = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = _SAYS_NOTHING.sub("", " ".join((primary or first).split())).strip().removesuffix(".")
    return text or type(error).__name__


def _secrets(url: URL | None) -> list[str]:
    if url is None:
        return []
    found = [url.password, *(value for name, value in url.query.items() if "password" in name)]
    secrets = [secret for secret in found if isinstance(secret, str) and len(secret) >= _SHORTEST_SECRET]
    return sorted(secrets, key=len, reverse=True)  # one may be the beginning of another
