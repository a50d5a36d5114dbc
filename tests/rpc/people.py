"""Everybody who could be in a place, as the catalog of a bundle has it.

Every role in every place the catalog gives it, owners, explicit permissions alone, roles limited to modules, switched
off or expired, and roles that flow down from the workspace above.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from tests.oracle.plain_rules import closure
from tests.oracle.plain_state import Policy, read_core, read_policy
from tests.serving import BUNDLES, ROOT

ROOMS: Final = ("organization", "parent", "workspace", "child")
"""The places of a world, from the top down."""
LONG_AGO: Final = "2020-01-01T00:00:00Z"
SOME_DAY: Final = "2100-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One membership."""

    room: str
    role: str
    permissions: tuple[str, ...] = ()
    modules: tuple[str, ...] | None = None
    is_active: bool = True
    expires_at: str = ""
    """When; empty: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who could be in a world; ``owns``: the room whose primary owner it is."""

    seats: tuple[Seat, ...] = ()
    owns: str = ""
    is_active: bool = True
    is_known: bool = True
    """Whether the application has mirrored the user."""

    def seat(self, room: str) -> Seat | None:
        """Return the membership in a room."""
        return next((seat for seat in self.seats if seat.room == room), None)


def kind_of(room: str) -> str:
    """Return what kind of place a room is."""
    return "organization" if room == "organization" else "workspace"


def policy(bundle: str) -> Policy:
    """Read a shipped bundle plainly."""
    directory = BUNDLES / bundle
    core = read_core(ROOT / "proto" / "wsauthz" / "v1" / "vocabulary.proto")
    texts = [(directory / name).read_text("utf-8") for name in ("policy.csv", "catalog.toml")]
    return read_policy(texts[0], texts[1], core)


def assignable(rules: Policy, kind: str) -> list[str]:
    """Return the roles given in a kind of place, the highest first."""
    roles = rules.catalog["roles"]
    found = [name for name, role in roles.items() if role.get("assignable", True) and kind in role["places"]]
    return sorted(found, key=lambda name: (-roles[name]["rank"], name))


def lowest(rules: Policy) -> str:
    """Return the lowest role of a workspace that no rule denies anything."""
    denied = {row.node for row in rules.rules if row.effect == "deny"}
    return [role for role in assignable(rules, "workspace") if not denied & closure(rules, {f"role:{role}"})][-1]


def highest(rules: Policy) -> str:
    """Return the highest role of a workspace that is not owner-like."""
    roles = rules.catalog["roles"]
    return next(role for role in assignable(rules, "workspace") if not roles[role].get("owner_like", False))


# --- who there could be -----------------------------------------------------------------------------------------------


def people(rules: Policy) -> dict[str, Person]:
    """Return everybody, by a name that says what they hold; the rooms stand before the roles."""
    default = rules.catalog["defaults"]["organization"]
    found = {"stranger": Person(), **dict(_holders(rules)), **dict(_owners(rules)), **dict(_limited(rules))}
    return {name: _in_organization(person, default) for name, person in found.items()}


def _in_organization(person: Person, default: str) -> Person:
    """Whoever is in a workspace is in its organization."""
    if not any(seat.room in ROOMS[1:] for seat in person.seats) or person.seat("organization"):
        return person
    return replace(person, seats=(Seat(room="organization", role=default), *person.seats))


def _holders(rules: Policy) -> Iterator[tuple[str, Person]]:
    """Yield every role in every place."""
    for role in assignable(rules, "platform"):
        seat = Seat(room="platform", role=role)
        yield f"platform-{role}", Person(seats=(seat,))
        yield f"platform-{role}-until", Person(seats=(replace(seat, expires_at=SOME_DAY),))
    for role in assignable(rules, "organization"):
        yield f"organization-{role}", Person(seats=(Seat(room="organization", role=role),))
    for role in assignable(rules, "workspace"):
        for room in ROOMS[1:]:
            yield f"{room}-{role}", Person(seats=(Seat(room=room, role=role),))


