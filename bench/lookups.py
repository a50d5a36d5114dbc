"""Reverse look-ups and lists at a million memberships: the first page, over RPC, and how long the loop is held."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import grpc

from bench import policies, servers
from bench.database import path_of
from bench.dataset import Dataset, make
from bench.measure import Rounds
from bench.report import Line, Section, write
from bench.servers import Server
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import (
    authorization_pb2_grpc,
    memberships_pb2,
    memberships_pb2_grpc,
    workspaces_pb2,
    workspaces_pb2_grpc,
)

MEMBERSHIPS: Final = 1_000_000
ROUNDS: Final = 40
MOST_MILLISECONDS: Final = 10.0
_ACTOR: Final = "x-wsauthz-actor"

Ask = Callable[[], Any]


def run() -> None:
    """Measure, and write the section."""
    data = make(policies.bundle().catalog, MEMBERSHIPS)
    with servers.real(path_of(data)) as server, grpc.insecure_channel(server.address) as channel:
        looked = _timed(server, _lookups(channel, data))
        listed = _timed(server, _lists(channel, data))
    write(_section(looked, listed, str(data)))


def _lookups(channel: grpc.Channel, data: Dataset) -> dict[str, Ask]:
    stub = authorization_pb2_grpc.AuthorizationServiceStub(channel)
    largest, consultant, operator = _extremes(data)
    some = data.memberships[len(data.memberships) // 2]

    def subjects(resource: str, action: str, **place: Any) -> Ask:
        request = pb.LookupSubjectsRequest(resource=resource, action=action, page_size=100, **place)
        return lambda: stub.LookupSubjects(request).user_ids

    def workspaces(subject: str, resource: str, action: str) -> Ask:
        request = pb.LookupWorkspacesRequest(subject=subject, resource=resource, action=action, page_size=100)
        return lambda: stub.LookupWorkspaces(request).workspace_ids

    return {
        "LookupSubjects, largest workspace, many may": subjects("event", "view", workspace_id=largest),
        "LookupSubjects, largest workspace, few may": subjects("workspace", "delete", workspace_id=largest),
        "LookupSubjects, platform, every user may": subjects("workspace", "create", platform=True),
        "LookupSubjects, platform, only the operator may": subjects("policy", "reload", platform=True),
        "LookupWorkspaces, a user": workspaces(some["user_id"], "event", "view"),
        "LookupWorkspaces, the user with most memberships": workspaces(consultant, "event", "view"),
        "LookupWorkspaces, the operator, everywhere": workspaces(operator, "workspace", "view"),
        "LookupWorkspaces, the operator, nowhere": workspaces(operator, "event", "view"),
    }


def _lists(channel: grpc.Channel, data: Dataset) -> dict[str, Ask]:
    members = memberships_pb2_grpc.MembershipServiceStub(channel)
    spaces = workspaces_pb2_grpc.WorkspaceServiceStub(channel)
    largest, consultant, operator = _extremes(data)
    members_of = memberships_pb2.ListMembersRequest(workspace_id=largest, page_size=100)
    everything = workspaces_pb2.ListUserWorkspacesRequest(include_inherited=True, page_size=100)
    own = workspaces_pb2.ListUserWorkspacesRequest(page_size=100)

    def by(actor: str) -> Any:
        return ((_ACTOR, actor),)

    return {
        "ListMembers, largest workspace": lambda: members.ListMembers(members_of, metadata=by(operator)).members,
        "ListUserWorkspaces, the user with most memberships": lambda: (
            spaces.ListUserWorkspaces(own, metadata=by(consultant)).workspaces
        ),
        "ListUserWorkspaces with inherited ones, the operator": lambda: (
            spaces.ListUserWorkspaces(everything, metadata=by(operator)).workspaces
        ),
    }


def _extremes(data: Dataset) -> tuple[str, str, str]:
    """Return the workspace with most members, the user with most memberships, and the operator."""
    places = Counter(values["workspace_id"] for values in data.memberships if values["workspace_id"] is not None)
    users = Counter(values["user_id"] for values in data.memberships)
    inactive = {values["id"] for values in data.users if not values["is_active"]}
    consultant = next(user for user, _ in users.most_common() if user not in inactive)
    operator = next(values["user_id"] for values in data.memberships if _is_at_platform(values))
    return places.most_common(1)[0][0], consultant, operator


def _is_at_platform(values: dict[str, Any]) -> bool:
    return values["workspace_id"] is None and values["organization_id"] is None


def _timed(server: Server, asks: dict[str, Ask]) -> dict[str, tuple[Rounds, float, int]]:
    """Return for each case the milliseconds of its calls, the server's CPU milliseconds of one, and the items."""
    taken: dict[str, list[float]] = {name: [] for name in asks}
    cpu = dict.fromkeys(asks, 0.0)
    items = {name: len(ask()) for name, ask in asks.items()}  # this warms up
    for _ in range(ROUNDS):
        for name, ask in asks.items():
            before, began = server.cpu_seconds(), time.perf_counter()
            ask()
            taken[name].append((time.perf_counter() - began) * 1e3)
            cpu[name] += (server.cpu_seconds() - before) * 1e3
    return {name: (Rounds(values=tuple(taken[name])), cpu[name] / ROUNDS, items[name]) for name in asks}


def _section(
    looked: dict[str, tuple[Rounds, float, int]], listed: dict[str, tuple[Rounds, float, int]], dataset: str
) -> Section:
    lines = [
        Line(
            what=f"{name} ({items} found)",
            figure=f"{taken.text('.1f')} ms; {cpu:.1f} ms CPU",
            target=f"<= {MOST_MILLISECONDS:g} ms" if name in looked else "",
            is_met=taken.median <= MOST_MILLISECONDS if name in looked else None,
        )
        for name, (taken, cpu, items) in {**looked, **listed}.items()
    ]
    intro = (
        f"The first page of 100 from `wsauthz serve` on SQLite with {dataset}, on core {servers.CORE}, asked through the "
        f"generated stub on any core, {ROUNDS} calls of each kind in turn: as the caller sees it, and what it costs the server."
    )
    notes = [
        "Pages of look-ups may be short: one call looks at some thousands of candidates at most, and goes on after them."
    ]
    return Section(name="lookups", title="Look-ups and lists", intro=intro, lines=lines, notes=notes)
