"""THE table: what each of our errors is in gRPC, with google.rpc details."""

from typing import Final

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from wsauthz.model import errors
from wsauthz.model.moments import rfc3339

DOMAIN: Final = "wsauthz"

TABLE: Final[dict[type[errors.Refused], tuple[grpc.StatusCode, str]]] = {
    errors.InvalidArgument: (grpc.StatusCode.INVALID_ARGUMENT, "ValidationError"),
    errors.NotFound: (grpc.StatusCode.NOT_FOUND, "NotFoundError"),
    errors.AlreadyExists: (grpc.StatusCode.ALREADY_EXISTS, "ValidationError"),
    errors.FailedPrecondition: (grpc.StatusCode.FAILED_PRECONDITION, "ValidationError"),
    errors.PermissionDenied: (grpc.StatusCode.PERMISSION_DENIED, "AuthError"),
    errors.Unauthenticated: (grpc.StatusCode.UNAUTHENTICATED, "AuthError"),
    errors.TooManyRequests: (grpc.StatusCode.RESOURCE_EXHAUSTED, ""),
    errors.TooManyAttempts: (grpc.StatusCode.RESOURCE_EXHAUSTED, ""),
    errors.TooManyRefusals: (grpc.StatusCode.RESOURCE_EXHAUSTED, ""),
    errors.TooFarBehind: (grpc.StatusCode.ABORTED, ""),
    errors.TooManyStreams: (grpc.StatusCode.RESOURCE_EXHAUSTED, ""),
    errors.ConsumerTooSlow: (grpc.StatusCode.RESOURCE_EXHAUSTED, ""),
    errors.RevisionPruned: (grpc.StatusCode.OUT_OF_RANGE, ""),
    errors.Unavailable: (grpc.StatusCode.UNAVAILABLE, ""),
}
"""Class, for itself and its subclasses, to status and the ``kind`` that frontends know errors by."""


def entry(error: errors.Refused) -> tuple[grpc.StatusCode, str]:
    """Return the row of the table for an error: that of its nearest class.

    Raises:
        KeyError: the class is in no row; a test asserts that there is none.

    """
    for ancestor in type(error).__mro__:
        if ancestor in TABLE:
            return TABLE[ancestor]
    raise KeyError(type(error).__name__)


def status(error: errors.Refused) -> status_pb2.Status:
    """Return the error as callers get it: code, sentence, ErrorInfo, and what else fits."""
    code, kind = entry(error)
    metadata = {"kind": kind} if kind else {}
    if isinstance(error, errors.RoleCeiling) and error.latest is not None:
        metadata["latest_expires_at"] = rfc3339(error.latest)
    if error.field and code is not grpc.StatusCode.INVALID_ARGUMENT:  # there it is in BadRequest
        metadata["field"] = error.field
    if error.workspace_id:
        metadata["workspace_id"] = error.workspace_id
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    details: list[Message] = [info]
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=str(error))
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    elif code is grpc.StatusCode.FAILED_PRECONDITION:
        failure = error_details_pb2.PreconditionFailure.Violation(type=error.reason, description=str(error))
        details.append(error_details_pb2.PreconditionFailure(violations=[failure]))
    elif isinstance(error, errors.Busy):
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(error.retry_seconds * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return _status(code, str(error), details)


def internal(incident: str) -> status_pb2.Status:
    """Return what a caller learns of an error that is ours: the id of its log line, and nothing else."""
    info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata={"incident": incident})
    return _status(grpc.StatusCode.INTERNAL, f"Internal error; incident {incident}", [info])


def _status(code: grpc.StatusCode, sentence: str, details: list[Message]) -> status_pb2.Status:
    packed = []
    for detail in details:
        wrapped = any_pb2.Any()
        wrapped.Pack(detail)
        packed.append(wrapped)
    return status_pb2.Status(code=code_pb2.Code.Value(code.name), message=sentence, details=packed)
