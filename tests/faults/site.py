"""Where a database is, the way to it through a proxy, and servers without some of their protections."""

import os
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

from tests.faults.proxy import Proxy, Target

_UNPROTECTED: Final = Path(__file__).parents[1] / "processes" / "unprotected"
_PORT: Final = 5432


def target_of(url: str) -> Target:
    """Return what a proxy forwards to for a database: a port of this machine, or a Unix socket."""
    parts = make_url(url)
    if "host" in parts.query:
        return str(Path(str(parts.query["host"])) / f".s.PGSQL.{parts.query['port']}")
    assert parts.host in {"127.0.0.1", "localhost"}, "the proxy forwards to this machine only"
    return parts.port or _PORT


def through(proxy: Proxy, url: str) -> str:
    """Return the URL of a database by way of a proxy."""
    parts = make_url(url).difference_update_query(["host", "port"])
    return parts.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)


def weakened(without: str) -> dict[str, str]:
    """Return the environment of a server without some of its protections, by the names in ``unprotected``."""
    if not without:
        return {}
    path = os.pathsep.join(filter(None, (str(_UNPROTECTED), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "WSAUTHZ_TEST_WITHOUT": without}
