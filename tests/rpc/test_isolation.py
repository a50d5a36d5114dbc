"""Another tenant's id behaves as one that nobody has, wherever it stands in a request, and changes nothing."""

import base64
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import pytest

from tests.rpc.conftest import MakeDatabase, serving
from tests.rpc.dumps import Dump, ask, dump
from tests.rpc.requests import METHODS, Tenant, choices, valid
from tests.rpc.slots import Slot, is_map, slots
from tests.rpc.tenants import OPERATOR, Tenants
from tests.rpc.worlds import bundle, state
from tests.serving import Refusal
from wsauthz.rpc.methods import Method
from wsauthz.v1 import workspaces_pb2

pytestmark = pytest.mark.usefixtures("refusals_are_free")

MINE: Final = Tenant("mine")
THEIRS: Final = Tenant("theirs")
OTHERS: Final = Tenant("others")
"""Where something is written; the first two stay as they are."""
ACTORS: Final = (MINE.owner, MINE.member, MINE.guest)


@dataclass(frozen=True, slots=True)
class Pair:
    """An id of another tenant, and one of the same form that nobody has."""

    foreign: str
    unknown: str


PAIRS: Final[Mapping[str, tuple[Pair, ...]]] = {
    "workspace": (Pair(THEIRS.workspace, "workspace_nobody"), Pair(THEIRS.child, "workspace_nobody.1")),
    "organization": (Pair(THEIRS.organization, "organization_nobody"),),
    "slug": (Pair(THEIRS.name, "nobody"),),
    "user": (Pair(THEIRS.member, "member-nobody"), Pair(THEIRS.owner, "owner-nobody")),
    "invitation": (Pair(THEIRS.invitation, "invitation_nobody"),),
    "code": (
        Pair(THEIRS.workspace, "workspace_nobody"),
        Pair(f"{THEIRS.organization}/{THEIRS.workspace}", "organization_nobody/workspace_nobody"),
        Pair(THEIRS.organization, "organization_nobody"),
    ),
}

KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("workspace_id", "parent_workspace_id", "current_workspace_id", "default_workspace_id"), "workspace"
    ),
    **dict.fromkeys(("workspace.id", "route", "store", "local_storage"), "workspace"),
    **dict.fromkeys(("organization_id", "organization"), "organization"),
    "ResolveWorkspace.slug": "slug",
    **dict.fromkeys(("user_id", "owner_user_id", "suspended_by"), "user"),
    "invitation_id": "invitation",
    "code": "code",
    # Texts that are no ids.
    **dict.fromkeys(("name", "slug", "domain", "description", "image_url", "website", "phone", "notes"), ""),
    **{f"social_{site}": "" for site in ("x", "facebook", "linkedin", "instagram", "github")},
    **dict.fromkeys(("logo", "primary_color", "reason", "suspended_reason", "schedule", "plan", "plan_type"), ""),
    **dict.fromkeys(("query", "email", "role", "permissions", "modules", "module", "providers", "features"), ""),
    # Bound to who got it; there is a test of it below.
    "page_token": "",
    # A secret: whoever holds it may look at the invitation, whoever's it is.
    "token": "",
    # Bound to caller, actor and method.
    "request_id": "",
    # Of the database, whoever asks.
    **dict.fromkeys(("at_least_revision", "published_heads"), ""),
}
"""What kind of id each text in a request is; "": none. One that is not here fails the tests."""

FREE: Final = {
    "AddMember.user_id": "whoever may add members may add anybody by id, known or not; it says nothing of the user",
}
"""Ids that may be anybody's."""

MANAGING: Final = [method for method in METHODS.values() if method.scope == "act-as"]
TEXTS: Final = [slot for method in MANAGING for slot in slots(method) if slot.is_text or is_map(slot.field)]
IDS: Final = [slot for slot in TEXTS if slot.find(KINDS) and str(slot) not in FREE]


