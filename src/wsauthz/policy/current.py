"""The bundle in force: reloaded from its directory, the last good one kept whatever happens to the files."""

import time
from dataclasses import dataclass
from pathlib import Path

from wsauthz.policy.bundle import Bundle, BundleRefused, read_bundle
from wsauthz.policy.catalog import CoreVocabulary
from wsauthz.policy.scenarios import failures, prepare_bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """What came of reading the directory again."""

    bundle: Bundle
    """In force from now on: the new one, or the last good one."""
    changed: bool
    problems: tuple[str, ...]
    """Why the files were refused; empty: they are in force."""
    may_pass: bool = False
    """They were refused, and reading the same files again may succeed."""


class CurrentPolicy:
    """A bundle directory and the last good bundle read from it. Times are Unix seconds."""

    def __init__(self, directory: Path, core: CoreVocabulary) -> None:
        """Read the bundle for the first time.

        Raises:
            BundleRefused: without a valid bundle there is nothing to start with.

        """
        self.directory = directory
        self.core = core
        self.bundle = load(directory, core)
        self.loaded_at = time.time()
        self.problems: tuple[str, ...] = ()
        self.refused_at: float | None = None

    def read(self) -> Reload:
        """Read, compile and test the directory; touches nothing, so any thread may call it."""
        try:
            bundle = load(self.directory, self.core)
        except BundleRefused as refused:
            problems = tuple(map(str, refused.problems))
            return Reload(bundle=self.bundle, changed=False, problems=problems, may_pass=refused.may_pass)
        return Reload(bundle=bundle, changed=bundle.version != self.bundle.version, problems=())

    def put(self, reload: Reload) -> None:
        """Put what was read in force, in one step; to be called where decisions are made."""
        self.problems = reload.problems
        if reload.problems:
            self.refused_at = time.time()
        else:
            self.refused_at = None
            self.loaded_at = time.time()
            if reload.changed:
                self.bundle = reload.bundle


def load(directory: Path, core: CoreVocabulary) -> Bundle:
    """Return the bundle of a directory, read, compiled and tested.

    Raises:
        BundleRefused: with every problem, failed expectations of tests.yaml included.

    """
    bundle = read_bundle(directory, core)
    refuse_failing(bundle)
    return bundle


def refuse_failing(bundle: Bundle) -> None:
    """Return if the bundle's own tests pass.

    Raises:
        BundleRefused: with every failed expectation.

    """
    now = time.time()
    if failed := tuple(failures(prepare_bundle(bundle, now), bundle.rules, now)):
        raise BundleRefused(failed)
