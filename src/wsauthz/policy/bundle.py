"""A policy bundle: a directory read strictly and compiled once, or refused with everything that is wrong with it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from wsauthz.policy import catalog_reader, model_conf, rules_reader
from wsauthz.policy.bundle_directory import FILES, MODEL, ROUTES, TESTS, read_files
from wsauthz.policy.catalog import Catalog, CoreVocabulary
from wsauthz.policy.problems import BundleRefused, Problem
from wsauthz.policy.ruleset import Ruleset
from wsauthz.policy.sizes import MOST_BYTES

__all__ = ["Bundle", "BundleRefused", "build_bundle", "read_bundle"]

T = TypeVar("T")

_OPTIONAL: Final = frozenset({TESTS, ROUTES})
_VERSION_LENGTH: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One valid policy: its vocabulary, its compiled rules, and the files they were read from."""

    catalog: Catalog
    rules: Ruleset
    version: str
    """A hash over the name and the bytes of every file, 12 hex digits."""
    files: Mapping[str, str]
    """Without model.conf, which is the same for every bundle."""


def read_bundle(directory: Path, core: CoreVocabulary) -> Bundle:
    """Return the bundle in a directory; does not run tests.yaml.

    Raises:
        BundleRefused: a file is missing, unknown, too large, unreadable or wrong, or see ``read_files``.

    """
    return read_with(directory, lambda files: build_bundle(files, core))


def read_with(directory: Path, build: Callable[[Mapping[str, str]], T]) -> T:
    """Return what ``build`` makes of the files in a directory.

    Raises:
        BundleRefused: by ``build``, or see ``read_bundle``.

    """
    files, problems = read_files(directory)
    try:
        found = build(files)
    except BundleRefused as refused:
        unread = {problem.file for problem in problems}
        problems += [problem for problem in refused.problems if problem.file not in unread]
        raise BundleRefused(sorted(problems), may_pass=refused.may_pass) from None
    if problems:
        raise BundleRefused(sorted(problems))
    return found


def build_bundle(files: Mapping[str, str], core: CoreVocabulary) -> Bundle:
    """Return the bundle that these files make, by their names in :data:`FILES`; a ``model.conf`` must be ours.

    Raises:
        BundleRefused: a file is missing, unknown, too large or wrong.

    """
    problems = [
        Problem(file=name, line=0, text="is missing") for name in FILES if name not in files and name not in _OPTIONAL
    ]
    for name, text in files.items():
        if name not in {MODEL, *FILES}:
            problems.append(Problem(file=name, line=0, text="is not a file of a policy bundle"))
        elif len(text.encode()) > MOST_BYTES:
            problems.append(Problem(file=name, line=0, text=f"has more than {MOST_BYTES:,} bytes"))
    if problems:
        raise BundleRefused(problems)
    problems = model_conf.check_model(files[MODEL]) if MODEL in files else []
    files = {name: text for name, text in files.items() if name != MODEL}
    catalog, found = catalog_reader.read_catalog(files[catalog_reader.FILE], core)
    problems += found
    if catalog is None:  # without a vocabulary every rule would be wrong
        raise BundleRefused(problems)
    table, found = rules_reader.read_rules(files[rules_reader.FILE], catalog)
    problems += found
    if table is None or problems:
        raise BundleRefused(problems)
    return Bundle(catalog=catalog, rules=Ruleset(catalog, table), version=_version(files), files=files)


def _version(files: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(files):
        content = files[name].encode()
        # Lengths keep two different sets of files from being one stream of bytes.
        digest.update(f"{len(name)} {name} {len(content)} ".encode() + content)
    return digest.hexdigest()[:_VERSION_LENGTH]