@pytest.fixture(scope="module")
def tenants(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    with serving(make_database(), bundle(tmp_path_factory), state([MINE, THEIRS, OTHERS])) as found:
        for tenant in (MINE, THEIRS):
            for notes in ("something", ""):  # so that there is an audit to list
                workspace = workspaces_pb2.Workspace(notes=notes)
                request = workspaces_pb2.UpdateWorkspaceRequest(workspace_id=tenant.workspace, workspace=workspace)
                request.update_mask.paths.append("notes")
                found.client(tenant.owner).workspaces.UpdateWorkspace(request)
        yield found


@pytest.fixture(scope="module")
def last_seen(tenants: Tenants) -> list[Dump]:
    """Return what the database held when it was last looked at, if nothing was to be written since."""
    return []


@pytest.fixture
def unchanged(tenants: Tenants, last_seen: list[Dump]) -> Iterator[None]:
    """See that a test has changed nothing."""
    before = last_seen.pop() if last_seen else dump(tenants)
    yield
    last_seen.append(dump(tenants))
    assert last_seen == [before]


@pytest.fixture
def actors(request: pytest.FixtureRequest, is_sampled: bool) -> tuple[str, ...]:
    """Return who asks: everybody, or one of them."""
    return (Random(request.node.name).choice(ACTORS),) if is_sampled else ACTORS


def pairs_of(slot: Slot) -> tuple[Pair, ...]:
    """Return the ids to put there."""
    return PAIRS[slot.find(KINDS) or ""]


def compare(tenants: Tenants, actor: str, method: Method, choice: str, pairs: Mapping[Slot, Pair]) -> None:
    """Ask with the ids of another tenant and with unknown ones, and see that nothing tells the answers apart."""
    answers = []
    for ids in ([pair.foreign for pair in pairs.values()], [pair.unknown for pair in pairs.values()]):
        request = valid(method, MINE, choice)
        for slot, each in zip(pairs, ids, strict=True):
            slot.put(request, each)
        answer: Any = ask(tenants, method, request, actor)
        if getattr(answer, "next_page_token", ""):
            answer.next_page_token = "more"  # it is bound to what was asked about
        text = str(answer)
        for each in sorted(ids, key=len, reverse=True):  # what was asked about may be repeated
            text = text.replace(each, "<id>")
        answers.append(text)
    foreign, unknown = answers
    assert foreign == unknown, f"for {actor}"
    assert THEIRS.name not in foreign, f"for {actor}"


def test_of_every_text_in_a_request_it_is_known_whether_it_is_an_id() -> None:
    assert [str(slot) for slot in TEXTS if slot.find(KINDS) is None] == []
    assert {method.scope for method in METHODS.values()} == {
        "act-as",
        "check",
        "provision",
        "watch",
    }  # these are not tenants'


@pytest.mark.req("REQ-001", "REQ-023")
@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("slot", IDS, ids=str)
def test_another_tenants_id_is_as_one_that_nobody_has(tenants: Tenants, slot: Slot, actors: tuple[str, ...]) -> None:
    choice = slot.name if slot.name in choices(slot.method) else ""
    for pair in pairs_of(slot):
        for actor in actors:
            compare(tenants, actor, slot.method, choice, {slot: pair})


@pytest.mark.req("REQ-001", "REQ-023")
@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("method", "choice"),
    [(method, choice) for method in MANAGING for choice in choices(method)],
    ids=lambda each: getattr(each, "name", each),
)
def test_all_ids_of_another_tenant_are_as_those_that_nobody_has(
    tenants: Tenants, method: Method, choice: str, actors: tuple[str, ...]
) -> None:
    others = {*choices(method)} - {choice}
    pairs = {slot: pairs_of(slot)[0] for slot in IDS if slot.method is method and slot.name not in others}
    if len(pairs) > 1:
        for actor in actors:
            compare(tenants, actor, method, choice, pairs)


def test_the_exceptions_are_fields() -> None:
    assert set(FREE) <= {str(slot) for slot in TEXTS}


@pytest.mark.req("REQ-001")
def test_adding_somebody_by_id_says_nothing_of_the_user(tenants: Tenants, last_seen: list[Dump]) -> None:
    last_seen.clear()
    method = next(method for method in MANAGING if method.name == "AddMember")
    memberships = []
    for user in (THEIRS.guest, tenants.user()):
        request: Any = valid(method, OTHERS)
        request.user_id = user
        answer: Any = ask(tenants, method, request, OTHERS.owner)
        assert not isinstance(answer, Refusal), answer
        for name in ("id", "user_id", "joined_at", "created_at", "updated_at"):
            answer.membership.ClearField(name)
        memberships.append(answer.membership)
    assert memberships[0] == memberships[1]


READS: Final = [method for method in MANAGING if not method.writes]


@pytest.fixture(scope="module")
def sharing(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    """Return a server with two tenants, of which one's people are at home in the other."""
    at_home = dict(state([MINE, THEIRS]))
    people = (MINE.admin, MINE.member, MINE.guest)
    at_home["users"] = [
        {**user, "default_workspace": THEIRS.workspace} if user["id"] in people else user for user in at_home["users"]
    ]
    at_home["memberships"] = [
        *at_home["memberships"],
        *({"organization": THEIRS.organization, "user": user, "role": "member"} for user in people),
        *({"workspace": THEIRS.workspace, "user": user, "role": "member"} for user in people),
    ]
    with serving(make_database(), bundle(tmp_path_factory), at_home) as found:
        yield found


@pytest.mark.req("REQ-001")
@pytest.mark.parametrize("method", READS, ids=lambda method: method.name)
def test_whom_two_tenants_share_gives_neither_away_to_the_other(sharing: Tenants, method: Method) -> None:
    for choice in choices(method):
        for person in (MINE.admin, MINE.member):
            request: Any = valid(method, MINE, choice)
            if "user_id" in method.request_fields:
                request.user_id = person
            answer = ask(sharing, method, request, MINE.owner)
            assert THEIRS.name not in str(answer), person
    assert READS


LISTS: Final = [method for method in METHODS.values() if "page_token" in method.request_fields]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", LISTS, ids=lambda method: method.name)
def test_another_actors_page_token_is_as_a_made_up_one(tenants: Tenants, method: Method) -> None:
    def page(of: Tenant, actor: str, token: str) -> Any:
        request: Any = valid(method, of)
        request.page_token = token
        return ask(tenants, method, request, actor)

    theirs = page(THEIRS, THEIRS.owner, "").next_page_token
    assert theirs, "a list of one page tests nothing"
    assert not isinstance(page(THEIRS, THEIRS.owner, theirs), Refusal)
    made_up = page(MINE, MINE.owner, base64.urlsafe_b64encode(secrets.token_bytes(24)).decode())
    assert made_up.reason == "PAGE_TOKEN_INVALID"
    assert page(MINE, MINE.owner, theirs) == made_up
    if "|" in method.place or method.place == "workspace_id":  # who runs the platform sees the same list
        operators = page(MINE, OPERATOR, "").next_page_token
        assert operators
        assert page(MINE, MINE.owner, operators) == made_up
