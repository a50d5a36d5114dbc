"""A product as its people use it: everybody calls methods in their own name, and the application asks for them.

Methods are named as in the API, their fields as in the messages, so that a test reads like the pages in docs/products::

    sent = olga.does("CreateInvitation", workspace_id=workspace, email=milo.email)
    refused = tess.cannot("AcceptInvitation", token=sent.token)
    assert product.page(milo, workspace) == "404 Workspace not found"
"""

from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from tests.rpc.tenants import OPERATOR, Tenants
from tests.serving import Client, Refusal, refusal
from wsauthz.rpc.methods import methods
from wsauthz.v1 import authorization_pb2 as pb

ALLOWED: Final = "allowed"
OPENED: Final = "opened"

DENIED: Final = grpc.StatusCode.PERMISSION_DENIED
EXISTS: Final = grpc.StatusCode.ALREADY_EXISTS
INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND: Final = grpc.StatusCode.NOT_FOUND
PRECONDITION: Final = grpc.StatusCode.FAILED_PRECONDITION

_METHODS: Final = {method.name: method for method in methods().values()}


def why(refused: Refusal) -> tuple[grpc.StatusCode, str]:
    """Return what a refusal is told by."""
    return refused.code, refused.reason


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account, or the application itself (an empty id)."""

    client: Client
    id: str = ""
    name: str = ""
    email: str = ""

    def does(self, method: str, **fields: Any) -> Any:
        """Call a method by its name and return the answer."""
        found = _METHODS[method]
        return self.client.call(found.full_name, found.request(**fields), found.answer)

    def cannot(self, method: str, **fields: Any) -> Refusal:
        """Call a method that must refuse, and return the refusal."""
        found = _METHODS[method]

        def call(request: Message) -> Message:
            return self.client.call(found.full_name, request, found.answer)

        return refusal(call, found.request(**fields))


class Product:
    """One product: its bundle on a server, its application, its people."""

    def __init__(self, tenants: Tenants) -> None:
        self.tenants = tenants
        self.app = Person(tenants.client())
        self.operator = Person(tenants.operator, OPERATOR)

    def person(self, name: str, *, verified: bool = True) -> Person:
        """Sign somebody up; the id is new, whatever the name."""
        user_id = self.tenants.user(name.lower(), verified=verified)
        return Person(self.tenants.client(user_id), user_id, name, f"{user_id}@example.com")

    def check(self, person: Person, workspace_id: str, question: str, **fields: Any) -> str:
        """Ask for a person whether it may do one thing, such as "event create": "allowed", or the reason why not."""
        answer = self.tenants.check(person.id, workspace_id, question, **fields)
        return ALLOWED if answer.decision == pb.DECISION_ALLOW else answer.denial.reason

    def allowed(self, person: Person, workspace_id: str, *questions: str) -> list[str]:
        """Return those of several things that a person may do, asked in one batch."""
        items = []
        for question in questions:
            resource, _, action = question.partition(" ")
            item = {"subject": person.id, "workspace_id": workspace_id, "resource": resource, "actions": [action]}
            items.append(item)
        answers = self.app.does("BatchCheck", items=items).answers
        assert not any(answer.error for answer in answers)
        return [
            question
            for question, answer in zip(questions, answers, strict=True)
            if answer.decision == pb.DECISION_ALLOW
        ]

    def page(self, person: Person, workspace_id: str, **fields: Any) -> str:
        """Return what a person's browser shows who navigates to a page of a workspace: "opened", or status and where.

        The fields are those of CheckRoute: ``guards``, ``required_module``, ``parent_workspace_id``.
        """
        answer = self.app.does("CheckRoute", subject=person.id, workspace_id=workspace_id, **fields)
        if answer.decision == pb.DECISION_ALLOW:
            return OPENED
        return f"{answer.denial.http_status} {answer.denial.redirect_to or answer.denial.message}"

    def role(self, person: Person, workspace_id: str) -> str:
        """Return the role that a person has by itself or from above in a workspace; empty: none."""
        found: str = self.app.does("GetAccess", subject=person.id, workspace_id=workspace_id).role
        return found

    def switcher(self, person: Person, **fields: Any) -> dict[str, str]:
        """Return the names in a person's list of workspaces, each with the role there."""
        listed = person.does("ListUserWorkspaces", **fields).workspaces
        return {item.name: item.role for item in listed}

    def members(self, by: Person, workspace_id: str) -> dict[str, str]:
        """Return the members of a workspace as one of them sees them: name -> role."""
        listed = by.does("ListMembers", workspace_id=workspace_id).members
        return {member.user_name: member.membership.role for member in listed}
