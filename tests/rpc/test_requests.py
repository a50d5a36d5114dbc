"""What the generated tests are made from: every valid request is carried out, each by a tenant of its own."""

from collections.abc import Iterator
from itertools import starmap
from pathlib import Path

import pytest

from tests.rpc.conftest import MakeDatabase, serving
from tests.rpc.dumps import ask
from tests.rpc.requests import METHODS, Tenant, actor_of, choices, valid
from tests.rpc.tenants import Tenants
from tests.rpc.worlds import bundle, state
from tests.serving import Refusal

pytestmark = pytest.mark.transports

REQUESTS = [(name, choice) for name, method in METHODS.items() for choice in choices(method)]


@pytest.fixture(scope="module")
def tenants(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    with serving(make_database(), bundle(tmp_path_factory), state(starmap(tenant, REQUESTS))) as found:
        yield found


def tenant(name: str, choice: str) -> Tenant:
    return Tenant(f"{Path(name).name.lower()}-{choice.replace('_', '-')}".rstrip("-"))


@pytest.mark.parametrize(("name", "choice"), REQUESTS)
def test_every_valid_request_is_carried_out(tenants: Tenants, name: str, choice: str) -> None:
    method, own = METHODS[name], tenant(name, choice)
    before = tenants.revision
    answer = ask(tenants, method, valid(method, own, choice), actor_of(method, own))
    assert not isinstance(answer, Refusal), answer
    if method.name not in UNCHANGING:
        assert (tenants.revision != before) == method.writes


UNCHANGING = (
    "ReloadPolicy",
    "ReinstateOrganization",
    "ReinstateWorkspace",
    "ActivateWorkspace",
    "UpdateWorkspace",
    "SetSubscription",
)
"""Writes whose valid request finds nothing to do."""
