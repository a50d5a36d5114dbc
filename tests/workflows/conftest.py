"""A server of each product's own bundle, on each kind of database, for as long as a module's tests run."""

from collections.abc import Iterator

import pytest

from tests.rpc.conftest import MakeDatabase, make_database, serving, transport
from tests.workflows.product import Product

__all__ = ["make_database", "transport"]


@pytest.fixture(scope="module")
def eventpalour(make_database: MakeDatabase) -> Iterator[Product]:
    """Return eventpalour, with an operator."""
    with serving(make_database(), "eventpalour") as tenants:
        yield Product(tenants)


@pytest.fixture(scope="module")
def oneglanse(make_database: MakeDatabase) -> Iterator[Product]:
    """Return oneglanse, with an operator."""
    with serving(make_database(), "oneglanse") as tenants:
        yield Product(tenants)


@pytest.fixture(scope="module")
def dam(make_database: MakeDatabase) -> Iterator[Product]:
    """Return dam, with an operator."""
    with serving(make_database(), "dam") as tenants:
        yield Product(tenants)
