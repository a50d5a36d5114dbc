"""What a membership may say: a role of the catalog for this kind of place, known permissions and modules, an expiry."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from wsauthz.model.errors import InvalidArgument, UnknownPermission, UnknownRole
from wsauthz.model.memberships import Membership
from wsauthz.model.spelling import meant
from wsauthz.policy.catalog import Catalog
from wsauthz.tenancy import modules


def check_new(
    catalog: Catalog, now: datetime, kind: str, values: Mapping[str, Any], *, expiry: str = "expires_at"
) -> dict[str, Any]:
    """Return role, permissions, modules and expires_at of a new membership in a kind of place.

    ``expiry`` is the name of the field that says when it expires, for complaints.

    Raises:
        UnknownRole: the catalog lacks the role, does not assign it, or does not give it in this kind of place.
        UnknownPermission, UnknownModule: the catalog lacks one. InvalidArgument: the expiry is past, something is named
        twice, or an owner-like role is limited in time or modules.

    """
    unset = {"role": "", "permissions": (), "modules": None, "expires_at": None}
    return _check(catalog, now, kind, {**unset, **values}, expiry)


def check_changes(
    catalog: Catalog, now: datetime, kind: str, old: Membership, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return those of the fields that get other values; what a membership says already it may go on saying.

    Raises:
        The same as ``check_new``.

    """
    different = {name: each for name, each in values.items() if each != getattr(old, name)}
    checked = _check(catalog, now, kind, different, "expires_at")
    new = replace(old, **checked)
    if checked:
        _check_owner_like(catalog, new.role, new.modules, new.expires_at, "expires_at")
    return {name: each for name, each in checked.items() if each != getattr(old, name)}


def _check(catalog: Catalog, now: datetime, kind: str, values: Mapping[str, Any], expiry: str) -> dict[str, Any]:
    checked = dict(values)
    if "role" in values:
        checked["role"] = _check_role(catalog, values["role"], kind)
    if "permissions" in values:
        checked["permissions"] = _check_permissions(catalog, values["permissions"])
    if values.get("modules") is not None:
        checked["modules"] = modules.check_known(catalog, values["modules"])
    expires_at = values.get("expires_at")
    if expires_at is not None and expires_at <= now:
        raise InvalidArgument(expiry, "must be in the future")
    _check_owner_like(catalog, checked.get("role", ""), checked.get("modules"), expires_at, expiry)
    return checked


def _check_role(catalog: Catalog, role: str, kind: str) -> str:
    if not role:
        return catalog.default_role(kind)
    found = catalog.roles.get(role)
    if found is None or not found.assignable or kind not in found.places:
        assignable = (other.name for other in catalog.roles.values() if other.assignable and kind in other.places)
        raise UnknownRole(role, kind, meant=meant(role, assignable))
    return role


def _check_permissions(catalog: Catalog, permissions: Sequence[str]) -> tuple[str, ...]:
    for permission in permissions:
        if permission not in catalog.permissions:
            raise UnknownPermission(permission, meant=meant(permission, catalog.permissions))
    if len(set(permissions)) < len(permissions):
        raise InvalidArgument("permissions", "must not name a permission twice")
    return tuple(permissions)


def _check_owner_like(
    catalog: Catalog, role: str, module_list: tuple[str, ...] | None, expires_at: datetime | None, expiry: str
) -> None:
    """Refuse an owner for a while, or for some modules only."""
    found = catalog.roles.get(role)
    if found is None or not found.owner_like:
        return
    if module_list is not None:
        raise InvalidArgument("modules", f"must be unset for the role {role!r}")
    if expires_at is not None:
        raise InvalidArgument(expiry, f"must be unset for the role {role!r}")
