"""A mapping with one entry: three of four users are a member of one place only."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Single(Mapping[K, V]):
    """One key and its value, in a fifth of the memory that a dictionary takes. Never changed."""

    __slots__ = ("key", "value")

    def __init__(self, key: K, value: V) -> None:
        self.key = key
        self.value = value

    def __getitem__(self, key: object) -> V:
        if key != self.key:
            raise KeyError(key)
        return self.value

    def __iter__(self) -> Iterator[K]:
        yield self.key

    def __len__(self) -> int:
        return 1
