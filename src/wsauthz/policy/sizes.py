"""Limits of the size of a bundle: what its parts make together is limited before any of it is compiled."""

from typing import Final

MOST_BYTES: Final = 1 << 20
"""Of one file."""
MOST_ROWS: Final = 10_000
"""Of policy.csv."""
MOST_HOLDERS: Final = 1_000
"""Roles and permissions."""
MOST_ACTIONS: Final = 10_000
"""Of all resource types together."""
MOST_COVERED: Final = 100_000
"""Actions that the rules are about, each counted for every rule that covers it: rules times types times actions."""
MOST_QUESTIONS: Final = 200_000
"""Of all tests, every cell of a matrix being one."""
MOST_PROBLEMS: Final = 100
"""After which a file is not read on: each of them costs more than a good line."""


def exceeds(what: str, count: int, most: int) -> str:
    """Return a sentence about what there is too much of; empty if there is not."""
    return f"{what}: {count:,}, at most {most:,}" if count > most else ""
