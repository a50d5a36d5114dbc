"""The bundle in force: reloaded from its directory, the last good one kept whatever happens to the files."""

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from wsauthz.policy.bundle import Bundle, BundleRefused, build_bundle, read_bundle, read_with
from wsauthz.policy.bundle_directory import TESTS
from wsauthz.policy.catalog import CoreVocabulary
from wsauthz.policy.judging import Verdict, judge
from wsauthz.policy.problems import Problem
from wsauthz.policy.scenarios import has_tests, refuse_failing

CarryOn = Callable[[], None]
"""To be called every few milliseconds of long work; it raises when nobody waits for the work any more."""


def _for_ever() -> None:
    """Let the work end when it is done."""


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

    def read(self, carry_on: CarryOn = _for_ever) -> Reload:
        """Read, compile and test the directory; touches nothing, so any thread may call it.

        Raises:
            whatever ``carry_on`` raises, see ``judge``.

        """
        was_tested = self.is_tested

        def build(files: Mapping[str, str]) -> tuple[Bundle, bool]:
            verdict = self._judge(files, carry_on)
            if verdict.version == self.bundle.version:
                return self.bundle, was_tested
            return _compiled(files, self.core), verdict.is_tested

        try:
            bundle, is_tested = read_with(self.directory, build)
        except BundleRefused as refused:
            return Reload(
                bundle=self.bundle,
                is_tested=was_tested,
                changed=False,
                problems=tuple(map(str, refused.problems)),
                may_pass=refused.may_pass,
            )
        return Reload(bundle=bundle, is_tested=is_tested, changed=bundle is not self.bundle, problems=())

    def validate(self, files: Mapping[str, str], carry_on: CarryOn = _for_ever) -> str:
        """Return the version that ``read`` would put in force if these files were the bundle's; others are as in force.

        Raises:
            BundleRefused: it would be refused. And whatever ``carry_on`` raises, see ``judge``.

        """
        return self._judge({**self.bundle.files, **files}, carry_on).version

    def _judge(self, files: Mapping[str, str], carry_on: CarryOn) -> Verdict:
        verdict = judge(files, self.core, carry_on)
        if self.is_tested and not verdict.is_tested:  # a file is lost sooner than wanted
            text = "is missing or holds no test; the bundle in force has tests, and only a restart replaces it so"
            raise BundleRefused([Problem(file=TESTS, line=0, text=text)])
        return verdict

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


def _compiled(files: Mapping[str, str], core: CoreVocabulary) -> Bundle:
    """Return the bundle, compiled without the garbage collector, which would stop every decision to look at the rules.

    Of a large bundle it would take three quarters of the time. Rules hold no cycles, so it is not needed later.
    """
    gc.disable()
    try:
        bundle = build_bundle(files, core)
        gc.freeze()
        return bundle
    finally:
        gc.enable()


def load(directory: Path, core: CoreVocabulary) -> Bundle:
    """Return the bundle of a directory, read, compiled and tested.

    Raises:
        BundleRefused: with every problem, failed expectations of tests.yaml included.

    """
    bundle = read_bundle(directory, core)
    refuse_failing(bundle, time.time())
    return bundle
