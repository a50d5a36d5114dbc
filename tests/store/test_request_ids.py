from dataclasses import replace
from datetime import timedelta

from tests.store.samples import NOW
from wsauthz.store import request_ids
from wsauthz.store.database import Database
from wsauthz.store.request_ids import GivenAnswer, RequestKey

KEY = RequestKey(caller="app", actor="ann", method="CreateWorkspace", request_id="r1")
ANSWER = GivenAnswer(body_hash="h", answer=b"\x00\xffanswer")
DAY = timedelta(hours=24)


def test_the_first_answer_is_given_again_for_a_day(database: Database) -> None:
    with database.write() as connection:
        assert request_ids.find(connection, KEY, now=NOW) is None
        request_ids.add(connection, KEY, ANSWER, now=NOW)
    with database.read() as connection:
        assert request_ids.find(connection, KEY, now=NOW + DAY - timedelta(microseconds=1)) == ANSWER
        assert request_ids.find(connection, KEY, now=NOW + DAY) is None


def test_an_answer_is_for_one_caller_actor_method_and_id(database: Database) -> None:
    with database.write() as connection:
        request_ids.add(connection, KEY, ANSWER, now=NOW)
        for other in ("caller", "actor", "method", "request_id"):
            assert request_ids.find(connection, replace(KEY, **{other: "other"}), now=NOW) is None


def test_an_id_is_free_after_a_day(database: Database) -> None:
    with database.write() as connection:
        request_ids.add(connection, KEY, ANSWER, now=NOW)
        request_ids.add(connection, KEY, replace(ANSWER, answer=b"new"), now=NOW + DAY)
        found = request_ids.find(connection, KEY, now=NOW + DAY)
    assert found is not None
    assert found.answer == b"new"


def test_pruning_deletes_what_is_older_than_a_day(database: Database) -> None:
    with database.write() as connection:
        request_ids.add(connection, KEY, ANSWER, now=NOW)
        request_ids.add(connection, replace(KEY, request_id="r2"), ANSWER, now=NOW + timedelta(hours=1))
        assert request_ids.prune(connection, now=NOW + DAY) == 1
        assert request_ids.prune(connection, now=NOW + DAY) == 0
