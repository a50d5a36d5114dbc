"""State files (formats.md C): who is where, as YAML or JSON Lines, read strictly into records without a database."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from wsauthz.model.memberships import Terms, brings, joint_terms
from wsauthz.model.subscriptions import SubscriptionStatus
from wsauthz.model.workspaces import CHILD_WORKSPACES
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.facts import Facts
from wsauthz.policy.nodes import Node, read_json, read_yaml
from wsauthz.policy.problems import Mistake, Problem, StateRefused, meant
from wsauthz.policy.state_fields import FIELDS, LATER

Format = Literal["yaml", "jsonl"]

PLURALS: Final[Mapping[str, str]] = {kind + "s": kind for kind in (*FIELDS, *sorted(LATER))}
"""Key of a YAML file -> kind of its records."""
NOTE: Final = "note"
"""The kind of a line of JSON Lines that is for people, as comments of YAML are; its key is ``text``."""
_HELD_IN: Final = {
    "membership": ({"workspace", "organization", "platform"}, "workspace, organization and platform: true"),
    "removal": ({"workspace", "organization"}, "workspace and organization"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record: the fields that the file gives, by their names in the noun, with the noun's types.

    ``settings`` stays a mapping of those parts that are given; a workspace may also have what is kept beside it. A
    membership or removal always has ``workspace_id`` and ``organization_id``, both None at the platform.
    """

    kind: str
    line: int
    given: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A whole state file."""

    file: str
    records: Mapping[str, tuple[Record, ...]]
    """Kind -> its records in the order of the file; every kind is there."""

    def apply_to(self, facts: Facts, catalog: Catalog, now: float) -> None:
        """Load the state into facts; what a record leaves out is as in a new workspace, membership or user.

        Members of workspaces are made members of the organizations above, as by an import at ``now`` (Unix seconds).
        ``state_check.check`` must have found the state complete.
        """
        for kind, values in self._changes(catalog, datetime.fromtimestamp(now, UTC)):
            facts.apply(kind, values)

    def _changes(self, catalog: Catalog, now: datetime) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield what :meth:`Facts.apply` takes, places before what is in them and parents before children."""
        for record in self.records["organization"]:
            yield "organization", {"id": record.given["id"], "is_suspended": record.given.get("is_suspended", False)}
        for record in by_depth(self.records["workspace"])[0]:
            yield "workspace", _workspace(record.given, catalog)
        for record in self.records["subscription"]:
            status = record.given.get("status", SubscriptionStatus.ACTIVE)
            workspace, plan = record.given["workspace_id"], record.given["plan"]
            yield "subscription", {"workspace_id": workspace, "plan": plan, "status": int(status)}
        for record in self.records["user"]:
            yield "user", {"id": record.given["id"], "is_active": record.given.get("is_active", True)}
        for record in self.records["membership"]:
            yield "membership", _membership(record.given)
        yield from self._brought(catalog, now)

    def _brought(self, catalog: Catalog, now: datetime) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the memberships of organizations that the file does not list, and that those of workspaces bring."""
        above: dict[str | None, str | None] = {None: None}
        for record in by_depth(self.records["workspace"])[0]:
            given = record.given
            above[given["id"]] = given.get("organization_id") or above[given.get("parent_workspace_id")]
        held = {(record.given["organization_id"], record.given["user_id"]) for record in self.records["membership"]}
        bringing: dict[tuple[str, str], list[Terms]] = {}
        for record in self.records["membership"]:
            given = record.given
            organization, terms = above[given["workspace_id"]], Terms(given.get("modules"), given.get("expires_at"))
            does_bring = brings(now, is_active=given.get("is_active", True), expires_at=terms.expires_at)
            if organization is not None and does_bring and (organization, given["user_id"]) not in held:
                bringing.setdefault((organization, given["user_id"]), []).append(terms)
        for (organization, user), found in bringing.items():
            said = {"workspace_id": None, "organization_id": organization, "user_id": user}
            role = catalog.default_organization_role
            yield "membership", _membership({**said, "role": role, **joint_terms(found)._asdict()})


def read_state(text: str, form: Format, *, file: str = "state") -> State:
    """Return the records of a state file; ``file`` is its name in problems.

    Raises:
        StateRefused: with every unknown key, wrong value and other mistake that needs no catalog to see.

    """
    problems: list[Problem] = []
    if form == "yaml":
        node, problems = read_yaml(file, text)
        found = [] if node is None else list(records_of(node, file, problems))
    else:
        found = list(read_lines(text.split("\n"), problems, file=file))
    if problems:
        raise StateRefused(sorted(problems))
    return state_of(found, file)


def state_of(records: Iterable[Record], file: str) -> State:
    """Return the state that these records make."""
    by_kind: dict[str, list[Record]] = {kind: [] for kind in FIELDS}
    for record in records:
        by_kind[record.kind].append(record)
    return State(file=file, records={kind: tuple(found) for kind, found in by_kind.items()})


def read_lines(lines: Iterable[str], problems: list[Problem], *, file: str = "state") -> Iterator[Record]:
    """Yield the records of JSON Lines one by one, however many there are; mistakes are added to the problems."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        node, found = read_json(file, number, line)
        problems.extend(found)
        if node is None:
            continue
        if not isinstance(node.value, dict):
            problems.append(Problem(file=file, line=number, text="must be an object"))
            continue
        named = node.value.pop("kind", Node(number, None)).value
        if named == NOTE and node.value.keys() == {"text"}:
            continue
        kind = named if isinstance(named, str) else ""
        if problem := _unknown_kind(kind, f"the kind {named!r}", kind, FIELDS):
            problems.append(Problem(file=file, line=number, text=problem))
        else:
            record = _record(named, node, file, problems)
            if record is not None:
                yield record


