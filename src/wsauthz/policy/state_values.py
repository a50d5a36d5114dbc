"""Values of a state file, read and checked one by one; a wrong one raises a Mistake that says what is wanted."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from wsauthz.model import texts
from wsauthz.model.errors import InvalidArgument
from wsauthz.model.identifiers import is_id, is_user_id
from wsauthz.model.invite_codes import read_invite_code
from wsauthz.policy.nodes import Node
from wsauthz.policy.problems import Mistake, meant

T = TypeVar("T")
Convert = Callable[[Node], Any]
"""Returns what a node says, or raises a Mistake."""

_SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_COLOR: Final = re.compile(r"(#[0-9A-Fa-f]{6})?\Z")
_INVITE_CODE: Final = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")


def identifier(node: Node) -> str:
    """Return the id of a workspace, an organization or an invitation."""
    text = node.text()
    if not is_id(text):
        raise Mistake(f"{text!r} is no id: 1 to 128 characters of [A-Za-z0-9_.@+-], not starting with '-'")
    return text


def user_id(node: Node) -> str:
    """Return the id of a user."""
    text = node.text()
    if not is_user_id(text):
        raise Mistake(f"{text!r} is no user id: 1 to 128 characters of [A-Za-z0-9_.@+|:/=~-], not starting with '-'")
    return text


def switch(node: Node) -> bool:
    """Return true or false."""
    return node.switch()


def number(node: Node) -> int:
    """Return a whole number from 0 to 2**63 - 1."""
    return node.number()


def line(longest: int, *, may_be_blank: bool = True) -> Convert:
    """Return a reader of a text of one line, trimmed."""

    def convert(node: Node) -> str:
        return _as_text(texts.line, "", node.text(), longest, required=not may_be_blank)

    return convert


def text(longest: int) -> Convert:
    """Return a reader of a text, trimmed, that may have several lines."""

    def convert(node: Node) -> str:
        return _as_text(texts.prose, "", node.text(), longest)

    return convert


def workspace_text(name: str) -> Convert:
    """Return a reader of one of the texts of a workspace."""

    def convert(node: Node) -> str:
        return _as_text(texts.workspace_text, name, node.text())

    return convert


def choice(choices: Mapping[str, Any]) -> Convert:
    """Return a reader of one of a few words."""

    def convert(node: Node) -> Any:
        found = node.text()
        if found not in choices:
            raise Mistake(f"{found!r} is not one of {', '.join(choices)}{meant(found, choices)}")
        return choices[found]

    return convert


def names(node: Node) -> tuple[str, ...]:
    """Return a list of different names."""
    found: list[str] = []
    for entry in node.entries():
        name = entry.text()
        if name in found:
            raise Mistake(f"{name!r} is listed twice")
        found.append(name)
    return tuple(found)


def email(node: Node) -> str:
    """Return an email address in the form that is stored."""
    return _as_text(texts.email, node.text())


def _as_text(check: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Return what a check of the module that decides on texts returns, with its complaint as a mistake."""
    try:
        return check(*arguments, **options)
    except InvalidArgument as refused:
        raise Mistake(refused.problem) from None


def moment(node: Node) -> datetime:
    """Return a time in UTC; it must be written with its offset."""
    found = node.text()
    try:
        time = datetime.fromisoformat(found)
    except ValueError:
        raise Mistake(f"{found!r} is no time: write 2030-01-31T12:00:00Z") from None
    if time.tzinfo is None:
        raise Mistake(f"{found!r} lacks its offset from UTC: write {time.isoformat()}Z")
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise Mistake(f"{found!r} is out of range") from None


def by_module(node: Node) -> Mapping[str, Mapping[str, Any]]:
    """Return what each module is set to: objects as JSON has them, by module."""
    found = {}
    for module, value in node.items().items():
        try:
            value.items()
            found[module] = value.json()
        except Mistake as mistake:
            raise Mistake(f"{module}: {mistake}") from None
    return found


def platform(node: Node) -> None:
    """Return None, which is where the platform's members are; only ``true`` says so."""
    if not node.switch():
        raise Mistake("must be true, or be left out")


def settings(node: Node) -> Mapping[str, Any]:
    """Return branding and features, those that are given, as a mapping of mappings."""
    readers = {"branding": _branding, "features": _features}
    return dict(_inside(node, readers))


def _branding(node: Node) -> Mapping[str, str]:
    readers = {"logo": line(texts.URL_MOST), "primary_color": _color}
    return dict(_inside(node, readers))


def _features(node: Node) -> Mapping[str, bool]:
    found = {}
    for name, value in node.items().items():
        try:
            found[name] = value.switch()
        except Mistake as mistake:
            raise Mistake(f"{name}: {mistake}") from None
    return _as_text(texts.features, found)


def _inside(node: Node, readers: Mapping[str, Convert]) -> list[tuple[str, Any]]:
    found = []
    for key, value in node.items().items():
        if key not in readers:
            raise Mistake(
                f"{key!r} is not a key here{meant(key, [name for name in readers if name not in node.items()])}"
            )
        try:
            found.append((key, readers[key](value)))
        except Mistake as mistake:
            raise Mistake(f"{key}: {mistake}") from None
    return found


def slug(node: Node) -> str:
    """Return a slug."""
    found = _matching(node, _SLUG, "a slug: lower-case letters, digits and single '-' between them")
    return _as_text(texts.slug, found)


def invite_code(node: Node) -> str:
    """Return an invite code as it is stored; codes of other systems may have another form than ours."""
    found = _matching(node, _INVITE_CODE, "8 to 64 characters of [A-Za-z0-9_-]")
    return read_invite_code(found) or found


def _color(node: Node) -> str:
    return _matching(node, _COLOR, "a colour such as #0044FF")


def _matching(node: Node, expression: re.Pattern[str], wanted: str) -> str:
    found = node.text()
    if not expression.match(found):
        raise Mistake(f"{found!r} is not {wanted}")
    return found
