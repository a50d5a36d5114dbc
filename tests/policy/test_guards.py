"""What a page costs: a caller chooses how many guards it names, and how often."""

import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest

from tests.policy.bundle_world import World
from wsauthz.policy import decision

STATE = """
users: [{id: ann}, {id: owen}]
workspaces: [{id: w, owner: owen}]
memberships: [{workspace: w, user: ann, role: admin}]
"""


def decisions(world: World, *guards: str, subject: str = "ann") -> int:
    """Return how many questions the engine answers for a page with these guards."""
    calls: Counter[Any] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls[frame.f_code] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        world.route(subject, "w", *guards)
    finally:
        sys.setprofile(before)
    return calls[decision.decide.__code__]


@pytest.mark.parametrize("guard", ["checkWorkspace", "check-if-suspended", "can-create-childWorkspace"])
def test_a_guard_that_is_named_a_hundred_times_is_decided_once(guard: str) -> None:
    world = World("dam", STATE)
    assert decisions(world, guard) == 2
    assert decisions(world, *[guard] * 100) == 2


def test_guards_about_one_action_are_decided_together() -> None:
    world = World("dam", STATE)
    about_the_page = ["checkWorkspace", "check-if-suspended", "can-access-child-workspace"]
    assert decisions(world, *about_the_page * 30) == 2
    assert decisions(world, *[*about_the_page, "can-create-childWorkspace"] * 25) == 3


def test_the_first_guard_that_fails_answers_however_often_others_are_named() -> None:
    world = World("dam", STATE)
    suspended = World("dam", STATE.replace("owner: owen}", "owner: owen, is_suspended: true}"))
    names = ["checkWorkspace", "checkWorkspace", "check-if-suspended", "can-create-childWorkspace"]
    assert world.route("ann", "w", *names).status == 200
    assert world.route("eve", "w", *names).status == 403
    assert suspended.route("ann", "w", *names).redirect == "/{id}/workspace-suspended"