def records_of(node: Node, file: str, problems: list[Problem]) -> Iterator[Record]:
    """Yield the records in a YAML mapping of lists; mistakes are added to the problems."""
    if node.value is None:
        return
    if not isinstance(node.value, dict):
        problems.append(Problem(file=file, line=node.line, text=f"must be a mapping of {', '.join(_lists())}"))
        return
    for key, entries in node.value.items():
        kind = PLURALS.get(key, "")
        if problem := _unknown_kind(kind, repr(key), key, [name for name in _lists() if name not in node.value]):
            problems.append(Problem(file=file, line=entries.line, text=problem))
            continue
        if not isinstance(entries.value, list):
            problems.append(Problem(file=file, line=entries.line, text=f"{key}: must be a list"))
            continue
        for entry in entries.value:
            record = _record(kind, entry, file, problems)
            if record is not None:
                yield record


def _lists() -> list[str]:
    """Return the names of the lists in a YAML mapping."""
    return [f"{kind}s" for kind in FIELDS]


def _unknown_kind(kind: str, shown: str, word: str, known: Iterable[str]) -> str:
    """Return what is wrong with a kind of record, of which the known ones could be written there; empty: nothing."""
    if kind in FIELDS:
        return ""
    if kind in LATER:
        return f"{shown} is not supported by this version"
    return f"{shown} is unknown" + (meant(word, known) or f": use {', '.join(known)}")


def _record(kind: str, node: Node, file: str, problems: list[Problem]) -> Record | None:
    """Return the record, None after a problem was noted."""
    fields = FIELDS[kind]
    mistakes: list[tuple[int, str]] = []
    given: dict[str, Any] = {}
    items = node.value if isinstance(node.value, dict) else None
    if items is None:
        mistakes.append((node.line, "must be a mapping"))
    for key, value in (items or {}).items():
        field = fields.get(key)
        if field is None:
            absent = [name for name in fields if name not in node.value]
            mistakes.append((value.line, f"{key!r} is not a key here{meant(key, absent)}"))
            continue
        try:
            given[field.name] = field.read(value)
        except Mistake as mistake:
            mistakes.append((value.line, f"{key}: {mistake}"))
    if items is not None:
        missing = [key for key, field in fields.items() if field.is_required and key not in items]
        mistakes.extend((node.line, f"{key} is missing") for key in missing)
        if kind in _HELD_IN:
            places, text = _HELD_IN[kind]
            if len(places & items.keys()) != 1:
                mistakes.append((node.line, f"needs one of {text}"))
            given.pop("platform", None)
            given = {"workspace_id": None, "organization_id": None, **given}
    problems.extend(Problem(file=file, line=line, text=f"{kind}: {text}") for line, text in mistakes)
    return None if mistakes else Record(kind=kind, line=node.line, given=given)


def by_depth(workspaces: Iterable[Record]) -> tuple[list[Record], list[Record]]:
    """Return the workspaces with parents before children, and those whose parents go round in a circle."""
    waiting: dict[str | None, list[Record]] = {}
    records = list(workspaces)
    ids = {record.given["id"] for record in records}
    ordered = []
    for record in records:
        parent = record.given.get("parent_workspace_id")
        if parent in ids:
            waiting.setdefault(parent, []).append(record)
        else:
            ordered.append(record)
    for record in ordered:  # grows while it is read
        ordered.extend(waiting.pop(record.given["id"], ()))
    return ordered, [record for left in waiting.values() for record in left]


def _workspace(given: Mapping[str, Any], catalog: Catalog) -> Mapping[str, Any]:
    features = given.get("settings", {}).get("features", {})
    return {
        "id": given["id"],
        "organization_id": given.get("organization_id"),
        "parent_workspace_id": given.get("parent_workspace_id"),
        "owner_user_id": given.get("owner_user_id"),
        "is_active": given.get("is_active", True),
        "is_suspended": given.get("is_suspended", False),
        "modules": given.get("modules", tuple(catalog.modules)),
        "child_workspaces": features.get(CHILD_WORKSPACES),
    }


def _membership(given: Mapping[str, Any]) -> Mapping[str, Any]:
    expires_at = given.get("expires_at")
    return {
        "workspace_id": given["workspace_id"],
        "organization_id": given["organization_id"],
        "user_id": given["user_id"],
        "role": given["role"],
        "permissions": given.get("permissions", ()),
        "modules": given.get("modules"),
        "is_active": given.get("is_active", True),
        "expires_at": None if expires_at is None else expires_at.timestamp(),
    }
