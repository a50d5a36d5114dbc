"""Judging a bundle in a process of its own: it costs what it may, and nothing that it costs is felt elsewhere.

Compiling and testing hold the interpreter for as long as the bundle's author likes, and a thread cannot be stopped. The
process is limited by the system, and ends when nobody waits for it.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from subprocess import PIPE
from typing import IO, Any, Final

from wsauthz.policy.bundle import build_bundle
from wsauthz.policy.catalog import CoreVocabulary
from wsauthz.policy.problems import BundleRefused, Problem
from wsauthz.policy.scenarios import has_tests, refuse_failing
from wsauthz.policy.sizes import MOST_PROBLEMS

CPU_SECONDS: Final = 20
WALL_SECONDS: Final = 60.0
MEMORY_BYTES: Final = 512 << 20

_LOOK_SECONDS: Final = 0.05
_MOST_SHOWN: Final = 1_000
"""Characters of one problem, which may repeat a line of a megabyte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a valid bundle is."""

    version: str
    is_tested: bool


def judge(files: Mapping[str, str], core: CoreVocabulary, carry_on: Callable[[], None]) -> Verdict:
    """Return what the bundle that these files make is, compiled and tested; blocks.

    ``carry_on`` is called every few milliseconds, and ends the work if it raises.

    Raises:
        BundleRefused: it is wrong, or needs more time or memory than it may.

    """
    asked = json.dumps({"files": files, "core": core, "cpu_seconds": CPU_SECONDS, "memory": MEMORY_BYTES}).encode()
    # -P: a module that happens to lie in the working directory is not ours.
    command = [sys.executable, "-P", "-m", "wsauthz.policy.judging"]
    try:
        with _file(asked) as file:
            process = subprocess.Popen(command, stdin=file, stdout=PIPE, stderr=PIPE)  # noqa: S603 - our own program
    except OSError as error:
        raise _refusal(f"cannot be judged now: {error.strerror}", may_pass=True) from None
    with process:
        try:
            answer, complaint = _wait(process, carry_on)
        except BaseException:
            process.kill()
            raise
    if -process.returncode == signal.SIGXCPU:
        raise _refusal(f"takes more than {CPU_SECONDS} s of processor time to compile and test")
    if process.returncode < 0:
        raise _refusal(f"could not be judged: the system ended it (signal {-process.returncode})", may_pass=True)
    if process.returncode:
        message = f"judging the bundle failed: {complaint.decode(errors='replace')}"
        raise RuntimeError(message)
    said = json.loads(answer)
    if problems := said.get("problems"):
        raise BundleRefused([Problem(file=file, line=line, text=text) for file, line, text in problems])
    return Verdict(**said)


def _file(content: bytes) -> IO[bytes]:
    """Return an open file with the content: what waits in a pipe would have to be sent while the answer is awaited.

    It is in memory where the system can do that, because a container may have no directory that can be written to.
    """
    is_in_memory = sys.platform == "linux"
    file = os.fdopen(os.memfd_create("bundle"), "w+b") if is_in_memory else tempfile.TemporaryFile()  # noqa: SIM115
    file.write(content)
    file.seek(0)
    return file


def _wait(process: "subprocess.Popen[bytes]", carry_on: Callable[[], None]) -> tuple[bytes, bytes]:
    """Return what the process printed, while ``carry_on`` does not raise."""
    ends_at = time.monotonic() + WALL_SECONDS
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=_LOOK_SECONDS)
        carry_on()
        if time.monotonic() > ends_at:
            raise _refusal(f"could not be judged in {WALL_SECONDS:.0f} s", may_pass=True)


def _refusal(text: str, *, may_pass: bool = False) -> BundleRefused:
    return BundleRefused([Problem(file="the bundle", line=0, text=text)], may_pass=may_pass)


def main() -> None:
    """Judge what standard input holds, in this process, and print the verdict."""
    asked = json.load(sys.stdin.buffer)
    seconds, memory = asked["cpu_seconds"], asked["memory"]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        said = _judged(asked["files"], asked["core"])
    except MemoryError:
        said = None
    if said is None:  # outside of the handler, which holds on to what needed the memory
        text = f"takes more than {memory >> 20} MiB of memory to compile and test"
        said = {"problems": [("the bundle", 0, text)]}
    json.dump(said, sys.stdout)


def _judged(files: Mapping[str, str], core: CoreVocabulary) -> dict[str, Any]:
    try:
        bundle = build_bundle(files, core)
        refuse_failing(bundle, time.time())
    except BundleRefused as refused:
        problems = [(each.file, each.line, each.text[:_MOST_SHOWN]) for each in refused.problems[:MOST_PROBLEMS]]
        if len(refused.problems) > MOST_PROBLEMS:
            problems.append(("the bundle", 0, f"has {len(refused.problems) - MOST_PROBLEMS:,} more problems"))
        return {"problems": problems}
    return {"version": bundle.version, "is_tested": has_tests(bundle)}


if __name__ == "__main__":
    main()
