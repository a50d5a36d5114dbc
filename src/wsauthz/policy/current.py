"""The bundle in force: reloaded from its directory, the last good one kept whatever happens to the files."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wsauthz.policy.bundle import Bundle, BundleRefused, build_bundle, read_bundle
from wsauthz.policy.bundle_directory import TESTS
from wsauthz.policy.catalog import CoreVocabulary
from wsauthz.policy.problems import Problem
from wsauthz.policy.scenarios import failures, has_tests, prepare_bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """What came of reading the directory again."""

    bundle: Bundle
    """In force from now on: the new one, or the last good one."""
    is_tested: bool
    """It has tests."""
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
        self.is_tested = has_tests(self.bundle)
        self.loaded_at = time.time()
        self.problems: tuple[str, ...] = ()
        self.refused_at: float | None = None

    def read(self) -> Reload:
        """Read, compile and test the directory; touches nothing, so any thread may call it."""
        try:
            bundle = load(self.directory, self.core)
            self._refuse_untested(bundle)
        except BundleRefused as refused:
            return Reload(
                bundle=self.bundle,
                is_tested=self.is_tested,
                changed=False,
                problems=tuple(map(str, refused.problems)),
                may_pass=refused.may_pass,
            )
        changed = bundle.version != self.bundle.version
        return Reload(bundle=bundle, is_tested=has_tests(bundle), changed=changed, problems=())

    def validate(self, files: Mapping[str, str]) -> Bundle:
        """Return the bundle that ``read`` would put in force if these files were the bundle's; others are as in force.

        Raises:
            BundleRefused: it would be refused.

        """
        bundle = build_bundle({**self.bundle.files, **files}, self.core)
        refuse_failing(bundle)
        self._refuse_untested(bundle)
        return bundle

    def _refuse_untested(self, bundle: Bundle) -> None:
        """Return unless a bundle with tests would be replaced by one without: a file is lost sooner than wanted."""
        if self.is_tested and not has_tests(bundle):
            text = "is missing or holds no test; the bundle in force has tests, and only a restart replaces it so"
            raise BundleRefused([Problem(file=TESTS, line=0, text=text)])

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
                self.is_tested = reload.is_tested


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
