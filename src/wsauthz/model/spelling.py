"""Names that a mistyped one may stand for, found in a time that depends on its length and not on how many there are.

Anybody who may ask a question can mistype one, a thousand times in a batch, so a comparison with every name would let
callers stop the server.
"""

from collections.abc import Iterable, Iterator
from typing import Final

_LONGEST: Final = 64
"""Characters of names that are looked up; the remainder of a longer name would cost the square of its length."""


class Spelling:
    """An index of names by themselves and by every text that lacks one of their characters, whatever their case."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[str, str] = {}
        for name in names:
            for text in _forms(name):
                self._names.setdefault(text, name)
        for name in dict.fromkeys(self._names.values()):
            _, colon, bare = name.partition(":")
            if colon:  # the module is what people leave out; a name that is spelled so in full comes first
                for text in _forms(bare):
                    self._names.setdefault(text, name)

    def meant(self, word: str) -> str:
        """Return ``" (did you mean x?)"`` if a name differs from the word by a character or two, else nothing."""
        for text in _forms(word.removeprefix("core:")):
            name = self._names.get(text)
            if name is not None and name != word:
                return f" (did you mean {name}?)"
        return ""


def meant(word: str, names: Iterable[str]) -> str:
    """Return what :class:`Spelling` says of the word; the names are looked at once."""
    return Spelling(names).meant(word)


def _forms(name: str) -> Iterator[str]:
    if len(name) <= _LONGEST:
        folded = name.casefold()
        yield folded
        for at in range(len(folded)):
            yield folded[:at] + folded[at + 1 :]