def _owners(rules: Policy) -> Iterator[tuple[str, Person]]:
    """Yield the primary owners."""
    creator = rules.catalog["defaults"]["creator"]
    for room in ROOMS[1:]:
        yield f"{room}-primary", Person(seats=(Seat(room=room, role=creator),), owns=room)


def _limited(rules: Policy) -> Iterator[tuple[str, Person]]:
    """Yield those who hold something special, or who hold something only in part."""
    low, high = lowest(rules), highest(rules)
    default = rules.catalog["defaults"]["organization"]
    permissions, first = tuple(rules.catalog["permissions"]), (next(iter(rules.catalog["modules"])),)
    here = Seat(room="workspace", role=low)
    for name in permissions:
        yield f"workspace-{low}+{name}", Person(seats=(replace(here, permissions=(name,)),))
        seat = Seat(room="organization", role=default, permissions=(name,))
        yield f"organization-{default}+{name}", Person(seats=(seat,))
        yield f"organization-{default}+{name}-above", Person(seats=(seat, Seat(room="workspace", role=high)))
        yield f"parent-{low}+{name}", Person(seats=(Seat(room="parent", role=low, permissions=(name,)),))
        yield f"workspace-{low}+{name}-first", Person(seats=(replace(here, permissions=(name,), modules=first),))
        yield f"workspace-{low}+{name}-until", Person(seats=(replace(here, permissions=(name,), expires_at=SOME_DAY),))
    yield f"workspace-{low}+all", Person(seats=(replace(here, permissions=permissions),))
    for role in (high, low):
        seat = replace(here, role=role)
        yield f"workspace-{role}-first", Person(seats=(replace(seat, modules=first),))
        yield f"workspace-{role}-none", Person(seats=(replace(seat, modules=()),))
        yield f"workspace-{role}-off", Person(seats=(replace(seat, is_active=False),))
        yield f"workspace-{role}-until", Person(seats=(replace(seat, expires_at=SOME_DAY),))
        yield f"workspace-{role}-late", Person(seats=(replace(seat, expires_at=LONG_AGO),))
    above = Seat(room="parent", role=high)
    yield "unknown-stranger", Person(is_known=False)
    for role in (high, low):
        yield f"workspace-{role}-unknown", Person(seats=(replace(here, role=role),), is_known=False)
        yield (
            f"workspace-{role}-unknown-off",
            Person(seats=(replace(here, role=role, is_active=False),), is_known=False),
        )
    yield f"workspace-{high}-gone", Person(seats=(replace(here, role=high),), is_active=False)
    yield "parent-first-and-low", Person(seats=(replace(above, modules=first), here))
    yield "parent-until", Person(seats=(replace(above, expires_at=SOME_DAY),))
    yield "parent-until-and-low", Person(seats=(replace(above, expires_at=SOME_DAY), here))
    yield (
        "parent-until-and-first",
        Person(seats=(replace(above, expires_at=SOME_DAY), replace(here, role=high, modules=first))),
    )
    yield "parent-and-low", Person(seats=(above, here))
    yield "parent-and-low-off", Person(seats=(above, replace(here, is_active=False)))
    yield "parent-and-low-late", Person(seats=(above, replace(here, expires_at=LONG_AGO)))
    for role in assignable(rules, "organization"):
        if not rules.catalog["roles"][role].get("owner_like", False):
            seat = Seat(room="organization", role=role, modules=first)
            yield f"organization-{role}-first", Person(seats=(seat,))
            seat = Seat(room="organization", role=role, permissions=permissions, expires_at=SOME_DAY)
            yield f"organization-{role}-until", Person(seats=(seat,))


def is_an_owner(rules: Policy, person: Person) -> bool:
    """Tell whether others' standing as owners depends on this one."""
    roles = rules.catalog["roles"]
    return bool(person.owns) or any(roles[seat.role].get("owner_like", False) for seat in person.seats)
