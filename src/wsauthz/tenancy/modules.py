"""Which modules a workspace or a membership may be given."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from wsauthz.model.errors import InvalidArgument, ModuleNotInParent, ModuleNotInPlan, RoleCeiling, UnknownModule
from wsauthz.model.spelling import meant
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.question import has_module, held
from wsauthz.policy.ruleset import Ruleset
from wsauthz.tenancy import ceiling
from wsauthz.tenancy.transaction import Transaction


def check_known(catalog: Catalog, modules: Iterable[str], *, field: str = "modules") -> tuple[str, ...]:
    """Return the modules in the order given.

    Raises:
        UnknownModule: the catalog lacks one. InvalidArgument: one is named twice.

    """
    found = tuple(modules)
    for module in found:
        if module not in catalog.modules:
            raise UnknownModule(module, field=field, meant=meant(module, catalog.modules))
    if len(set(found)) < len(found):
        raise InvalidArgument(field, "must not name a module twice")
    return found


def check_available(tx: Transaction, above: Place | None, plan_of: Place | None, modules: Iterable[str]) -> None:
    """Return if a workspace may have the modules.

    ``above`` is the place right above it, ``plan_of`` the one whose effective subscription is the workspace's.

    Raises:
        ModuleNotInParent: the place above lacks one. ModuleNotInPlan: the plan limits modules and lacks one.

    """
    limits = _plan_limits(tx.rules.catalog, plan_of)
    for module in modules:
        if above is not None and not has_module(above, module):
            raise ModuleNotInParent(module)
        if limits is not None and module not in limits:
            raise ModuleNotInPlan(module)


def for_new(tx: Transaction, above: Place, action: str, modules: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the modules of a new workspace: the given ones, or else all of the place above that the actor may give it.

    The role by which the actor may do the action, which creates it, counts in each of them, and does not expire: the
    owner keeps them.

    Raises:
        UnknownModule, ModuleNotInParent, ModuleNotInPlan: one is not available.
        RoleCeiling: the actor may not create a workspace with one of them, or only for some time.

    """
    catalog = tx.rules.catalog

    def may_give(module: str, moment: float | None = None) -> bool:
        return tx.ask("workspace", action, above.key, required_module=module, moment=moment).allowed

    if modules is None:
        return tuple(module for module in catalog.modules if may_give(module) and may_give(module, ceiling.NEVER))
    found = check_known(catalog, modules)
    check_available(tx, above, above, found)
    for module in found:
        if not may_give(module):
            raise RoleCeiling(f"Your right to create workspaces here does not include the module {module!r}")
        right: dict[str, Any] = {"may": partial(may_give, module), "right": f"right to the module {module!r}"}
        ceiling.check_ownership(tx.facts, tx.now.timestamp(), giver=tx.actor, at=above, **right)
    return found


def check_added(tx: Transaction, above: Place | None, modules: Iterable[str]) -> None:
    """Return if the actor may give a workspace these modules of the place above.

    Whatever the actor may do above to modules, and to the children there, they must be allowed in each of the modules:
    who is limited to some does not get around that below. Who is nothing there is held to the place only.

    Raises:
        RoleCeiling: the actor holds something above, but not in one of the modules.

    """
    for module in modules:
        if not may_add(tx.facts, tx.rules, tx.now.timestamp(), actor=tx.actor, above=above, module=module):
            raise RoleCeiling(f"Your rights in the workspace above do not include the module {module!r}")


def may_add(facts: Facts, rules: Ruleset, now: float, *, actor: str, above: Place | None, module: str) -> bool:
    """Tell whether somebody may give a workspace the module as far as the place above is concerned.

    ``now`` is in Unix seconds.
    """
    if above is None or above.key[0] != "workspace" or not held(facts, rules, now, actor, above, None):
        return True

    def allowed(right: tuple[str, str], required_module: str = "") -> bool:
        asked: dict[str, Any] = {"resource": right[0], "action": right[1], "required_module": required_module}
        return decide(facts, rules, now, subject=actor, place=above.key, **asked).allowed

    rights = (("module", "set"), ("workspace", "create_child"))
    return bool(held(facts, rules, now, actor, above, module)) and all(
        allowed(right, module) for right in rights if allowed(right)
    )


def _plan_limits(catalog: Catalog, at: Place | None) -> tuple[str, ...] | None:
    """Return the modules that the effective plan includes; None if nothing limits them."""
    if at is None or at.subscription is None:
        return None
    plan = catalog.plans.get(at.subscription[0])
    return plan.modules if plan is not None else None
