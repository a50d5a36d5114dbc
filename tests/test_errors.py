"""Every error of the model is something definite in gRPC, and is known by one stable reason."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from wsauthz.model import errors
from wsauthz.policy.catalog import Reason
from wsauthz.rpc import errors as rpc_errors

GROUPS = {
    errors.Refused,
    errors.NotFound,
    errors.AlreadyExists,
    errors.FailedPrecondition,
    errors.PermissionDenied,
    errors.Unauthenticated,
    errors.Busy,
}
"""Never raised themselves: they have no reason of their own."""

KINDS = {
    grpc.StatusCode.INVALID_ARGUMENT: "ValidationError",
    grpc.StatusCode.NOT_FOUND: "NotFoundError",
    grpc.StatusCode.ALREADY_EXISTS: "ValidationError",
    grpc.StatusCode.FAILED_PRECONDITION: "ValidationError",
    grpc.StatusCode.PERMISSION_DENIED: "AuthError",
    grpc.StatusCode.UNAUTHENTICATED: "AuthError",
}


def classes() -> Iterator[type[errors.Refused]]:
    for _, found in inspect.getmembers(errors, inspect.isclass):
        if issubclass(found, errors.Refused) and found not in GROUPS:
            yield found


def example(error: type[errors.Refused]) -> errors.Refused:
    """Build one with whatever its constructor wants."""
    parameters = inspect.signature(error).parameters.values()
    needed = [one for one in parameters if one.default is one.empty and one.kind is not one.KEYWORD_ONLY]
    arguments: list[Any] = [3 if one.annotation in {int, float} else "x" for one in needed]
    return error(*arguments)


ALL = sorted(classes(), key=lambda found: found.__name__)


@pytest.mark.parametrize("error", ALL)
def test_every_error_is_mapped(error: type[errors.Refused]) -> None:
    code, kind = rpc_errors.entry(example(error))
    assert isinstance(code, grpc.StatusCode)
    assert kind == KINDS.get(code, "")


@pytest.mark.parametrize("error", ALL)
def test_every_status_has_what_its_code_promises(error: type[errors.Refused]) -> None:
    made = example(error)
    status = rpc_errors.status(made)
    names = [detail.TypeName().rpartition(".")[2] for detail in status.details]
    assert len(names) == len(set(names))
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (made.reason, "wsauthz")
    code = rpc_errors.entry(made)[0]
    assert ("BadRequest" in names) == (code is grpc.StatusCode.INVALID_ARGUMENT)
    assert ("PreconditionFailure" in names) == (code is grpc.StatusCode.FAILED_PRECONDITION)
    assert ("RetryInfo" in names) == isinstance(made, errors.Busy)
    assert status.message == str(made) != ""


def test_reasons_are_upper_snake_and_unique() -> None:
    reasons = [error.reason for error in ALL if "reason" in vars(error)]
    assert all(re.fullmatch(r"[A-Z][A-Z_]{1,61}[A-Z]", reason) for reason in reasons)
    assert len(reasons) == len(set(reasons))
    assert {error for error in ALL if "reason" not in vars(error)} <= {errors.Denied}


def test_a_reason_that_is_also_a_denial_means_the_same() -> None:
    shared = {error.reason for error in ALL} & {str(reason) for reason in Reason}
    places = {"WORKSPACE_NOT_FOUND", "WORKSPACE_SUSPENDED", "WORKSPACE_INACTIVE"}
    assert shared <= places | {"MEMBERSHIP_INACTIVE", "MEMBERSHIP_EXPIRED"}


def test_every_row_of_the_table_is_used() -> None:
    for row in rpc_errors.TABLE:
        assert any(issubclass(error, row) for error in ALL), row


def test_the_tree_in_the_docstring_has_every_class() -> None:
    text = Path(errors.__file__).read_text().split('"""')[1]
    names = set(re.findall(r"[A-Z][a-zA-Z]+", text))
    defined = {found.__name__ for found in (*ALL, *GROUPS)}
    assert defined <= names


def test_an_error_of_ours_says_nothing_but_its_incident() -> None:
    status = rpc_errors.internal("4f2a")
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, dict(info.metadata)) == ("INTERNAL", {"incident": "4f2a"})
    assert status.message == "Internal error; incident 4f2a"
