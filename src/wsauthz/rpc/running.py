"""Where a servicer's method runs; without a mark it is a read or a write in a worker thread, as its option says."""

from collections.abc import Callable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def on_loop(method: Method) -> Method:
    """Mark a method ``(request, by)`` that runs on the event loop and never waits: a decision."""
    method.runs = "loop"  # type: ignore[attr-defined]  # functions take attributes
    return method


def in_thread(method: Method) -> Method:
    """Mark a method ``(request, by)`` that runs in a worker thread without a database transaction."""
    method.runs = "thread"  # type: ignore[attr-defined]  # functions take attributes
    return method
