"""Putting another bundle with 1,000 rules in force while Checks are answered: how late they are, and whether right."""

import shutil
import tempfile
import time
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import grpc

from bench import policies, processes, servers
from bench.database import path_of
from bench.dataset import Dataset, make
from bench.decision import facts_of
from bench.measure import Rounds
from bench.questions import Asked, answer, draw, ours
from bench.report import Line, Section, write
from wsauthz.policy.bundle import Bundle, build_bundle
from wsauthz.policy.bundle_directory import MODEL
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import authorization_pb2_grpc

MEMBERSHIPS: Final = 100_000
ROUNDS: Final = 9
SECONDS: Final = 3.0
QUESTIONS: Final = 400
MOST_MILLISECONDS: Final = 50.0


@dataclass(slots=True, kw_only=True)
class Stretch:
    """What some seconds of Checks, one after another, were like."""

    milliseconds: list[float] = field(default_factory=list)
    wrong: int = 0
    changes: int = 0
    """How often the version of the policy changed from one answer to the next."""


def run() -> None:
    """Measure, and write the section."""
    catalog = policies.bundle().catalog
    data = make(catalog, MEMBERSHIPS)
    bundles = _bundles(data)
    questions = _questions(data, bundles)
    expected = _expected(data, bundles, questions)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "policies" / "bench"
        directory.mkdir(parents=True)
        shutil.copy(policies.DIRECTORY.parent / MODEL, directory.parent / MODEL)
        _put(directory, bundles[0])
        with (
            processes.serving(f"sqlite:///{path_of(data)}", policy=directory) as server,
            grpc.insecure_channel(server.address) as channel,
        ):
            stub = authorization_pb2_grpc.AuthorizationServiceStub(channel)
            _stretch(stub, questions, expected)
            quiet, busy = [], []
            for number in range(ROUNDS):
                quiet.append(_stretch(stub, questions, expected))
                _put(directory, bundles[(number + 1) % 2])
                busy.append(_stretch(stub, questions, expected))
    write(_section(quiet, busy, str(data), expected))


def _bundles(data: Dataset) -> tuple[Bundle, Bundle]:
    """Return two bundles of 1,000 rules; the second lets viewers do nothing that needs an active place."""
    first = policies.with_rules(policies.MANY, [values["id"] for values in data.workspaces])
    files = dict(first.files)
    rows = files["policy.csv"].splitlines(keepends=True)
    files["policy.csv"] = "".join(
        row.replace("role:viewer", "role:owner") if row.startswith("p, role:viewer, *") else row for row in rows
    )
    files["policy.csv"] = "".join(dict.fromkeys(files["policy.csv"].splitlines(keepends=True)))
    return first, build_bundle(files, core_vocabulary())


def _questions(data: Dataset, bundles: tuple[Bundle, Bundle]) -> list[Asked]:
    """Return questions of which every second one is answered differently by the two bundles."""
    facts = facts_of(data)
    drawn = islice(draw(bundles[0].catalog, data.memberships, [values["id"] for values in data.workspaces]), 20_000)
    alike: list[Asked] = []
    other: list[Asked] = []
    for asked in drawn:
        first, second = (answer(asked, facts, bundle.rules).allowed for bundle in bundles)
        (alike if first == second else other).append(asked)
    return [asked for pair in zip(alike, other, strict=False) for asked in pair][:QUESTIONS]


def _expected(data: Dataset, bundles: tuple[Bundle, Bundle], questions: list[Asked]) -> dict[str, list[bool]]:
    """Return version of the policy -> the answers."""
    facts = facts_of(data)
    return {bundle.version: [answer(asked, facts, bundle.rules).allowed for asked in questions] for bundle in bundles}


def _put(directory: Path, bundle: Bundle) -> None:
    """Replace the bundle's files, the rules last and in one step."""
    for name, text in sorted(bundle.files.items(), key=lambda item: item[0] == "policy.csv"):
        if name != MODEL:
            unfinished = directory / f".{name}"
            unfinished.write_text(text, encoding="utf-8")
            unfinished.rename(directory / name)


def _stretch(stub: Any, questions: list[Asked], expected: dict[str, list[bool]]) -> Stretch:
    """Ask one question after another for some seconds."""
    stretch = Stretch()
    requests = [ours(asked) for asked in questions]
    version = ""
    began = time.perf_counter()
    for number, request in cycle(enumerate(requests)):
        sent = time.perf_counter()
        if sent - began > SECONDS:
            return stretch
        given = stub.Check(request)
        stretch.milliseconds.append((time.perf_counter() - sent) * 1e3)
        stretch.changes += given.policy_version not in {version, ""} and version != ""
        version = given.policy_version
        stretch.wrong += (given.decision == pb.DECISION_ALLOW) != expected[version][number]
    return stretch


def _section(quiet: list[Stretch], busy: list[Stretch], dataset: str, expected: dict[str, list[bool]]) -> Section:
    slowest = {
        name: Rounds(values=tuple(max(each.milliseconds) for each in found))
        for name, found in (("quiet", quiet), ("busy", busy))
    }
    wrong = sum(each.wrong for each in (*quiet, *busy))
    changes = sum(each.changes for each in busy)
    calls = sum(len(each.milliseconds) for each in busy)
    differ = sum(first != second for first, second in zip(*expected.values(), strict=True))
    late = max(slowest["busy"].values) - slowest["quiet"].median
    lines = [
        Line(what=f"slowest Check of {SECONDS:g} s without a reload", figure=f"{slowest['quiet'].text('.1f')} ms"),
        Line(what=f"slowest Check of {SECONDS:g} s with a reload in it", figure=f"{slowest['busy'].text('.1f')} ms"),
        Line(
            what="by how much the slowest of all with a reload is slower than is usual for the slowest without one",
            figure=f"{late:.1f} ms",
            target=f"<= {MOST_MILLISECONDS:g} ms",
            is_met=late <= MOST_MILLISECONDS,
        ),
        Line(
            what=f"answers of {calls:,} that are not those of the version they name",
            figure=str(wrong),
            target="0",
            is_met=wrong == 0,
        ),
        Line(
            what=f"reloads put in force of {ROUNDS}", figure=str(changes), target=str(ROUNDS), is_met=changes == ROUNDS
        ),
    ]
    intro = (
        f"`wsauthz serve` on SQLite with {dataset}, on core {servers.CORE}, and a bundle of {policies.MANY:,} rules whose files are "
        f"replaced by those of another one that answers {differ} of {QUESTIONS} questions differently; one caller asks them all "
        f"the while, {ROUNDS} times {SECONDS:g} s without and with a reload."
    )
    notes = [
        "Times are the caller's: what it and the server wait for a core, on a machine with others on it, is in both lines."
    ]
    return Section(name="reload", title="Reloading the bundle", intro=intro, lines=lines, notes=notes)
