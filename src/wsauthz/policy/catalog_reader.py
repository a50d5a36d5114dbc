"""catalog.toml, read strictly: unknown keys, wrong types and names that lead nowhere are refused, all at once."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Final

from wsauthz.model.invitations import MOST_DAYS
from wsauthz.policy.answers_reader import read_answers, read_guards
from wsauthz.policy.catalog import AddById, Catalog, CoreVocabulary, Plan, ResourceType
from wsauthz.policy.catalog_roles import check_name, check_role, read_defaults, read_ownership, read_roles, read_title
from wsauthz.policy.problems import Problem, meant
from wsauthz.policy.sizes import MOST_ACTIONS, MOST_HOLDERS, exceeds
from wsauthz.policy.terms import CORE, module_of
from wsauthz.policy.toml_reader import Table, TomlFile, TooManyProblems, syntax_problem

FILE: Final = "catalog.toml"
JOIN_METHODS: Final = ("invite_code", "workspace_id", "organization_workspace", "organization")
_PROVIDER: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")


def read_catalog(text: str, core: CoreVocabulary) -> tuple[Catalog | None, list[Problem]]:
    """Return the vocabulary in catalog.toml with the core's merged in, or None and everything that is wrong with it."""
    try:
        source = TomlFile(FILE, text)
    except tomllib.TOMLDecodeError as error:
        return None, [syntax_problem(FILE, error)]
    try:
        catalog = _read(source.table(), core)
    except TooManyProblems:
        text = "there are many problems, so the others were not looked for"
        return None, [*source.problems, Problem(file=FILE, line=0, text=text)]
    return (None if source.problems else catalog), source.problems


def _read(top: Table, core: CoreVocabulary) -> Catalog:
    name = top.take("name", str)
    if name is not None:
        check_name(top, "name", name)
    operator = top.take("operator_role", str)
    roles = read_roles(top)
    check_role(top, "operator_role", operator, roles, "platform")
    defaults = read_defaults(top, roles)
    ownership, multiple, on_account_deletion = read_ownership(top, roles)
    permissions = top.texts("permissions")
    for permission in permissions:
        check_name(top, "permissions", permission)
    modules = _modules(top)
    plans = _plans(top, modules)
    resources = _resources(top, core, modules, plans)
    for text in (
        exceeds("roles and permissions", len(roles) + len(permissions), MOST_HOLDERS),
        exceeds("actions of all resource types", sum(len(kind.actions) for kind in resources.values()), MOST_ACTIONS),
    ):
        if text:
            top.refuse(text)
    providers = _providers(top)
    join_methods, add_by_id = _joining(top)
    lookups = _switches(top, "lookups", ("by_slug", "public_profile"))
    lifetime = _positive(top, "invitations", {"lifetime_days": 7}, most=MOST_DAYS)
    limits = _positive(
        top, "limits", {"workspaces_per_owner": 100, "children_per_parent": 1000, "members_per_place": 100_000}
    )
    guards, answers = read_guards(top), read_answers(top)
    subject_types = _subject_types(top)
    top.finish()
    return Catalog(
        name=name,
        operator_role=operator,
        roles=roles,
        default_workspace_role=defaults["workspace"],
        default_organization_role=defaults["organization"],
        creator_role=defaults["creator"],
        former_owner_role=defaults["former_owner"],
        ownership_role=ownership,
        ownership_multiple=multiple,
        on_account_deletion=on_account_deletion,
        permissions=permissions,
        modules=modules,
        resources=resources,
        plans=plans,
        providers=providers,
        join_methods=join_methods,
        add_by_id=add_by_id,
        by_slug=lookups["by_slug"],
        public_profile=lookups["public_profile"],
        invitation_lifetime_days=lifetime["lifetime_days"],
        workspaces_per_owner=limits["workspaces_per_owner"],
        children_per_parent=limits["children_per_parent"],
        members_per_place=limits["members_per_place"],
        guards=guards,
        answers=answers,
        subject_types=subject_types,
    )


def _modules(top: Table) -> dict[str, str]:
    modules = {}
    for name, table in top.sections("modules").items():
        check_name(top, "modules", name)
        if name == CORE:
            table.refuse("is the module everybody has and cannot be declared")
        modules[name] = read_title(table)
        table.finish()
    return modules


