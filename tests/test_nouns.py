"""A noun has one shape: the fields of the dataclass are the columns of the table and the fields of the message."""

import dataclasses
from typing import Any, NamedTuple

import pytest

from wsauthz.model.invitations import Invitation
from wsauthz.model.memberships import Membership
from wsauthz.model.organizations import Organization
from wsauthz.model.subscriptions import Subscription
from wsauthz.model.users import User
from wsauthz.model.workspaces import Branding, Workspace, WorkspaceSettings
from wsauthz.store import tables
from wsauthz.v1 import (
    invitations_pb2,
    memberships_pb2,
    organizations_pb2,
    settings_pb2,
    users_pb2,
    workspaces_pb2,
)


class Noun(NamedTuple):
    """One noun in its shapes."""

    type: Any
    table: Any
    message: Any


NOUNS = {
    "user": Noun(User, tables.users, users_pb2.User),
    "organization": Noun(Organization, tables.organizations, organizations_pb2.Organization),
    "workspace": Noun(Workspace, tables.workspaces, workspaces_pb2.Workspace),
    "membership": Noun(Membership, tables.memberships, memberships_pb2.Membership),
    "invitation": Noun(Invitation, tables.invitations, invitations_pb2.Invitation),
    "subscription": Noun(Subscription, tables.subscriptions, settings_pb2.Subscription),
}

NOT_IN_MESSAGES = {
    "deleted_at": "deleted things are NOT_FOUND for everybody, so no message ever shows one",
    "added_by": "decides who may leave whatever the rules say; the audit tells administrators",
    "is_derived": "says whether the terms follow other memberships; they are shown, and changing them ends it",
    "removed_by": "decides whether a join code brings somebody back; nobody is told who removed them",
}

IN_MESSAGES_ONLY = {
    "accepted": "derived from accepted_at, for frontends that want a flag (REQ-019)",
    "lost_default_workspace": "derived from what the user holds in the default workspace now",
}

IN_TABLES_ONLY: dict[str, str] = {}
"""Column -> why it is no field of the noun. Secrets have tables of their own."""


def fields(noun: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(noun)}


@pytest.mark.parametrize("name", NOUNS)
def test_the_fields_are_the_columns(name: str) -> None:
    noun = NOUNS[name]
    assert {column.name for column in noun.table.columns} - set(IN_TABLES_ONLY) == fields(noun.type)


@pytest.mark.req("REQ-035")
@pytest.mark.parametrize("name", NOUNS)
def test_the_fields_are_those_of_the_message(name: str) -> None:
    noun = NOUNS[name]
    in_message = set(noun.message.DESCRIPTOR.fields_by_name) - set(IN_MESSAGES_ONLY)
    assert in_message == fields(noun.type) - set(NOT_IN_MESSAGES)


def test_the_parts_of_a_workspace_have_one_shape() -> None:
    assert set(workspaces_pb2.WorkspaceSettings.DESCRIPTOR.fields_by_name) == fields(WorkspaceSettings)
    assert set(workspaces_pb2.Branding.DESCRIPTOR.fields_by_name) == fields(Branding)


def test_every_exception_is_needed() -> None:
    everything = set().union(*(fields(noun.type) for noun in NOUNS.values()))
    assert set(NOT_IN_MESSAGES) <= everything
    assert not set(IN_MESSAGES_ONLY) & everything
    columns = {column.name for noun in NOUNS.values() for column in noun.table.columns}
    assert set(IN_TABLES_ONLY) <= columns - everything


def test_every_noun_is_frozen_slotted_and_by_keyword() -> None:
    for noun in (*(noun.type for noun in NOUNS.values()), Branding, WorkspaceSettings):
        parameters = noun.__dataclass_params__
        assert parameters.frozen, noun
        assert all(field.kw_only for field in dataclasses.fields(noun)), noun
        assert "__slots__" in vars(noun), noun


@pytest.mark.parametrize("name", NOUNS)
def test_whatever_may_be_absent_may_be_null_and_nothing_else(name: str) -> None:
    noun = NOUNS[name]
    hints = {field.name: str(field.type) for field in dataclasses.fields(noun.type)}
    nullable = {column.name for column in noun.table.columns if column.nullable}
    assert nullable == {field for field, hint in hints.items() if "None" in hint}


def test_no_noun_has_a_secret() -> None:
    for noun in NOUNS.values():
        assert not {
            field for field in fields(noun.type) for word in ("token", "hash", "code", "secret") if word in field
        }
