"""The bundles that come with wsauthz, and bundles made at random; each as the engine and as the plain reading has it.

Everything is drawn from the ``random.Random`` that is handed in, so that a seed, or hypothesis, repeats it.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.oracle.plain_state import Policy, read_core, read_policy
from wsauthz.policy.bundle import Bundle, BundleRefused, build_bundle, read_bundle

ROOT = Path(__file__).parents[2]

PLACE_IDS = (
    "w",
    "w1",
    "w11",
    "w111",
    "w2",
    "W1",
    "w-1",
    "w_1",
    "acme",
    "acme.x",
    "acme2",
    "platform",
    "admin",
    "role",
    "ann",
    "ann2",
    "dam",
    "core",
    "any",
    "active",
    "0",
    "a@b",
    "+",
    "_",
)
"""Of workspaces and organizations alike; the first ones are those that rules name."""
ROLES = ("owner", "admin", "adm", "editor", "member", "viewer", "operator")
PERMISSIONS = ("admin", "can-manage", "can-manage-users")
MODULES = ("dam", "dam2", "analytics")
RESOURCES = {
    "dam:asset": ("read", "update", "delete"),
    "dam:asset_private": ("read", "update"),
    "dam:brand": ("edit", "read"),
    "dam2:asset": ("read",),
    "analytics:report": ("read", "run"),
    "asset": ("read", "update"),
    "event": ("create", "read"),
}
CORE_PATTERNS = ("workspace/*", "member/*", "child/*", "module/*", "organization/*", "subscription/*", "workspace/42")
PLANS = ("free", "pro")


@functools.cache
def core() -> dict[str, dict[str, str | None]]:
    """Return the core vocabulary."""
    return read_core(ROOT / "proto/wsauthz/v1/vocabulary.proto")


def shipped() -> list[Path]:
    """Return the directories of the bundles that come with wsauthz."""
    return sorted(found.parent for found in (ROOT / "policies").glob("*/policy.csv"))


@functools.cache
def shipped_bundle(directory: Path) -> tuple[Bundle, Policy]:
    """Return one of them, read by both."""
    bundle = read_bundle(directory, core())
    return bundle, _plain(bundle)


def random_bundle(chance: Random) -> tuple[Bundle, Policy]:
    """Return a bundle with random rules, read by both."""
    model = (ROOT / "policies/model.conf").read_text("utf-8")
    catalog, lines = _catalog(chance), _rules(chance)
    while True:
        files = {"model.conf": model, "catalog.toml": catalog, "policy.csv": "".join(f"{line}\n" for line in lines)}
        try:
            bundle = build_bundle(files, core())
        except BundleRefused as refused:
            # Chance repeats itself; a rule that says the same as an earlier one is refused, so it goes.
            repeated = {problem.line for problem in refused.problems if problem.text.startswith("says the same")}
            if not repeated:
                raise
            lines = [line for number, line in enumerate(lines, start=1) if number not in repeated]
        else:
            return bundle, _plain(bundle)


def _plain(bundle: Bundle) -> Policy:
    return read_policy(bundle.files["policy.csv"], bundle.files["catalog.toml"], core())


def _catalog(chance: Random) -> str:
    text = 'name = "random"\noperator_role = "operator"\n'
    owned = chance.random() < 0.9
    for rank, role in enumerate(reversed(ROLES), start=1):
        text += f'[roles.{role}]\nrank = {rank}\ntitle = "{role}"\nplaces = ["platform", "organization", "workspace"]\n'
        if owned and role == "owner":
            text += "assignable = false\n"
    text += '[defaults]\nworkspace = "member"\norganization = "member"\ncreator = "admin"\nformer_owner = "admin"\n'
    owner = 'role = "owner"\n' if owned else ""
    text += f'[ownership]\n{owner}on_account_deletion = "delete"\n[permissions]\n'
    text += "".join(f'{name} = "{name}"\n' for name in PERMISSIONS)
    text += "".join(f'[modules.{name}]\ntitle = "{name}"\n' for name in MODULES)
    gated = chance.random() < 0.7
    for name, actions in RESOURCES.items():
        text += f'[resources."{name}"]\nactions = [{", ".join(map(repr, actions))}]\n'.replace("'", '"')
        if gated and name == "dam:brand":
            text += 'requires_feature = "branding"\n'
    if gated:
        text += '[plans.free]\ntype = "free"\n[plans.pro]\ntype = "paid"\nmodules = ["dam"]\nfeatures = ["branding"]\n'
    return text


def _rules(chance: Random) -> list[str]:
    roles = [f"role:{name}" for name in ROLES]
    nodes = [*roles, *(f"perm:{name}" for name in PERMISSIONS)]
    lines = {"p, role:everyone, platform, workspace/*, create, any, allow"}
    for _ in range(chance.randint(3, 40)):
        lines.add(_rule(chance, nodes))
    for _ in range(chance.randint(0, 8)):
        heir = chance.randrange(len(roles) - 1)  # only ever downwards: no circles
        lines.add(f"g, {roles[heir]}, {chance.choice(nodes[heir + 1 :])}, *")
    for _ in range(chance.randint(0, 12)):
        above = chance.choice(nodes)
        lines.add(f"g4, {above}, {above if chance.random() < 0.5 else chance.choice(nodes)}")
    return chance.sample(sorted(lines), len(lines))


def _rule(chance: Random, nodes: Sequence[str]) -> str:
    node = chance.choice([*nodes, "role:everyone"])
    effect = "deny" if chance.random() < 0.1 else "allow"
    place = "*"
    if node == "role:everyone":
        place = "platform"
    elif chance.random() < 0.25:
        place = chance.choice(["platform", f"workspace:{_place_id(chance)}", f"organization:{_place_id(chance)}"])
    patterns = ["*", "dam:*", "dam2:*", "core:*", *CORE_PATTERNS, *(f"{name}/*" for name in RESOURCES)]
    pattern = chance.choice([*patterns, "dam:asset/42", "dam:asset/42", "dam:asset/a/b", "asset/4", "workspace/42"])
    kind = pattern.partition("/")[0]
    actions = [*RESOURCES.get(kind, ()), *core().get(kind, ())]
    action = chance.choice(actions) if actions and chance.random() < 0.7 else "*"
    state = (
        "any"
        if effect == "deny"
        else chance.choice(["active", "active", "active", "any", "any", "suspended", "inactive"])
    )
    if node == "role:everyone" and state in {"suspended", "inactive"}:
        state = "any"  # the platform is always active
    return f"p, {node}, {place}, {pattern}, {action}, {state}, {effect}"


def _place_id(chance: Random) -> str:
    return chance.choice(PLACE_IDS[:6])
