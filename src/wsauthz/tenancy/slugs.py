"""Slugs: explicit ones must be free, those made from a name are made so."""

from collections.abc import Callable, Collection, Iterator
from itertools import count

from wsauthz.model import texts
from wsauthz.model.identifiers import slugify


def choose(
    explicit: str, name: str, fallback: str, taken: Callable[[str], Collection[str]], *, field: str = "slug"
) -> str:
    """Return the explicit slug, or one made from the name, with ``-2``, ``-3`` ... when it is taken.

    ``taken`` returns, of the slugs that are the given one or begin with it and ``-``, those that are taken. Whether an
    explicit one is free is the database's to say (SlugTaken).

    Raises:
        InvalidArgument: the explicit one is too long, or nothing is left of it.

    """
    if explicit.strip():
        return texts.slug(explicit, field=field)
    # A name may be longer than a slug, and the number needs room, too.
    base = slugify(name, fallback)[: texts.SLUG_MOST - 10].rstrip("-")
    found = taken(base)
    return next(slug for slug in _numbered(base) if slug not in found)


def _numbered(base: str) -> Iterator[str]:
    yield base
    yield from (f"{base}-{number}" for number in count(2))
