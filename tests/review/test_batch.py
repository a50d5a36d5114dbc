"""A batch cannot hold the loop with items that ask nothing."""

from tests.serving import BUNDLES, Serving, refusal
from wsauthz.v1 import authorization_pb2 as pb


def test_items_without_actions_count_as_well(sqlite_url: str) -> None:
    with Serving(sqlite_url, BUNDLES / "dam") as server:
        request = pb.BatchCheckRequest(items=[pb.BatchCheckItem() for _ in range(1_001)])
        refused = refusal(server.client().authorization.BatchCheck, request)
        assert refused.fields == ("items",)
        fitting = pb.BatchCheckRequest(items=[pb.BatchCheckItem() for _ in range(1_000)])
        assert len(server.client().authorization.BatchCheck(fitting).answers) == 0
