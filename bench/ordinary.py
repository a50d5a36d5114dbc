"""Stock Casbin as it is ordinarily set up for tenants: RBAC with domains, a membership as ``g, user, role, domain``.

No tree, no modules and no states: asked are only questions that do not depend on any of them.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

import casbin

from bench import policies
from bench.dataset import NOW, Dataset
from bench.questions import Asked, draw
from wsauthz.model.places import State
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Compiled
from wsauthz.policy.stock import _Memory

Row = tuple[str, ...]

_ROLES: Final = """
[request_definition]
r = sub, dom, obj, act
[policy_definition]
p = sub, dom, obj, act, eft
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
"""
SHARED: Final = _ROLES + "m = g(r.sub, p.sub, r.dom) && keyMatch(r.obj, p.obj) && r.act == p.act\n"
"""The rules are written once for all domains."""
OWN: Final = _ROLES + "m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && keyMatch(r.obj, p.obj) && r.act == p.act\n"
"""Each domain has its own rules, as in the model that Casbin's documentation gives."""


def rows(data: Dataset, *, shared: bool) -> Iterator[Row]:
    """Yield memberships of workspaces, and what each role may do there, inherited rules included."""
    rules = list(_rules())
    domains = ["*"] if shared else [values["id"] for values in data.workspaces]
    for domain in domains:
        for node, resource, action, effect in rules:
            yield ("p", node, domain, resource, action, effect)
    for values in data.memberships:
        if values["workspace_id"] is not None:
            yield ("g", values["user_id"], f"role:{values['role']}", values["workspace_id"])


def enforcer(model: str, given: Iterable[Row]) -> Any:
    """Return an enforcer as it comes."""
    return casbin.Enforcer(casbin.Enforcer.new_model(text=model), _Memory(given))


def ask(given: Any, asked: Asked) -> bool:
    """Return what the enforcer answers."""
    kind, _, identifier = asked.resource.partition("/")
    return bool(given.enforce(asked.subject, asked.place_id, f"{kind}/{identifier}", asked.action))


def questions(data: Dataset, facts: Facts, count: int, seed: int) -> list[Asked]:
    """Return random questions that depend on nothing but a plain membership of the place, or on there being none."""
    drawn = draw(policies.bundle().catalog, data.memberships, [values["id"] for values in data.workspaces], seed)
    return list(islice((asked for asked in drawn if _is_plain(facts, asked)), count))


def _is_plain(facts: Facts, asked: Asked) -> bool:
    at = facts.places[asked.kind, asked.place_id]
    kind = policies.bundle().catalog.resources[asked.resource.partition("/")[0]]
    if at.state is not State.ACTIVE or kind.actions[asked.action] is not None or asked.subject in facts.deactivated:
        return False
    if at.modules is not None and kind.module not in {"core", *at.modules}:
        return False
    owned = facts.owned.get(asked.subject, set())
    held = facts.grants.get(asked.subject, {})
    if any(place in owned for place in at.chain) or any(place in held for place in at.chain[1:]):
        return False
    grant = held.get(at)
    return grant is None or (
        grant.is_active
        and not grant.permissions
        and grant.modules is None
        and (grant.expires_at is None or grant.expires_at > NOW)
    )


def _rules() -> Iterator[tuple[str, str, str, str]]:
    """Yield role, resource, action and effect for each role of a workspace and everything it inherits."""
    bundle = policies.bundle()
    for role in bundle.catalog.roles.values():
        if "workspace" not in role.places:
            continue
        nodes = bundle.rules.given(role.name, (), 0)
        seen: dict[tuple[str, str, str], None] = {}
        for kind in bundle.catalog.resources.values():
            if kind.is_core:
                continue
            for action in kind.actions:
                found = bundle.rules.actions[kind.name][action].cells[State.ACTIVE].by_node
                for row in (row for node in nodes for row in found.get(node, ())):
                    seen[_pattern(kind.name, row), action, "allow" if row.allows else "deny"] = None
        for resource, action, effect in seen:
            yield (f"role:{role.name}", resource, action, effect)


def _pattern(kind: str, row: Compiled) -> str:
    return f"{kind}/{row.object_id or '*'}"
