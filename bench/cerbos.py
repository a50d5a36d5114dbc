"""Check against Cerbos, the closest peer: the same questions as CheckResources, the same load, on the same core."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, product
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from bench import policies, processes, servers
from bench.database import path_of
from bench.dataset import make
from bench.decision import facts_of
from bench.load import CONNECTIONS, STREAMS, Load, call, check_installed
from bench.measure import Rounds, microseconds
from bench.peers import policy_files, request
from bench.questions import CHECK, Asked, draw, ours, sort
from bench.report import Line, Section, write
from bench.servers import Server
from wsauthz.v1 import authorization_pb2 as pb

MEMBERSHIPS: Final = 1_000_000
ROUNDS: Final = 9
CALLS: Final = {"cerbos": 8_000, "grpcio": 8_000, "native": 40_000}
"""In one round of one case."""
LEAST_RATIO: Final = {"grpcio": 1.5, "native": 6.0}
"""By transport."""

_PACKAGE: Final = "@cerbos/cerbos-linux-x64"
_FOLDER: Final = Path(__file__).parents[1] / ".benchmarks" / "cerbos"
_METHOD: Final = "cerbos.svc.v1.CerbosService/CheckResources"


def run() -> None:
    """Measure, and write the section."""
    check_installed()
    program = _program()
    catalog = policies.bundle().catalog
    data = make(catalog, MEMBERSHIPS)
    facts, rules = facts_of(data), policies.bundle().rules
    asked = sort(
        draw(catalog, data.memberships, [values["id"] for values in data.workspaces]),
        facts,
        rules,
        CONNECTIONS * (ROUNDS + 1),
    )
    bodies = {asked: request(facts, policies.bundle(), asked) for asked in (*asked.allowed, *asked.denied)}
    path, text = path_of(data), str(data)
    del data, facts
    with _peer(program) as peer, servers.real(path) as server, servers.real(path, "native") as native:
        theirs = _messages(peer, bodies)
        _compare(peer, theirs, {*asked.allowed})
        for each in (server, native):
            _compare_ours(each, asked.allowed, asked.denied)
        rounds = [
            {
                f"{who} {answer}": call(target, method, messages, CALLS[who])
                for answer, questions in (("allow", asked.allowed), ("deny", asked.denied))
                for who, target, method, messages in (
                    ("cerbos", peer, _METHOD, [theirs[one] for one in _some(questions, number)]),
                    ("grpcio", server, CHECK, [ours(one) for one in _some(questions, number)]),
                    ("native", native, CHECK, [ours(one) for one in _some(questions, number)]),
                )
            }
            for number in range(ROUNDS + 1)
        ][1:]
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    write(_section(rounds, text, version))


def _some(questions: list[Asked], number: int) -> list[Asked]:
    return list(islice(questions, number * CONNECTIONS, (number + 1) * CONNECTIONS))


def _program() -> Path:
    """Return the server's program, downloaded by npm at the first time.

    Raises:
        SystemExit: there is no npm, or it cannot get the package.

    """
    program = _FOLDER / "node_modules" / _PACKAGE / "cerbos-linux-x64"
    if program.exists():
        return program
    if shutil.which("npm") is None:
        raise SystemExit("Cerbos is not measured: npm, which downloads it, is not installed.")
    _FOLDER.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(_FOLDER), _PACKAGE]
    if subprocess.run(command, check=False).returncode or not program.exists():
        raise SystemExit(f"Cerbos is not measured: npm could not install {_PACKAGE}.")
    return program


@contextmanager
def _peer(program: Path) -> Iterator[Server]:
    """Run Cerbos with the rules of the bundle."""
    address = processes.free_address()
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "policies"
        stored.mkdir()
        for name, policy in policy_files(policies.bundle()).items():
            (stored / name).write_text(json.dumps(policy), encoding="utf-8")
        config = Path(folder) / "config.json"
        settings = {
            "server": {
                "grpcListenAddr": address,
                "httpListenAddr": processes.free_address(),
                "adminAPI": {"enabled": False},
            },
            "storage": {"driver": "disk", "disk": {"directory": str(stored)}},
            "telemetry": {"disabled": True},
        }
        config.write_text(json.dumps(settings), encoding="utf-8")
        command = [str(program), "server", f"--config={config}", "--log-level=error"]
        with processes.running(command, address) as peer:
            yield peer


def _messages(peer: Server, bodies: dict[Asked, dict[str, Any]]) -> dict[Asked, Message]:
    """Return the requests as Cerbos's own messages, whose types it tells by reflection."""
    with grpc.insecure_channel(peer.address) as channel:
        pool: Any = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        kind = GetMessageClass(pool.FindMessageTypeByName("cerbos.request.v1.CheckResourcesRequest"))
        return {asked: json_format.ParseDict(body, kind(), descriptor_pool=pool) for asked, body in bodies.items()}


