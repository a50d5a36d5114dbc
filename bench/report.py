"""RESULTS.md: one section for each command, rewritten by that command alone, under one head for all."""

import os
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
_PACKAGES: Final = ("wsauthz", "grpcio", "pygrpc-native", "protobuf", "uvloop", "pycasbin", "SQLAlchemy")
_HEAD: Final = """\
# Results

`make bench` measures everything and takes about half an hour on a machine that does nothing else; `python -m bench NAME` measures one section again.

{machine}

The machine is virtual, shared and noisy: at times everything on it takes twice as long. So trust ratios, which are taken
within one run from neighbours in time, more than single figures. A figure is the median of several rounds after one to
warm up; in parentheses are the lowest and the highest round. Decisions in process are counted by CPU time, calls by the
clock and by CPU time. Data sets come from a generator with a fixed seed (`bench/dataset.py`): organizations, trees of
workspaces of depth 1 to 8, few workspaces with very many members and many with few, users with one membership and some
with hundreds, a few per cent of places, users and memberships suspended, inactive, expired or limited to modules.
"""
_ORDER: Final = (
    "decision",
    "check",
    "cerbos",
    "stock",
    "batch",
    "latency",
    "overload",
    "lookups",
    "names",
    "start",
    "imports",
    "writes",
    "reload",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure. ``is_met`` None: it has no target, it explains."""

    what: str
    figure: str
    target: str = ""
    is_met: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What one command found out."""

    name: str
    title: str
    intro: str
    lines: Sequence[Line]
    notes: Sequence[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the section as Markdown."""
        rows = "\n".join(
            f"| {line.what} | {line.figure} | {line.target} | {'' if line.is_met is None else ('yes' if line.is_met else '**no**')} |"
            for line in self.lines
        )
        notes = "".join(f"- {note}\n" for note in self.notes)
        table = f"| what | figure | target | met |\n|---|---|---|---|\n{rows}\n"
        return f"## {self.title}\n\n`python -m bench {self.name}`, {_moment()}. {self.intro}\n\n{table}\n{notes}"


def write(section: Section) -> None:
    """Print the section and put it in place of the earlier one in RESULTS.md."""
    text = section.text()
    print(text)
    sections = _read()
    sections[section.name] = text
    body = "\n".join(sections[name].rstrip() + "\n" for name in _ORDER if name in sections)
    RESULTS.write_text(f"{_HEAD.format(machine=_machine())}\n{body}", encoding="utf-8")


def _read() -> dict[str, str]:
    if not RESULTS.exists():
        return {}
    parts = re.split(r"(?m)^(?=## )", RESULTS.read_text(encoding="utf-8"))[1:]
    return {part.split("`python -m bench ", 1)[1].split("`", 1)[0]: part for part in parts}


def _machine() -> str:
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"model name\s*: (.*)", cpuinfo)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"Machine: {os.cpu_count()} cores of {model.group(1) if model else platform.machine()}, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release().split('-')[0]}. Python {sys.version.split()[0]}, {packages}."
    )


def _moment() -> str:
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%d %H:%M} UTC, load average {os.getloadavg()[0]:.1f}"
