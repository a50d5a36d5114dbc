"""Ids that are not to be seen and ids that nobody has are refused after the same work, so no time tells them apart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.rpc.bundles import copy_bundle
from tests.tenancy.world import World, key
from wsauthz.model.errors import UserNotFound
from wsauthz.policy.current import CurrentPolicy
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.tenancy import memberships


@pytest.fixture
def visible(database_url: str, tmp_path: Path) -> Iterator[World]:
    """Return a world in which only those who are visible are added by an id."""
    bundle = copy_bundle("dam", tmp_path)
    catalog = bundle / "catalog.toml"
    catalog.write_text(catalog.read_text().replace("[joining]\n", '[joining]\nadd_by_id = "visible"\n'), "utf-8")
    world = World(database_url, CurrentPolicy(bundle, core_vocabulary()))
    yield world
    world.database.close()


def test_a_foreign_id_and_an_unknown_one_take_the_same_statements(visible: World) -> None:
    workspace = visible.workspace("ann")
    visible.workspace("eve", "Elsewhere")
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    def asked_about(user: str) -> list[str]:
        statements.clear()
        with pytest.raises(UserNotFound):
            visible.write("ann", memberships.add, place=key(workspace), user_id=user)
        return list(statements)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        unknown, foreign = asked_about("nobody"), asked_about("eve")
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert foreign
    assert foreign == unknown
