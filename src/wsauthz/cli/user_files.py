"""Users in JSON Lines or CSV, read one by one: a line that is wrong is reported, and the others are still read."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wsauthz.cli.failures import Failed
from wsauthz.policy.problems import Mistake, meant
from wsauthz.v1 import users_pb2 as pb

_LARGEST: Final = 2**63 - 1
_KINDS: Final = {"human": pb.USER_KIND_HUMAN, "service": pb.USER_KIND_SERVICE}
_SWITCHES: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_ID: Final = "user_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One user of a file; ``event`` None: the line is wrong, and ``problem`` says why."""

    number: int
    event: pb.UserEvent | None = None
    problem: str = ""


def read_users(text: str, file: str) -> Iterator[Line]:
    """Yield the users of a text, which is JSON Lines if it begins with ``{``, and otherwise CSV.

    Raises:
        Failed: it is CSV whose header is wrong, or that is cut off within a cell.

    """
    if text.lstrip().startswith("{"):
        yield from _json_lines(text)
    else:
        yield from _csv(text, file)


def _json_lines(text: str) -> Iterator[Line]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield Line(number=number, event=_event(json.loads(line, object_pairs_hook=_object)))
        except (Mistake, ValueError, RecursionError) as wrong:
            yield Line(number=number, problem=str(wrong))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Mistake("a key is there twice")
    return found


def _csv(text: str, file: str) -> Iterator[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(header, file)
        for cells in reader:
            if not cells:
                continue
            try:
                yield Line(number=reader.line_num, event=_event(dict(zip(header, cells, strict=True))))
            except ValueError:
                yield Line(number=reader.line_num, problem=f"has {len(cells)} cells, the header has {len(header)}")
            except Mistake as wrong:
                yield Line(number=reader.line_num, problem=str(wrong))
    except csv.Error as error:
        raise Failed(f"{file}:{reader.line_num}: is not CSV: {error}") from None


def _check_header(header: list[str], file: str) -> None:
    for name in header:
        if name not in _FIELDS:
            raise Failed(f"{file}:1: {name!r} is not a field of a user{meant(name, _FIELDS)}; there are {_LISTED}")
    if len({_FIELDS[name][0] for name in header}) < len(header):
        raise Failed(f"{file}:1: a field is there twice")
    if _ID not in {_FIELDS[name][0] for name in header}:
        raise Failed(f"{file}:1: the column {_ID} is missing")


def _event(values: Any) -> pb.UserEvent:
    """Return the fields as an event; null, and an empty cell, leave a field as it is unless it is a text."""
    if not isinstance(values, Mapping):
        raise Mistake("must be an object")
    given: dict[str, Any] = {}
    for key, value in values.items():
        if key not in _FIELDS:
            raise Mistake(f"{key!r} is not a field of a user{meant(key, _FIELDS)}")
        name, convert = _FIELDS[key]
        if name in given:
            raise Mistake(f"{name} is there twice")
        try:
            given[name] = convert(value)
        except Mistake as wrong:
            raise Mistake(f"{key}: {wrong}") from None
    if not given.get(_ID):
        raise Mistake(f"{_ID} is missing")
    return pb.UserEvent(**given)


def _identifier(value: Any) -> str:
    """Return an id; applications often have numbers."""
    return str(value) if type(value) is int else _text(value).strip()


def _text(value: Any) -> str:
    """Return a text; null is the empty one, as databases have it in a column."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Mistake("must be a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Mistake("must not hold half a character") from None
    return value


def _switch(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and not value.strip():
        return None
    found = _SWITCHES.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise Mistake("must be true or false")
    return found


def _kind(value: Any) -> int:
    if value is None or value == "":
        return pb.USER_KIND_UNSPECIFIED
    if not isinstance(value, str) or value not in _KINDS:
        raise Mistake(f"must be one of {', '.join(_KINDS)}")
    return _KINDS[value]


def _number(value: Any) -> int | None:
    if value is None or value == "":
        return None
    text = str(value)
    if isinstance(value, bool | float) or not (text.isascii() and text.isdigit()) or int(text) > _LARGEST:
        raise Mistake("must be a whole number from 0")
    return int(text)


_FIELDS: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "user_id": (_ID, _identifier),
    "id": (_ID, _identifier),
    "kind": ("kind", _kind),
    "is_active": ("is_active", _switch),
    "email": ("email", _text),
    "email_verified": ("email_verified", _switch),
    "name": ("name", _text),
    "image_url": ("image_url", _text),
    "source_version": ("source_version", _number),
}
"""Key or column -> the field of an event, and how it is read."""
_LISTED: Final = ", ".join(_FIELDS)
