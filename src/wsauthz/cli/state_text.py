"""State files as text: YAML with one record a line, or JSON Lines."""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TextIO

import yaml

from wsauthz.cli.failures import Failed
from wsauthz.policy.state_file import NOTE, PLURALS

_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_KEYS: Final = {kind: key for key, kind in PLURALS.items()}
_UNBROKEN: Final = 1 << 30


class Form(StrEnum):
    """How a state file is written."""

    YAML = "yaml"
    JSONL = "jsonl"


_SUFFIXES: Final = {".yaml": Form.YAML, ".yml": Form.YAML, ".jsonl": Form.JSONL, ".ndjson": Form.JSONL}


def state_form(file: str) -> Form:
    """Return the form that the name of a file stands for.

    Raises:
        Failed: it stands for none.

    """
    form = _SUFFIXES.get(Path(file).suffix.lower())
    if form is None:
        raise Failed(f"{file}: say --format yaml or --format jsonl, or use a name that ends so")
    return form


class _Quoted(str):
    """A text that YAML has in quotes, so that it never stands for a number."""

    __slots__ = ()


def _represent_quoted(dumper: Any, text: _Quoted) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"')


class _Dumper(_DUMPER):  # type: ignore[misc,valid-type]
    """Writes records."""


_Dumper.add_representer(_Quoted, _represent_quoted)


def write_state(
    output: TextIO, form: Form, records: Iterable[tuple[str, Mapping[str, Any]]], notes: Iterable[str] = ()
) -> int:
    """Write records, those of a kind together, and return how many there were; notes for people come first."""
    for note in notes:
        print(f"# {note}" if form is Form.YAML else json.dumps({"kind": NOTE, "text": note}), file=output)
    count = 0
    current = ""
    for kind, values in records:
        count += 1
        if form is Form.JSONL:
            output.write(json.dumps({"kind": kind, **values}, ensure_ascii=False) + "\n")
            continue
        if kind != current:
            output.write(f"{_KEYS[kind]}:\n")
            current = kind
        quoted = {key: _quoted(value) if key == "module_settings" else value for key, value in values.items()}
        record = yaml.dump(
            quoted, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, sort_keys=False, width=_UNBROKEN
        )
        output.write(f"  - {record}")
    return count


def _quoted(value: Any) -> Any:
    """Return what JSON can hold with every text in it quoted."""
    if isinstance(value, str):
        return _Quoted(value)
    if isinstance(value, Mapping):
        return {key: _quoted(entry) for key, entry in value.items()}
    return [_quoted(entry) for entry in value] if isinstance(value, list) else value


@contextmanager
def replaced(path: Path) -> Iterator[TextIO]:
    """Give a text file that takes the place of ``path`` when the block ends well; only its owner may read it."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        error.filename = path  # not the one that nobody named
        raise
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as output:
            yield output
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
