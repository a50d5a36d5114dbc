"""Worlds of several tenants, and a bundle in which every RPC has something to do."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.rpc.bundles import copy_bundle
from tests.rpc.requests import Tenant
from tests.rpc.tenants import STATE

_CATALOG = """
[providers]
chatgpt = "ChatGPT"
claude = "Claude"

[lookups]
by_slug = true
public_profile = true
"""
_ROWS = [f"p, role:admin, *, {kind}/*, *, active, allow" for kind in ("provider", "schedule", "join")]


def bundle(folders: pytest.TempPathFactory) -> Path:
    """Return the dam bundle with providers, and with admins who may use everything that the core has."""
    return copy_bundle("dam", folders.mktemp("bundle"), rows=_ROWS, catalog=_CATALOG, tests=False)


def state(tenants: Iterable[Tenant]) -> Mapping[str, list[Mapping[str, Any]]]:
    """Return several tenants, and an operator, as a state file has them."""
    found: dict[str, list[Mapping[str, Any]]] = {key: list(records) for key, records in STATE.items()}
    for tenant in tenants:
        for key, records in tenant.state().items():
            found.setdefault(key, []).extend(records)
    return found
