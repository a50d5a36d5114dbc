"""Odd values in every field of every request: refused with the field's name and without a trace, or taken.

Everything is made from the descriptors; a field that nobody has said anything of (odd_values.py) fails. On PostgreSQL
some of the bad values are tried, because few get as far as the database, and of the odd ones of ``request_id``, which
one function takes for all methods; ``--soak`` tries all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any, Final

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from tests.rpc.conftest import MakeDatabase, serving
from tests.rpc.dumps import Dump, ask, dump
from tests.rpc.odd_values import CHANGEABLE, KINDS, Kind, Values
from tests.rpc.requests import METHODS, Tenant, actor_of, valid
from tests.rpc.slots import Slot, is_map, slots
from tests.rpc.tenants import Tenants
from tests.rpc.worlds import bundle, state
from tests.serving import Refusal
from wsauthz.rpc.methods import Method

pytestmark = pytest.mark.usefixtures("refusals_are_free")

SLOTS: Final = [slot for method in METHODS.values() for slot in slots(method)]
MINE: Final = Tenant("mine")
LONGEST_SENTENCE: Final = 300
LONGEST_TEXT: Final = 16_384
SAMPLE: Final = 2
"""Values of each field, other ones of each, that PostgreSQL is asked with."""
COUNTED: Final = ("token", "code")
"""After some that lead nowhere an actor has to wait: everybody tries one only."""
FINE: Final = {
    grpc.StatusCode.OK,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
}
"""What a request may come to whose fields are all in order."""

_numbers = count()


def is_text(slot: Slot) -> bool:
    """Tell whether a field holds text, in whatever form; settings and policy files have limits of their own."""
    if str(slot) in {"UpdateModuleSettings.settings", "ValidatePolicy.files"}:
        return False
    return slot.is_text or is_map(slot.field) or slot.path[-1] == "update_mask"


def kind_of(slot: Slot) -> Kind:
    return slot.find(KINDS) or Kind()


REFUSING: Final = [slot for slot in SLOTS if kind_of(slot).refused]
TAKING: Final = [slot for slot in SLOTS if kind_of(slot).legal]


@pytest.fixture(scope="module")
def refusing(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """Return a server on which nothing is ever written."""
    with serving(make_database(), bundle(tmp_path_factory), state([MINE])) as found:
        yield found


@pytest.fixture(scope="module")
def taking(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """Return a server with a tenant for every method."""
    with serving(make_database(), bundle(tmp_path_factory), state(map(tenant_of, METHODS.values()))) as found:
        yield found


def tenant_of(method: Method) -> Tenant:
    return Tenant(method.name.lower())


def request_with(slot: Slot, value: Any, tenant: Tenant) -> Any:
    """Return a request that is valid but for the value, and that is about the field if it can be about several."""
    request: Any = valid(slot.method, tenant)
    if "update_mask" in slot.method.request_fields:
        name = slot.name.removeprefix("workspace.")
        about = [path for path in CHANGEABLE[slot.method.name] if f"{name}.".startswith(f"{path}.")]
        request.update_mask.paths[:] = about or request.update_mask.paths
    if slot.method.name == "AddMember":
        request.user_id = f"somebody-{next(_numbers)}"
    slot.put(request, value)
    return request


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a request; of OK the code only."""

    code: grpc.StatusCode
    reason: str = ""
    field: str = ""
    message: str = ""

    def __str__(self) -> str:
        return f"{self.code.name} {self.reason} {self.field} ({self.message})"


def outcome(tenants: Tenants, slot: Slot, value: Any, tenant: Tenant) -> Outcome:
    """Make the request with the value; an item of a batch that failed counts as refused."""
    actor = f"somebody-{next(_numbers)}" if slot.name in COUNTED else actor_of(slot.method, tenant)
    answer: Any = ask(tenants, slot.method, request_with(slot, value, tenant), actor)
    if isinstance(answer, Refusal):
        return Outcome(code=answer.code, reason=answer.reason, field=" ".join(answer.fields), message=answer.message)
    items = {"BatchCheck": "answers", "BatchUpsertUsers": "results"}.get(slot.method.name)
    for item in getattr(answer, items) if items else ():
        if item.error:
            field = item.error.partition(":")[0]
            return Outcome(code=grpc.StatusCode.INVALID_ARGUMENT, field=field, message=item.error)
    return Outcome(code=grpc.StatusCode.OK)


def names_of(slot: Slot) -> set[str]:
    """Return how the field may be called: by its path, in the request or in a message within, or by its list's."""
    path = slot.path[:-1] if slot.path[-2:-1] == slot.path[-1:] else slot.path
    names = {".".join(path[start:]) for start in range(len(path))}
    if slot.field.containing_oneof is not None:
        names |= {each.name for each in slot.field.containing_oneof.fields}
    return names | ({"action"} if slot.path[-1] == "actions" else set())


def of_these(slot: Slot, values: Values, is_sampled: bool) -> list[tuple[str, Any]]:
    """Return the values with their names, or some of them, other ones for each field."""
    found = [*values.items()]
    return Random(str(slot)).sample(found, min(SAMPLE, len(found))) if is_sampled else found


@pytest.mark.parametrize("slot", [slot for slot in SLOTS if is_text(slot)], ids=str)
def test_no_text_field_takes_more_than_the_longest_of_them(refusing: Tenants, slot: Slot) -> None:
    text: Any = "x" * (LONGEST_TEXT + 1)
    if slot.field.type == slot.field.TYPE_MESSAGE:
        text = {text: True} if is_map(slot.field) else FieldMask(paths=[text])
    found = outcome(refusing, slot, text, MINE)
    assert found.code == grpc.StatusCode.INVALID_ARGUMENT
    assert found.field in names_of(slot)
    assert len(found.message) <= LONGEST_SENTENCE


def test_of_every_field_it_is_known_what_it_may_hold() -> None:
    assert [str(slot) for slot in SLOTS if slot.find(KINDS) is None] == []


@pytest.fixture(scope="module")
def last_seen(refusing: Tenants) -> list[Dump]:
    """Return what the database held when it was last looked at."""
    return [dump(refusing)]


@pytest.fixture
def unchanged(refusing: Tenants, last_seen: list[Dump], slot: Slot) -> Iterator[None]:
    """See that a test has changed nothing; a method that only reads could not."""
    yield
    if slot.method.writes:
        before, last_seen[:] = last_seen[0], [dump(refusing)]
        assert last_seen == [before]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("slot", REFUSING, ids=str)
def test_a_bad_value_is_refused_by_the_name_of_its_field_and_leaves_nothing(
    refusing: Tenants, slot: Slot, is_sampled: bool
) -> None:
    kind = kind_of(slot)
    problems = []
    for name, value in of_these(slot, kind.refused, is_sampled):
        found = outcome(refusing, slot, value, MINE)
        is_named = found.code == grpc.StatusCode.INVALID_ARGUMENT and found.field in names_of(slot)
        if not (found.reason == kind.reason if kind.reason else is_named) or len(found.message) > LONGEST_SENTENCE:
            problems.append(f"{name}: {found}")
    assert problems == []


@pytest.mark.parametrize("slot", TAKING, ids=str)
def test_an_odd_value_that_is_none_of_the_bad_ones_is_taken(taking: Tenants, slot: Slot, is_sampled: bool) -> None:
    tenant = tenant_of(slot.method)
    asked = of_these(slot, kind_of(slot).legal, is_sampled and slot.name == "request_id")
    found = {name: outcome(taking, slot, value, tenant) for name, value in asked}
    assert [f"{name}: {each}" for name, each in found.items() if each.code not in FINE] == []
