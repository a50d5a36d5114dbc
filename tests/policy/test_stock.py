"""`wsauthz policy verify` and `wsauthz policy export`: what is inside them."""

import dataclasses
from itertools import pairwise
from pathlib import Path
from random import Random

import casbin
import pytest

from tests.oracle import bundles, worlds
from tests.oracle.agreement import load
from tests.oracle.plain_state import PLATFORM, State, exists, read_policy
from tests.oracle.worlds import NOW, World
from tests.policy.test_corners import CATALOG, member, workspace
from wsauthz.policy.bundle import build_bundle
from wsauthz.policy.stock import export_policy, rules_allow, verify


@pytest.mark.parametrize("directory", [None, *bundles.shipped()], ids=lambda found: found.name if found else "random")
def test_verify_finds_no_difference_where_there_is_none(directory: Path | None) -> None:
    bundle = bundles.shipped_bundle(directory) if directory is not None else None
    for seed in range(3):
        world = worlds.random_world(Random(f"verify {seed}"), size=24, bundle=bundle)
        assert verify(world.bundle, world.state.rows(), count=200, seed=seed, now=NOW) == []


def test_verify_asks_the_same_questions_for_the_same_seed_and_names_every_difference() -> None:
    world = worlds.random_world(Random("planted"), size=12)
    # The files say something else than the rules that were compiled.
    everybody = "".join(f"p, role:{role}, *, event/*, read, any, allow\n" for role in bundles.ROLES)
    tampered = dataclasses.replace(world.bundle, files={**world.bundle.files, "policy.csv": everybody})
    found = verify(tampered, world.state.rows(), count=2_000, seed=7, now=NOW)
    assert found
    assert found == verify(tampered, world.state.rows(), count=2_000, seed=7, now=NOW)
    assert any(difference.stock and not difference.engine and difference.resource == "event" for difference in found)
    assert any(difference.required_module for difference in found)
    assert all(difference.stock != difference.engine for difference in found)


def test_verify_works_on_a_database_without_anything_in_it() -> None:
    world = worlds.random_world(Random("empty"))
    assert verify(world.bundle, [], count=50, seed=0, now=NOW) == []


def test_an_export_loaded_from_its_files_answers_as_the_engine(tmp_path: Path) -> None:
    for seed in range(5):
        chance = Random(f"export {seed}")
        world = worlds.random_world(chance, size=8)
        enforcer = _loaded(world, tmp_path)
        facts = load(world.state)
        for _ in range(100):
            user, place, resource, action, _ = worlds.random_question(chance, world)
            if place is None or not exists(world.state, place):
                continue
            kind, _, identifier = resource.partition("/")
            where = "platform" if place == PLATFORM else ":".join(place)
            use = f"{where}#{kind.partition(':')[0] if ':' in kind else 'core'}"
            stock = enforcer.enforce(f"user:{user}", where, use, f"{kind}/{identifier}", action)
            assert stock == rules_allow(facts, world.bundle, NOW, user, place, resource, action)  # type: ignore[arg-type]


@pytest.mark.parametrize("directory", [None, *bundles.shipped()])
def test_an_export_links_no_name_with_itself(directory: Path | None) -> None:
    """Casbin for Go v3 takes such a row for a cycle and loads nothing; every Casbin has that link without a row."""
    bundle = None if directory is None else bundles.shipped_bundle(directory)
    world = worlds.random_world(Random("links"), size=12, bundle=bundle)
    _, policy = export_policy(world.bundle, world.state.rows(), NOW)
    links = [row.split(", ") for row in policy.splitlines() if row.startswith("g")]
    assert {link[0] for link in links} == {"g", "g2", "g3"}
    assert [link for link in links if link[1] == link[2]] == []


def test_an_export_has_no_rows_for_whoever_is_deactivated_or_expired(tmp_path: Path) -> None:
    world = _corner(
        workspace("c"),
        ("user", {"id": "eve", "is_active": False}),
        member(("workspace", "c"), "viewer", user="eve"),
        member(("workspace", "c"), "viewer", user="old", expires_at=NOW),
        member(("workspace", "c"), "viewer", user="idle", is_active=False),
        member(("workspace", "c"), "viewer", user="new", expires_at=NOW + 1, modules=["dam"]),
    )
    _, policy = export_policy(world.bundle, world.state.rows(), NOW)
    rows = [line for line in policy.splitlines() if line.startswith("g, ")]
    assert [line for line in rows if "user:boss" not in line] == [
        "g, user:new, role:viewer, workspace:c#core",
        "g, user:new, role:viewer, workspace:c#dam",
    ]


def test_inheritance_deeper_than_casbin_follows_it_is_kept(tmp_path: Path) -> None:
    names = [f"r{number:02}" for number in range(20)]
    roles = "".join(f'[roles.{name}]\nrank = 1\ntitle = "{name}"\nplaces = ["workspace"]\n' for name in names)
    catalog = CATALOG.replace("[roles.viewer]", roles + "[roles.viewer]")
    lines = [f"g, role:{above}, role:{below}, *" for above, below in pairwise(names)]
    lines += ["p, role:r19, *, event/*, read, active, allow", "p, role:r18, *, dam:asset/*, read, any, deny"]
    world = _corner(workspace("c"), member(("workspace", "c"), "r00"), catalog=catalog, lines=lines)
    enforcer = _loaded(world, tmp_path)
    assert enforcer.enforce("user:ann", "workspace:c", "workspace:c#core", "event/", "read")
    assert rules_allow(load(world.state), world.bundle, NOW, "ann", ("workspace", "c"), "event", "read")
    assert verify(world.bundle, world.state.rows(), count=200, seed=0, now=NOW) == []


def _corner(*rows: tuple[str, dict[str, object]], catalog: str = CATALOG, lines: list[str] | None = None) -> World:
    files = {
        "model.conf": (bundles.ROOT / "policies/model.conf").read_text("utf-8"),
        "catalog.toml": catalog,
        "policy.csv": "".join(f"{line}\n" for line in lines or ["p, role:viewer, *, event/*, read, any, allow"]),
    }
    state = State()
    for kind, values in rows:
        state.put(kind, values)
    policy = read_policy(files["policy.csv"], catalog, bundles.core())
    return World(build_bundle(files, bundles.core()), policy, state)


def _loaded(world: World, folder: Path) -> casbin.Enforcer:
    """Return an enforcer that pycasbin makes of the exported files by itself."""
    model, policy = export_policy(world.bundle, world.state.rows(), NOW)
    (folder / "model.conf").write_text(model, "utf-8")
    (folder / "policy.csv").write_text(policy, "utf-8")
    return casbin.Enforcer(str(folder / "model.conf"), str(folder / "policy.csv"))
