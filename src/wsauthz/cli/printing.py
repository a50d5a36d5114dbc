"""Answers for people: in colour on a terminal, and the same words without it everywhere else."""

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.json_format import MessageToJson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wsauthz.v1 import authorization_pb2 as pb

_LABEL = 12


def console() -> Console:
    """Return standard output; asked for anew by each command, because tests replace it."""
    return Console(highlight=False, markup=False, emoji=False)


def as_json(message: Any, *, on_one_line: bool = False) -> None:
    """Print a message as JSON, with every field that has a value, by the names of the proto, sorted."""
    indent = None if on_one_line else 2
    print(MessageToJson(message, preserving_proto_field_name=True, sort_keys=True, indent=indent), flush=on_one_line)


def decision(out: Console, answer: pb.CheckResponse) -> None:
    """Print ALLOW or DENY, and why, and what would fix it."""
    allowed = answer.decision == pb.DECISION_ALLOW
    out.print(Text("ALLOW" if allowed else "DENY", "bold green" if allowed else "bold red"))
    if answer.HasField("valid_until"):
        field(out, "until", answer.valid_until.ToJsonString())
    if not allowed:
        _denial(out, answer.denial)
    for warning in answer.warnings:
        field(out, "warning", warning, "yellow")


def trace(out: Console, found: pb.Trace) -> None:
    """Print which roles count, where they come from, and which rules matched."""
    ways: dict[tuple[str, ...], list[str]] = {}
    for held in found.roles:
        ways.setdefault((place(held.held_in), held.source, held.from_role, _modules(held)), []).append(held.role)
    rules = [(rule.effect, f"line {rule.line}", rule.role, rule.rule) for rule in found.rules]
    if ways:
        out.print()
        roles = [(*way, ", ".join(sorted(names, key=_roles_first))) for way, names in ways.items()]
        table(out, ("HELD IN", "HOW", "FROM", "MODULES", "COUNTS HERE"), roles)
    if rules:
        out.print()
        table(out, ("EFFECT", "POLICY.CSV", "BY ROLE", "RULE"), rules)


def field(out: Console, label: str, text: str, style: str = "") -> None:
    """Print one labelled line, if there is a text."""
    if text:
        out.print(Text.assemble((f"  {label:<{_LABEL}} ", "dim"), (text, style)), soft_wrap=True)


def table(out: Console, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns; on a terminal they wrap, elsewhere each row is one line."""
    found = [tuple(row) for row in rows]
    if out.is_terminal:
        grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for head in heads:
            grid.add_column(head, overflow="fold")
        for row in found:
            grid.add_row(*(Text(cell) for cell in row))
        out.print(grid)
        return
    widths = [max(map(len, column)) for column in zip(heads, *found, strict=True)]
    for row in (tuple(heads), *found):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def place(found: Any) -> str:
    """Return a place as the commands take it."""
    kind = found.WhichOneof("kind")
    if kind is None:
        return ""
    return "platform" if kind == "platform" else f"{kind.removesuffix('_id')}:{getattr(found, kind)}"


def _denial(out: Console, denial: pb.Denial) -> None:
    fix = denial.remedy
    field(out, "reason", denial.reason, "bold")
    field(out, "also", ", ".join(denial.reasons[1:]))
    field(out, "message", denial.message)
    field(out, "http status", str(denial.http_status))
    field(out, "redirect", denial.redirect_to)
    field(out, "blocked by", place(denial.blocked_by))
    field(out, "remedy", fix.message, "cyan")
    field(out, "by", f"{fix.method} in {place(fix.place)}" if fix.method and fix.HasField("place") else fix.method)
    field(out, "who can", ", ".join(fix.user_ids))


def _roles_first(name: str) -> tuple[bool, str]:
    return name.startswith("perm:"), name


def _modules(held: pb.HeldRole) -> str:
    if not held.HasField("modules"):
        return "all"
    return ", ".join(held.modules.modules) or "none"
