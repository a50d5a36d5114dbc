"""Tokens are known by the history that a replica holds."""

from hypothesis import given
from hypothesis import strategies as st

from wsauthz.replica.history import History
from wsauthz.store.revisions import Revision

EPOCH = "0123456789ab"

digests = st.sampled_from(["", "00000000", "00000001", "ffffffff", "0badcafe"])
"""Few, so that different revisions have equal ones."""


def revision(value: int, digest: str = "", pruned: int = 0) -> Revision:
    return Revision(epoch=EPOCH, value=value, digest=digest, pruned=pruned)


@given(kept=st.lists(digests, max_size=12), later=st.lists(digests, max_size=5), pruned=st.integers(0, 20))
def test_what_is_kept_is_known_by_its_value_and_digest_and_nothing_else_is(
    kept: list[str], later: list[str], pruned: int
) -> None:
    """Of a database from which so many revisions were pruned before it was loaded, and more afterwards."""
    first, newest = 7, 7 + len(kept)
    rows = list(enumerate(kept, first + 1))
    history = History.of(rows, revision(newest, kept[-1] if kept else "0badcafe", pruned=first))
    expected = dict(rows or [(newest, "0badcafe")])
    for value, digest in enumerate(later, newest + 1):
        history.add(value, digest)
        expected[value] = digest
    history.forget(pruned)
    expected = {value: digest for value, digest in expected.items() if value > pruned or value == max(expected)}
    for value in range(30):
        for digest in ("", "00000000", "00000001", "ffffffff", "0badcafe"):
            assert history.knows(revision(value, digest)) == (expected.get(value) == digest), (value, digest)


def test_a_database_in_which_nothing_was_pruned_begins_with_revision_0() -> None:
    history = History.of([(1, "00000001")], revision(1, "00000001"))
    assert history.knows(revision(0))
    history.forget(0)
    assert history.knows(revision(0))
    history.forget(1)
    assert not history.knows(revision(0))
    assert history.knows(revision(1, "00000001"))


def test_nothing_before_a_gap_is_known() -> None:
    history = History.of([(3, "00000001"), (5, "00000001")], revision(5, "00000001", pruned=2))
    assert [history.knows(revision(value, "00000001")) for value in (3, 4, 5)] == [False, False, True]
