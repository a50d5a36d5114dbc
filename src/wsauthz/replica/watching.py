"""Reading the bundle again when its files change, by whatever way they are replaced.

Notifications are a hint: they follow a directory that was renamed, and know nothing of a link to another one. The truth
is what the names lead to now, looked at after every notification and every second without one.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import watchfiles

from wsauthz.policy.bundle import MODEL

_log = logging.getLogger(__name__)

_LOOK_MILLISECONDS: Final = 1_000

Seen = tuple[tuple[Any, ...], ...]


def look(directory: Path) -> Seen:
    """Return what tells the files of a bundle, and the model beside it, from other ones; empty without a directory."""
    paths = [directory, directory.absolute().parent / MODEL]
    with contextlib.suppress(OSError):
        paths += sorted(directory.iterdir())
    return tuple(_state(path) for path in paths)


async def watch(directory: Path, seen: Seen, reload: Callable[[], Any]) -> None:
    """Call ``reload``, in a worker thread, whenever the bundle's files are not as they were; until cancelled.

    ``seen`` is what :func:`look` returned before the bundle was read for the first time.
    """
    while True:
        with contextlib.suppress(FileNotFoundError):
            above = _above(directory)
            async for noticed in watchfiles.awatch(
                *above, recursive=True, debounce=200, rust_timeout=_LOOK_MILLISECONDS, yield_on_timeout=True
            ):
                seen, before = look(directory), seen
                if seen == before:
                    continue
                await _reload(reload)
                if not noticed:
                    break  # what is watched is not what the name leads to any more
        await asyncio.sleep(_LOOK_MILLISECONDS / 1000)


def _above(directory: Path) -> set[Path]:
    """Return where the directory is, and where it really is if it is a link."""
    return {directory.absolute().parent, directory.resolve().parent}


async def _reload(reload: Callable[[], Any]) -> None:
    try:
        await asyncio.get_running_loop().run_in_executor(None, reload)
    except Exception:  # noqa: BLE001 - logged; watching must go on
        _log.exception("reading the bundle failed; the last good one stays")


def _state(path: Path) -> tuple[Any, ...]:
    try:
        found = path.stat()
    except OSError:
        return (path.name,)
    times = () if path.is_dir() else (found.st_mtime_ns, found.st_ctime_ns, found.st_size)
    return (path.name, found.st_dev, found.st_ino, *times)