def _compare(peer: Server, messages: dict[Asked, Message], allowed: set[Asked]) -> None:
    """Return if Cerbos gives the engine's answers.

    Raises:
        RuntimeError: it does not.

    """
    with grpc.insecure_channel(peer.address) as channel:
        pool: Any = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        kind = GetMessageClass(pool.FindMessageTypeByName("cerbos.response.v1.CheckResourcesResponse"))
        check: Any = channel.unary_unary(f"/{_METHOD}", lambda message: message.SerializeToString(), kind.FromString)
        for asked, message in messages.items():
            answer: Any = json_format.MessageToDict(check(message))
            effect = answer["results"][0]["actions"][asked.action]
            if (effect == "EFFECT_ALLOW") != (asked in allowed):
                raise RuntimeError(f"Cerbos answers {effect} to {asked}")


def _compare_ours(server: Server, allowed: list[Asked], denied: list[Asked]) -> None:
    with grpc.insecure_channel(server.address) as channel:
        check: Any = channel.unary_unary(
            f"/{CHECK}", lambda message: message.SerializeToString(), pb.CheckResponse.FromString
        )
        for questions, decision in ((allowed, pb.DECISION_ALLOW), (denied, pb.DECISION_DENY)):
            for asked in questions:
                if check(ours(asked)).decision != decision:
                    raise RuntimeError(f"the server does not answer {asked} as the engine does")


def _section(rounds: list[dict[str, Load]], dataset: str, version: str) -> Section:
    per_second = {name: Rounds(values=tuple(found[name].per_second for found in rounds)) for name in rounds[0]}
    cpu = {name: Rounds(values=tuple(found[name].cpu_seconds for found in rounds)) for name in rounds[0]}
    lines = [
        Line(
            what=f"{name}, calls/s and CPU time of a call",
            figure=f"{per_second[name].text(',.0f')}/s; {microseconds(cpu[name]).text('.1f')} us",
        )
        for name in sorted(rounds[0])
    ]
    for transport, answer in product(LEAST_RATIO, ("allow", "deny")):
        for what, ratio in (
            ("calls/s", per_second[f"{transport} {answer}"].over(per_second[f"cerbos {answer}"])),
            ("calls for the same CPU time", cpu[f"cerbos {answer}"].over(cpu[f"{transport} {answer}"])),
        ):
            lines.append(
                Line(
                    what=f"Check, {answer}, on {transport}, over Cerbos: {what}",
                    figure=f"x {ratio.text('.2f')}",
                    target=f">= x {LEAST_RATIO[transport]:g}",
                    is_met=ratio.median >= LEAST_RATIO[transport],
                )
            )
    failed = sum(load.failed for found in rounds for load in found.values())
    calls = sum(load.calls for found in rounds for load in found.values())
    intro = (
        f"{version or 'Cerbos'} with the application's rules of policies/default as resource policies, one for each type, and "
        f"the state, modules and features of the place as conditions; `wsauthz serve` on SQLite with {dataset}. Both on core "
        f"{servers.CORE}, h2load on another, {CONNECTIONS} connections with {STREAMS} calls at once on each, {ROUNDS} rounds "
        f"of {CALLS['grpcio']:,} calls of each kind in turn ({CALLS['native']:,} on native); all answered a sample alike."
    )
    notes = [
        "Cerbos keeps no memberships: each of its requests brings along the roles of the subject and the state of the place, "
        "which our server has to find among a million memberships. So the row favours Cerbos.",
        f"Calls without HTTP status 200: {failed} of {calls:,}.",
    ]
    return Section(name="cerbos", title="Cerbos", intro=intro, lines=lines, notes=notes)
