"""Every place in a request where a value can stand, nested ones included."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from wsauthz.rpc.methods import Method

T = TypeVar("T")

_MESSAGE: Final = FieldDescriptor.TYPE_MESSAGE


@dataclass(frozen=True, slots=True)
class Slot:
    """A field of a method's request, or of a message in it. Messages of protobuf itself, and maps, count as values."""

    method: Method
    path: tuple[str, ...]
    field: FieldDescriptor

    def __str__(self) -> str:
        return f"{self.method.name}.{'.'.join(self.path)}"

    @property
    def name(self) -> str:
        """Where it stands, as callers are told."""
        return ".".join(self.path)

    @property
    def is_text(self) -> bool:
        """Whether it holds one string or several."""
        return self.field.type == FieldDescriptor.TYPE_STRING

    def find(self, table: Mapping[str, T]) -> T | None:
        """Return what a table says of the slot: by method and field, by its path, or by its last name."""
        return next((table[key] for key in (str(self), self.name, self.path[-1]) if key in table), None)

    def put(self, request: Message, value: Any) -> None:
        """Put a value there; in a list it becomes the only one, if it is not itself a list."""
        holder: Any = request
        for name in self.path[:-1]:
            inner = getattr(holder, name)
            if not isinstance(inner, Message):
                inner = inner[0] if inner else inner.add()
            inner.SetInParent()
            holder = inner
        name = self.path[-1]
        if is_map(self.field):
            holder.ClearField(name)
            getattr(holder, name).update(value)
        elif self.field.is_repeated:
            holder.ClearField(name)
            getattr(holder, name).extend(value if isinstance(value, list) else [value])
        elif self.field.type == _MESSAGE:
            holder.ClearField(name)
            if value is not None:
                getattr(holder, name).CopyFrom(value)
        else:
            setattr(holder, name, value)


def slots(method: Method) -> Iterator[Slot]:
    """Yield every slot of a method's request."""
    yield from _within(method, method.request.DESCRIPTOR, ())


def is_map(field: Any) -> bool:
    """Tell whether a field is a map."""
    return bool(field.type == _MESSAGE and field.message_type.GetOptions().map_entry)


def _within(method: Method, message: Any, path: tuple[str, ...]) -> Iterator[Slot]:
    for field in message.fields:
        here = (*path, field.name)
        is_value = field.type != _MESSAGE or is_map(field) or field.message_type.file.package == "google.protobuf"
        if is_value:
            yield Slot(method, here, field)
        else:
            yield from _within(method, field.message_type, here)