def _plans(top: Table, modules: Mapping[str, str]) -> dict[str, Plan]:
    plans = {}
    for name, table in top.sections("plans").items():
        check_name(top, "plans", name)
        kind = table.take("type", str)
        if kind is not None:
            check_name(table, "type", kind)
        features = table.names("features", default=())
        for feature in features or ():
            check_name(table, "features", feature)
        plans[name] = Plan(
            name=name,
            type=kind,
            modules=table.names("modules", default=None, known=modules),
            features=features or (),
        )
        table.finish()
    return plans


def _resources(
    top: Table, core: CoreVocabulary, modules: Mapping[str, str], plans: Mapping[str, Plan]
) -> dict[str, ResourceType]:
    """Return the core's resource types, then the application's."""
    resources = {
        name: ResourceType(name=name, module=CORE, is_core=True, actions=dict(actions))
        for name, actions in core.items()
    }
    features = dict.fromkeys(sorted({feature for plan in plans.values() for feature in plan.features}))
    declared = top.sections("resources")
    for name, table in declared.items():
        prefix, colon, bare = name.rpartition(":")
        module = module_of(name)
        if name in core:
            table.refuse("is a core resource and cannot be declared")
        elif colon and prefix == CORE:
            table.refuse(f"is written without the module {CORE} (did you mean {bare}?)")
        elif colon and prefix not in modules:
            free = [each for each in modules if f"{each}:{bare}" not in declared]
            table.refuse(f"{prefix!r} is not a module{meant(prefix, free)}")
        check_name(table, None, bare)
        actions = table.names("actions")
        if actions == ():
            table.refuse("must name an action", "actions")
        for action in actions or ():
            check_name(table, "actions", action)
        feature = table.take("requires_feature", str, default=None)
        if feature is not None:
            check_name(table, "requires_feature", feature)
            if feature not in features:  # without plans nothing is gated: it would be open to everybody
                table.refuse(f"{feature!r} is a feature of no plan{meant(feature, features)}", "requires_feature")
        resources[name] = ResourceType(
            name=name, module=module, is_core=False, actions=dict.fromkeys(actions or (), feature)
        )
        table.finish()
    return resources


def _providers(top: Table) -> dict[str, str] | None:
    if not top.has("providers"):
        return None
    providers = top.texts("providers")
    for name in providers:
        if not _PROVIDER.match(name):
            top.source.refuse(("providers", name), "is not 1 to 64 characters of [a-z0-9._-]")
    return providers


def _joining(top: Table) -> tuple[tuple[str, ...], AddById]:
    """Return by which codes one joins, and whom others add by an id."""
    methods: tuple[str, ...] = JOIN_METHODS[:1]
    add_by_id = AddById.ANYBODY
    table = top.section("joining", default=None)
    if table is None:
        return methods, add_by_id
    if table.has("methods"):
        methods = table.names("methods", known=JOIN_METHODS) or ()
    said = table.take("add_by_id", str, default=add_by_id.value)
    if said in [*AddById]:
        add_by_id = AddById(said)
    else:
        table.refuse(f"{said!r} is unknown{meant(said, [*AddById])}: use {', '.join(AddById)}", "add_by_id")
    table.finish()
    return methods, add_by_id


def _positive(top: Table, key: str, defaults: Mapping[str, int], *, most: int | None = None) -> dict[str, int]:
    """Return the numbers of an optional table; each is at least 1 and at most ``most``."""
    table = top.section(key, default=None)
    if table is None:
        return dict(defaults)
    found = {}
    for name, default in defaults.items():
        found[name] = table.take(name, int, default=default)
        if found[name] < 1:
            table.refuse("must be at least 1", name)
        if most is not None and found[name] > most:
            table.refuse(f"must be at most {most:,}", name)
    table.finish()
    return found


def _switches(top: Table, key: str, names: Sequence[str]) -> dict[str, bool]:
    """Return the switches of an optional table; off unless they are on."""
    table = top.section(key, default=None)
    if table is None:
        return dict.fromkeys(names, False)
    found = {name: table.take(name, bool, default=False) for name in names}
    table.finish()
    return found


def _subject_types(top: Table) -> tuple[str, ...]:
    """Return the subject types of AuthZEN, which nothing uses yet."""
    table = top.section("authzen", default=None)
    if table is None:
        return ("user",)
    found = table.names("subject_types")
    for name in found or ():
        check_name(table, "subject_types", name)
    if found == ():
        table.refuse("must name a subject type", "subject_types")
    table.finish()
    return found or ()
