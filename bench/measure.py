"""Rounds: every case once in each of them, one after the other, so that a slow spell of the machine hits all alike."""

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """One figure, measured once in each round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return median(self.values)

    def each(self, change: Callable[[float], float]) -> "Rounds":
        """Return the figure in another unit."""
        return Rounds(values=tuple(change(value) for value in self.values))

    def over(self, other: "Rounds") -> "Rounds":
        """Return the ratios, each of two neighbours in time."""
        return Rounds(values=tuple(a / b for a, b in zip(self.values, other.values, strict=True)))

    def text(self, form: str) -> str:
        """Return median and spread, such as ``3.1 (2.9 to 3.4)``."""
        low, middle, high = (format(value, form) for value in (min(self.values), self.median, max(self.values)))
        return f"{middle} ({low} to {high})"


def interleaved(cases: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Rounds]:
    """Run every case once to warm up and then once in each round; return what they returned."""
    for case in cases.values():
        case()
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            taken[name].append(case())
    return {name: Rounds(values=tuple(values)) for name, values in taken.items()}


def cpu_each(work: Callable[[], None], count: int) -> float:
    """Return the CPU time of this process for each of ``count`` things that ``work`` does, in seconds.

    Not the time on the clock: while others use this core, theirs would be counted. What they do to the caches is.
    """
    began = time.process_time()
    work()
    return (time.process_time() - began) / count


def settle() -> None:
    """Do what the server does once its facts are loaded: keep the garbage collector from going through them."""
    gc.collect()
    gc.freeze()


def per_second(seconds: Rounds) -> Rounds:
    """Return how many fit into a second."""
    return seconds.each(lambda value: 1 / value)


def microseconds(seconds: Rounds) -> Rounds:
    """Return the figure in microseconds."""
    return seconds.each(lambda value: value * 1e6)
