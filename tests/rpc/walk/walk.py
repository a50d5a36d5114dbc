"""A server and the dictionaries that say what it should do: every call is made on both, and both are compared."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, Final

from google.protobuf.message import Message
from google.protobuf.text_format import MessageToString
from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, invariant

from tests.oracle.bundles import shipped_bundle
from tests.oracle.plain_state import PLATFORM
from tests.oracle.tenancy_model import Reasons, Tenancy
from tests.oracle.tenancy_places import upsert
from tests.rpc.conftest import MakeDatabase
from tests.rpc.filling import fill, state_of
from tests.rpc.tenants import OPERATOR, STATE
from tests.rpc.walk import pictures
from tests.rpc.walk.invariants import broken
from tests.serving import Refusal, Serving, attempt
from wsauthz.store.database import Database
from wsauthz.v1.invitations_pb2 import GetInviteCodeRequest

LEADS_NOWHERE: Final = {"WORKSPACE_NOT_FOUND", "ORGANIZATION_NOT_FOUND", "INVITATION_NOT_FOUND", "INVALID_CODE"}


class Walk(RuleBasedStateMachine):
    """One database, one server, the dictionaries, and how a call is made on them."""

    outcomes: ClassVar[Counter[tuple[str, str]]] = Counter()
    """How often each method was called, with which outcome."""

    def __init__(self, make_database: MakeDatabase, bundle: Path) -> None:
        super().__init__()
        self.shipped, self.policy = shipped_bundle(bundle)
        self.model = Tenancy(policy=self.policy)
        upsert(self.model, OPERATOR, {})
        self.model.enrol(PLATFORM, OPERATOR, self.shipped.catalog.operator_role)
        self.done: list[tuple[str, str, Any, Any]] = []
        """Actor, method, request and answer of calls that had an effect and a request id."""
        self.dead_codes: list[str] = []
        self.refusal = ""
        """Why the last call was refused."""
        self.is_sound = True
        """Nothing has gone wrong so far."""
        self._stack = ExitStack()
        url = self._stack.enter_context(make_database())
        fill(url, state_of(STATE), self.shipped.catalog)
        self.server = self._stack.enter_context(Serving(url, bundle))
        self.database = Database(url)
        self._stack.callback(self.database.close)
        self._was = pictures.of_model(self.model)
        self._revision = pictures.stored(self.database).revision
        self._called: tuple[str, str, Any, Any] | None = None
        self._forget()

    def call(
        self,
        actor: str,
        method: str,
        request: Any,
        reasons: Reasons,
        *,
        maybe: Reasons | None = None,
        is_vague: bool = False,
        counts: bool = False,
    ) -> Any:
        """Make a call such as "users.UpsertUser"; return its answer, or None if it is refused for one of the reasons.

        It may be refused for one of ``maybe`` besides. ``is_vague``: whether it changes anything is its own business;
        ``counts``: that it leads nowhere is counted.
        """
        self.is_sound, self.model.actor = False, actor
        answer = self.send(actor, method, request)
        self.refusal = (answer.reason or answer.code.name) if isinstance(answer, Refusal) else ""
        words = MessageToString(request, as_one_line=True)
        note(f"{actor or 'nobody'}: {method} {words} -> {self.refusal or 'OK'}")
        self.outcomes[method.partition(".")[2], self.refusal or "OK"] += 1
        if isinstance(answer, Refusal):
            expected = reasons | (maybe or set())
            assert self.refusal in expected, f"{self.refusal} ({answer.message}), expected was {reasons or 'OK'}"
            if counts and self.refusal in LEADS_NOWHERE:
                self.model.failures[actor] += 1
            return None
        assert not reasons, f"answered, though {reasons}: {answer}"
        self._told, self._is_vague = getattr(answer, "revision", ""), is_vague
        self._called = (actor, method, request, answer)
        return answer

    def send(self, actor: str, method: str, request: Message) -> Any:
        """Make a call and return its answer or its refusal."""
        stub, _, name = method.partition(".")
        return attempt(getattr(getattr(self.server.client(actor or None), stub), name), request)

    def learn_code(self, key: str) -> None:
        """Note the invite code of a workspace; the operator may see every one."""
        shown = self.send(OPERATOR, "invitations.GetInviteCode", GetInviteCodeRequest(workspace_id=key))
        self.model.codes[key] = (shown.code, shown.is_enabled)

    @invariant()
    def everything_is_as_it_should_be(self) -> None:
        """The rows are those of the dictionaries, nothing is broken, and a revision was made if anything changed."""
        found = pictures.stored(self.database)
        should = pictures.of_model(self.model)
        assert not (wrong := pictures.differences(should, pictures.of_database(found))), "\n".join(wrong)
        assert not (wrong := broken(found, self.policy)), "\n".join(wrong)
        grown = found.revision - self._revision
        assert grown in ({0, 1} if self._is_vague else {int(should != self._was)}), f"the revision grew by {grown}"
        assert self._told in {"", found.token}, f"{self._told} was told, but it is {found.token}"
        if grown and self._called is not None:
            request_id: str = getattr(self._called[2], "request_id", "")
            self.done += [self._called] if request_id else []
        self._was, self._revision, self.is_sound = should, found.revision, True
        self._forget()

    def _forget(self) -> None:
        self._told, self._is_vague = "", False
        self._called = None

    def teardown(self) -> None:
        """Stop serving."""
        self._stack.close()
