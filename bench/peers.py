"""The bundle's rules and our questions in the words of Cerbos."""

from typing import Any, Final

from bench.dataset import NOW
from bench.questions import Asked
from wsauthz.model.places import State
from wsauthz.policy.bundle import Bundle
from wsauthz.policy.facts import Facts
from wsauthz.policy.question import has_module, held
from wsauthz.policy.rules import STATES

_EFFECTS: Final = {True: "EFFECT_ALLOW", False: "EFFECT_DENY"}
_ANY: Final = frozenset(STATES["any"])


def policy_files(bundle: Bundle) -> dict[str, Any]:
    """Return a resource policy for each of the application's types, by file name; rules about single objects are left out."""
    files = {}
    for kind in bundle.catalog.resources.values():
        if kind.is_core:
            continue
        rules = []
        for action, feature in kind.actions.items():
            by_rule: dict[tuple[bool, frozenset[State]], set[str]] = {}
            found = {
                compiled.rule: compiled
                for state in _ANY
                for rows in bundle.rules.actions[kind.name][action].cells[state].by_node.values()
                for compiled in rows
                if compiled.place is None and compiled.object_id is None
            }
            for rule in found:
                by_rule.setdefault((rule.allows, frozenset(rule.states)), set()).add(_name(rule.node))
            for (allows, states), nodes in sorted(by_rule.items(), key=str):
                conditions = ["R.attr.module_enabled"]
                if states != _ANY:
                    conditions.append(" || ".join(f'R.attr.state == "{state.name}"' for state in sorted(states)))
                if feature is not None and bundle.catalog.plans and allows:
                    conditions.append(f'"{feature}" in R.attr.features')
                expressions = [{"expr": expression} for expression in conditions]
                rules.append(
                    {
                        "actions": [action],
                        "effect": _EFFECTS[allows],
                        "roles": sorted(nodes),
                        "condition": {"match": {"all": {"of": expressions}}},
                    }
                )
        policy = {"resource": kind.name, "version": "default", "rules": rules}
        name = f"{kind.name.replace(':', '_')}.json"
        files[name] = {"apiVersion": "api.cerbos.dev/v1", "resourcePolicy": policy}
    return files


def request(facts: Facts, bundle: Bundle, asked: Asked) -> dict[str, Any]:
    """Return a question as the body of CheckResources, with everything that Cerbos has to be told."""
    at = facts.places[asked.kind, asked.place_id]
    action, object_id = bundle.rules.action(asked.resource, asked.action)
    nodes = held(facts, bundle.rules, NOW, asked.subject, at, action.module)
    plan = bundle.catalog.plans.get(at.subscription[0]) if at.subscription else None
    is_active = asked.subject not in facts.deactivated
    return {
        "requestId": "1",
        "principal": {
            "id": asked.subject,
            "policyVersion": "default",
            "roles": sorted(map(_name, nodes)) if nodes and is_active else ["nobody"],
        },
        "resources": [
            {
                "actions": [asked.action],
                "resource": {
                    "kind": action.type.name,
                    "policyVersion": "default",
                    "id": object_id or "-",
                    "attr": {
                        "state": at.state.name,
                        "module_enabled": has_module(at, action.module),
                        "features": sorted(plan.features) if plan else [],
                    },
                },
            }
        ],
    }


def _name(node: str) -> str:
    """Return a role or a permission as a role of Cerbos's."""
    return node.replace(":", "_")
