"""What the modules of a workspace are set to: the application's own words, kept as they are."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from wsauthz.model.errors import InvalidArgument, UnknownModule
from wsauthz.model.places import PlaceKey
from wsauthz.model.spelling import meant
from wsauthz.policy.decision import Decision, decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import module_settings as setting_rows
from wsauthz.store.module_settings import ModuleSettings
from wsauthz.tenancy.transaction import Reading, Transaction, refuse_unless_allowed

_BYTES_MOST: Final = 64 << 10
_DEPTH_MOST: Final = 32


def get(reading: Reading, *, workspace_id: str, module: str) -> ModuleSettings | None:
    """Return what the module is set to in the workspace; None: nobody set anything.

    Raises:
        UnknownModule: the catalog lacks the module. Denied: the workspace does not have it, or no role of the actor
        counts in it.

    """
    asked = {"actor": reading.actor, "workspace_id": workspace_id, "module": module, "action": "view"}
    reading.on_loop(lambda facts, rules, now: _check_module(facts, rules, now, **asked))
    return setting_rows.find(reading.connection, workspace_id, module)


def update(tx: Transaction, *, workspace_id: str, module: str, settings: Mapping[str, Any]) -> None:
    """Replace the settings of the module in the workspace.

    Raises:
        UnknownModule, Denied: as ``get``. InvalidArgument: the settings are too large or too deep, or hold what JSON or
        the database cannot.

    """
    asked = {"actor": tx.actor, "workspace_id": workspace_id, "module": module, "action": "update"}
    _check_module(tx.facts, tx.rules, tx.now.timestamp(), **asked)
    text = serialized(settings)
    old = setting_rows.find(tx.connection, workspace_id, module)
    if text == serialized(old.settings if old else {}):  # as text: to Python true is 1
        return
    if old is None:
        times = {"created_at": tx.now, "updated_at": tx.now}
        new = ModuleSettings(workspace_id=workspace_id, module=module, settings=settings, **times)
        setting_rows.add(tx.connection, new)
    else:
        setting_rows.update(tx.connection, workspace_id, module, {"settings": settings, "updated_at": tx.now})
    tx.audit("module_settings", module, ("workspace", workspace_id))


def _check_module(
    facts: Facts, rules: Ruleset, now: float, *, actor: str, workspace_id: str, module: str, action: str
) -> None:
    """Return if the action is allowed with the module's guard, too (REQ-135)."""
    if module not in rules.catalog.modules:
        raise UnknownModule(module, field="module", meant=meant(module, rules.catalog.modules))

    def ask(resource: str, action: str, place: PlaceKey, required_module: str = "") -> Decision:
        of_actor: dict[str, Any] = {"subject": actor, "place": place, "resource": resource, "action": action}
        return decide(facts, rules, now, **of_actor, required_module=required_module)

    place: PlaceKey = ("workspace", workspace_id)
    refuse_unless_allowed(rules, ask("module_settings", action, place, module), place, ask)


def serialized(settings: Mapping[str, Any]) -> str:
    """Return the settings of a module as JSON, the same text for what is the same.

    Raises:
        InvalidArgument: they are not what settings may be.

    """
    _check(settings, _DEPTH_MOST)
    text = json.dumps(settings, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidArgument("settings", "must hold no half of a surrogate pair") from None
    if size > _BYTES_MOST:
        raise InvalidArgument("settings", f"must be at most {_BYTES_MOST:,} bytes of JSON")
    return text


def _check(value: Any, levels: int) -> None:
    """Return if a value has no more levels of objects and lists, and holds nothing that cannot be stored."""
    if isinstance(value, str) and "\0" in value:
        raise InvalidArgument("settings", "must not hold NUL")  # PostgreSQL's own functions cannot read it
    if isinstance(value, float) and not isfinite(value):
        raise InvalidArgument("settings", "numbers must be finite")
    if isinstance(value, Mapping | list):
        if levels == 0:
            raise InvalidArgument("settings", f"must be at most {_DEPTH_MOST} levels deep")
        inside = (*value, *value.values()) if isinstance(value, Mapping) else value
        for each in inside:
            _check(each, levels - 1)
