"""What a mistyped name may stand for: found for every slip of a finger, and at a cost that the names do not decide."""

import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsauthz.model.spelling import Spelling, meant

NAMES = ["dam:asset", "dam:collection", "analytics:report", "workspace", "member", "module", "ab", "a"]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("dam:aset", "dam:asset"),
        ("dam:assset", "dam:asset"),
        ("dam:assets", "dam:asset"),
        ("dam:asste", "dam:asset"),
        ("dam:azset", "dam:asset"),
        ("DAM:Asset", "dam:asset"),
        ("asset", "dam:asset"),
        ("assets", "dam:asset"),
        ("core:workspace", "workspace"),
        ("core:workspaces", "workspace"),
        ("dam-collection", "dam:collection"),
        ("dam.report", ""),
        ("", "a"),
        ("invoice", ""),
        ("workspace", ""),
        ("x" * 1_000_000, ""),
    ],
)
def test_the_name_that_was_meant(word: str, name: str) -> None:
    expected = f" (did you mean {name}?)" if name else ""
    assert (Spelling(NAMES).meant(word), meant(word, NAMES)) == (expected, expected)


NAME = st.text("ab:cé-_1", min_size=1, max_size=12)


@given(st.lists(NAME, min_size=1, max_size=30, unique=True), st.data())
def test_one_slip_finds_a_name_that_exists(names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names))
    at = data.draw(st.integers(0, len(name) - 1))
    word = data.draw(
        st.sampled_from([name[:at] + name[at + 1 :], name[:at] + "x" + name[at:], name[:at] + "x" + name[at + 1 :]])
    )
    found = Spelling(names).meant(word)
    assert word in names or any(found == f" (did you mean {each}?)" for each in names)


def test_the_number_of_names_does_not_decide_what_a_look_up_costs() -> None:
    """A thousand mistyped questions fit into one batch, and are answered on the loop."""

    def steps(spelling: Spelling) -> int:
        count = 0

        def trace(_frame: FrameType, _event: str, _argument: Any) -> Any:
            nonlocal count
            count += 1
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            assert spelling.meant("resource-zzz") == ""
        finally:
            sys.settrace(before)
        return count

    few, many = Spelling(["resource-abc"]), Spelling([f"resource-{number}-abc" for number in range(20_000)])
    assert steps(few) == steps(many)
