"""The bundle that everything is measured with, and ones with few and with many rules."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

from wsauthz.policy.bundle import Bundle, build_bundle, read_bundle
from wsauthz.rpc.methods import core_vocabulary

DIRECTORY: Final = Path(__file__).parents[1] / "policies" / "default"
FEW: Final = 30
MANY: Final = 1_000


@cache
def bundle() -> Bundle:
    """Return policies/default."""
    return read_bundle(DIRECTORY, core_vocabulary())


def with_rules(count: int, workspaces: Sequence[str]) -> Bundle:
    """Return the bundle with so many rules: those about the application first, then others, then made-up ones.

    The made-up ones stand in the way of the questions asked: about single objects, and about single workspaces, of
    every resource type and action.
    """
    files = dict(bundle().files)
    lines = [line for line in files["policy.csv"].splitlines() if line.startswith(("p,", "g,", "g4,"))]
    rules = sorted((line for line in lines if line.startswith("p,")), key=_is_about_the_core)
    rules = [*rules[:count], *_made_up(count - len(rules), workspaces)]
    others = [line for line in lines if not line.startswith("p,")]
    files["policy.csv"] = "".join(f"{line}\n" for line in (*rules, *others))
    return build_bundle(_without_tests(files), core_vocabulary())


def _is_about_the_core(rule: str) -> bool:
    resource = rule.split(", ")[3].split("/", maxsplit=1)[0]
    kind = bundle().catalog.resources.get(resource)
    return kind is not None and kind.is_core


def _made_up(count: int, workspaces: Sequence[str]) -> list[str]:
    chance = Random(count)
    catalog = bundle().catalog
    kinds = [kind for kind in catalog.resources.values() if not kind.is_core]
    made: set[str] = set()
    while len(made) < count:
        kind, node = chance.choice(kinds), chance.choice(["viewer", "member", "moderator"])
        action = chance.choice(list(kind.actions))
        if chance.random() < 0.5:
            made.add(f"p, role:{node}, *, {kind.name}/{chance.randrange(100_000)}, {action}, active, allow")
        else:
            made.add(f"p, role:{node}, workspace:{chance.choice(workspaces)}, {kind.name}/*, {action}, active, allow")
    return sorted(made)


def _without_tests(files: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in files.items() if not re.search(r"\.ya?ml$", name)}
