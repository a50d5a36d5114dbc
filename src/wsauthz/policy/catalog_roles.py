"""The roles of catalog.toml, and what the server does with them by itself: defaults and ownership."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, get_args

from wsauthz.model import texts
from wsauthz.model.places import PlaceKind
from wsauthz.policy.catalog import Role
from wsauthz.policy.problems import meant
from wsauthz.policy.terms import EVERYONE
from wsauthz.policy.toml_reader import Table

ON_ACCOUNT_DELETION: Final = ("delete", "transfer")
PLACE_KINDS: Final[tuple[PlaceKind, ...]] = get_args(PlaceKind)
HIGHEST_RANK: Final = 1_000_000
_FOR_ANYBODY: Final = ("workspace", "organization")
"""The defaults that whoever has a join code gets, without anybody who is asked for it."""

# One case only, so that two names never differ by case alone.
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
_NAME_RULE: Final = "a name is 1 to 64 characters of [a-z0-9_-] and starts with a letter"


def _is_any(_: Role) -> bool:
    return True


def _is_harmless(role: Role) -> bool:
    """Tell whether joining may give the role: a member could, and it makes nobody an owner."""
    return role.assignable and not role.owner_like


def read_roles(top: Table) -> dict[str, Role]:
    """Return the roles, in the order of the file."""
    roles = {}
    for name, table in top.sections("roles").items():
        check_name(top, "roles", name)
        if "role:" + name == EVERYONE:
            table.refuse("is the role of every active user and cannot be declared")
        rank = table.take("rank", int)
        if rank is not None and not 0 < rank <= HIGHEST_RANK:
            table.refuse(f"must be from 1 to {HIGHEST_RANK:,}", "rank")
        places = table.names("places", known=PLACE_KINDS)
        if places == ():
            table.refuse("must name a place", "places")
        roles[name] = Role(
            name=name,
            rank=rank or 0,
            title=read_title(table),
            assignable=table.take("assignable", bool, default=True),
            owner_like=table.take("owner_like", bool, default=False),
            places=frozenset(kind for kind in PLACE_KINDS if kind in (places or ())),
        )
        table.finish()
    return roles


def read_defaults(top: Table, roles: Mapping[str, Role]) -> dict[str, str]:
    """Return the roles the server gives; ``organization`` may be left out where no role is for organizations."""
    given = dict.fromkeys(("workspace", "organization", "creator", "former_owner"), "")
    table = top.section("defaults")
    if table is None:
        return given
    kinds: dict[str, PlaceKind] = {"organization": "organization"}
    for key in given:
        kind = kinds.get(key, "workspace")
        needed = kind == "workspace" or any(kind in role.places for role in roles.values())
        role = table.take(key, str) if needed else table.take(key, str, default="")
        if role:
            check_role(table, key, role, roles, kind, fits=_is_harmless if key in _FOR_ANYBODY else _is_any)
            if key in _FOR_ANYBODY:
                _check_harmless(table, key, role, roles)
        elif role == "" and needed:
            table.refuse("must name a role", key)
        given[key] = role or ""
    table.finish()
    return given


def read_ownership(top: Table, roles: Mapping[str, Role]) -> tuple[str | None, bool, str]:
    """Return the owners' role, whether there may be several, and what becomes of workspaces without an owner."""
    table = top.section("ownership")
    if table is None:
        return None, False, ""
    name = table.take("role", str, default=None)
    multiple = table.take("multiple", bool, default=False)
    on_account_deletion = table.take("on_account_deletion", str)
    if on_account_deletion is not None and on_account_deletion not in ON_ACCOUNT_DELETION:
        table.refuse(f"must be one of {', '.join(ON_ACCOUNT_DELETION)}", "on_account_deletion")
    if name is None and multiple:
        table.refuse("is missing: with several owners there must be a role that makes one", "role")
    if name is not None:
        check_role(table, "role", name, roles, "workspace", fits=_fits_owners(roles, multiple=multiple))
    role = roles.get(name)
    if role is not None:
        _check_owners_role(table, role, roles, multiple=multiple)
    table.finish()
    return name, multiple, on_account_deletion or ""


def _fits_owners(roles: Mapping[str, Role], *, multiple: bool) -> Callable[[Role], bool]:
    """Return what tells whether a role could be the owners'."""
    ranks = Counter(role.rank for role in roles.values() if role.places - {"platform"})
    highest = max(ranks, default=0)
    return lambda role: (
        role.rank == highest
        and ranks[highest] == 1
        and role.assignable == multiple
        and (role.owner_like or not multiple)
    )


def _check_owners_role(table: Table, role: Role, roles: Mapping[str, Role], *, multiple: bool) -> None:
    # Roles of the platform alone are compared with nobody inside a workspace.
    for other in roles.values():
        if other is not role and other.places - {"platform"} and other.rank >= role.rank:
            table.refuse(f"must rank above every other role; {other.name!r} has rank {other.rank}", "role")
    if multiple and not role.assignable:
        table.refuse("must be assignable when there may be several owners", "role")
    if multiple and not role.owner_like:
        table.refuse("must be owner_like when there may be several owners", "role")
    if not multiple and role.assignable:
        table.refuse("must have assignable = false when there is one owner: others could be given it", "role")


def read_title(table: Table) -> str:
    """Return the title, which must be there."""
    return table.line("title", texts.NAME_MOST)


def check_name(table: Table, key: str | None, name: str) -> None:
    """Note a name with characters that a name may not have."""
    if not _NAME.match(name):
        table.refuse(f"{name!r} is no name: {_NAME_RULE}", key)


def check_role(
    table: Table,
    key: str,
    name: str | None,
    roles: Mapping[str, Role],
    kind: PlaceKind,
    *,
    fits: Callable[[Role], bool] = _is_any,
) -> None:
    """Note a role that is unknown, or not for this kind of place; what was meant is a role that fits."""
    if name is None:
        return
    role = roles.get(name)
    if role is None:
        fitting = [other.name for other in roles.values() if kind in other.places and fits(other)]
        table.refuse(f"{name!r} is not a role{meant(name, fitting)}", key)
    elif kind not in role.places:
        table.refuse(f"the places of the role {name!r} are {_listed(role.places)}, not {kind}", key)


def _check_harmless(table: Table, key: str, name: str, roles: Mapping[str, Role]) -> None:
    """Note a role that nobody may be given by a member, or that makes an owner: joining by code would give it."""
    role = roles.get(name)
    if role is not None and not role.assignable:
        table.refuse(f"the role {name!r} is not assignable, so it cannot be what joining gives", key)
    if role is not None and role.owner_like:
        table.refuse(f"the role {name!r} is owner_like, so it cannot be what joining gives", key)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
