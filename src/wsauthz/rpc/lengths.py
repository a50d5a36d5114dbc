"""The length limit of every text in a request; most fields have a shorter one of their own."""

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from wsauthz.model.errors import InvalidArgument

LONGEST: Final = 16_384
"""Characters of any text in a request, with the spaces around it, which are not counted by the limits of the fields."""

_LIMITED_ELSEWHERE: Final = frozenset(
    {
        # Policy files are as long as a message; settings have a limit in bytes of JSON; one bad item fails alone.
        "wsauthz.v1.ValidatePolicyRequest.files",
        "wsauthz.v1.UpdateModuleSettingsRequest.settings",
        "wsauthz.v1.BatchCheckRequest.items",
        "wsauthz.v1.BatchUpsertUsersRequest.users",
    }
)


def check_texts(request: Message) -> None:
    """Return if no text of the request is longer than :data:`LONGEST`.

    Raises:
        InvalidArgument: one is; it is named by its path.

    """
    for path, text in _texts(request, ()):
        if len(text) > LONGEST:
            raise InvalidArgument(path, f"must be at most {LONGEST:,} characters long")


def _texts(message: Message, within: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield every text with its path; keys of maps are texts as well."""
    value: Any
    for field, value in message.ListFields():
        if field.full_name in _LIMITED_ELSEWHERE:
            continue
        # A list in a message of its own, and a message of protobuf itself, are named as the field that holds them.
        is_inner = within[-1:] == (field.name,) or message.DESCRIPTOR.file.package == "google.protobuf"
        path = within if is_inner else (*within, field.name)
        entry = field.message_type
        is_map = entry is not None and entry.GetOptions().map_entry
        values = value if field.is_repeated else (value,)
        if field.type == FieldDescriptor.TYPE_STRING or is_map:
            yield from ((".".join(path), each) for each in values if isinstance(each, str))
        elif entry is not None:
            for each in values:
                yield from _texts(each, path)
