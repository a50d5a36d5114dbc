"""Struct as plain values. The other way round protobuf does it by itself."""

from typing import Any, Final

from google.protobuf.struct_pb2 import Struct, Value

from wsauthz.model.errors import InvalidArgument

_EXACT_BELOW: Final = 2.0**53
"""Whole numbers up to here are the same as a float."""


def plain(request: Any, name: str) -> dict[str, Any]:
    """Return the Struct in a field as what its JSON would be read as: whole numbers as such.

    Raises:
        InvalidArgument: it is unset, or holds a value of no kind, which JSON does not have.

    """
    if not request.HasField(name):
        raise InvalidArgument(name, "is required")
    return _object(getattr(request, name), name)


def _object(struct: Struct, name: str) -> dict[str, Any]:
    return {key: _value(value, name) for key, value in struct.fields.items()}


def _value(value: Value, name: str) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _object(value.struct_value, name)
        case "list_value":
            return [_value(each, name) for each in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < _EXACT_BELOW else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "null_value":
            return None
        case None:
            raise InvalidArgument(name, "holds a value that is not set")
