"""The files in a bundle's directory, read together: never some from before a change and some from after it."""

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from wsauthz.policy import catalog_reader, model_conf, rules_reader, scenario_reader
from wsauthz.policy.problems import BundleRefused, Problem
from wsauthz.policy.sizes import MOST_BYTES

MODEL: Final = model_conf.FILE
TESTS: Final = scenario_reader.FILE
ROUTES: Final = "routes.yaml"
FILES: Final = (catalog_reader.FILE, rules_reader.FILE, TESTS, ROUTES)
"""What makes a bundle. A model.conf may lie in its directory or beside it; it says nothing that is not built in."""

_POLICY_SUFFIXES: Final = frozenset({".conf", ".csv", ".toml", ".yaml", ".yml"})
_ATTEMPTS: Final = 5
_LASTING: Final = (FileNotFoundError, NotADirectoryError, PermissionError)
"""Errors that end only with a change of the files; others, such as too many open files, end by themselves."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Distinguishes the present files of a bundle, and the model beside it, from earlier and later ones."""

    files: tuple[tuple[Any, ...], ...]
    folders: frozenset[Path]
    """The directories that the files really lie in, links followed."""

    def is_swapped(self, earlier: "Fingerprint") -> bool:
        """Tell whether every file has come from another directory since: a link was moved, which is one step."""
        return bool(self.folders and earlier.folders) and self.folders.isdisjoint(earlier.folders)


def fingerprint(directory: Path) -> Fingerprint:
    """Return the fingerprint of the files, without reading them; empty without a directory."""
    paths = _paths(directory)
    return Fingerprint(
        files=tuple(_state(path) for path in (directory, directory.absolute().parent / MODEL, *paths)),
        folders=frozenset(Path(os.path.realpath(path)).parent for path in paths),
    )


def read_files(directory: Path) -> tuple[dict[str, str], list[Problem]]:
    """Return the files of a bundle by name, a model inside included, all as they were at one moment; and what is wrong.

    Raises:
        BundleRefused: they changed whenever they were read, or the system could not read them just now.

    """
    for _ in range(_ATTEMPTS):
        before = fingerprint(directory)
        try:
            files, problems = _read(directory)
        except OSError as error:
            problem = Problem(file=directory.name, line=0, text=f"cannot be read: {error.strerror}")
            raise BundleRefused([problem], may_pass=True) from None
        if fingerprint(directory) == before:
            return files, problems
    problem = Problem(file=directory.name, line=0, text="its files changed while they were read")
    raise BundleRefused([problem], may_pass=True)


def _read(directory: Path) -> tuple[dict[str, str], list[Problem]]:
    files: dict[str, str] = {}
    problems: list[Problem] = []
    try:
        paths = sorted(directory.iterdir())
    except _LASTING as error:
        return files, [Problem(file=directory.name, line=0, text=f"cannot be read: {error.strerror}")]
    for path in paths:
        if not _is_policy(path):
            continue
        if path.name not in {MODEL, *FILES}:
            problems.append(Problem(file=path.name, line=0, text="is not a file of a policy bundle"))
        else:
            _read_file(path, files, problems)
    problems += _problems_beside(directory.absolute().parent / MODEL)
    return files, problems


def _problems_beside(model: Path) -> list[Problem]:
    """Return what is wrong with the model beside the directory, if there is one."""
    files: dict[str, str] = {}
    problems: list[Problem] = []
    if model.is_file():
        _read_file(model, files, problems)
    problems += [problem for text in files.values() for problem in model_conf.check_model(text)]
    return [replace(problem, file=f"../{problem.file}") for problem in problems]


def _read_file(path: Path, files: dict[str, str], problems: list[Problem]) -> None:
    if not path.is_file():
        problems.append(Problem(file=path.name, line=0, text="is not a file"))
        return
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        files[path.name] = content.decode("utf-8")
    except _LASTING as error:
        problems.append(Problem(file=path.name, line=0, text=f"cannot be read: {error.strerror}"))
    except UnicodeDecodeError:
        problems.append(Problem(file=path.name, line=0, text="is not UTF-8"))


def _paths(directory: Path) -> list[Path]:
    """Return the files of the bundle, in order; none if the directory cannot be listed."""
    try:
        return sorted(path for path in directory.iterdir() if _is_policy(path))
    except OSError:
        return []


def _is_policy(path: Path) -> bool:
    """Tell whether the file is meant for a bundle: not a note, nor what editors and mounted volumes leave behind."""
    return not path.name.startswith(".") and path.suffix in _POLICY_SUFFIXES


def _state(path: Path) -> tuple[Any, ...]:
    try:
        found = path.stat()
    except OSError:
        return (path.name,)
    times = () if stat.S_ISDIR(found.st_mode) else (found.st_mtime_ns, found.st_ctime_ns, found.st_size)
    return (path.name, found.st_dev, found.st_ino, *times)
