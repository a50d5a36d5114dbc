"""Which requirement is shown by which test: the marks ``req`` of the tests, and ``req:`` in the cases.

The marks are read from the files, so it does not matter which tests run. ``python -m tests.test_requirements`` prints
the requirements that no test shows yet.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parent
REQUIREMENTS: Final = tuple(f"REQ-{number:03}" for number in range(1, 152))

_MARK: Final = re.compile(r"@?pytest\.mark\.req\(([^)]*)\)")
_CASE: Final = re.compile(r"\breq: \[([^\]]*)\]")
_NAME: Final = re.compile(r"REQ-\d+")


def shown() -> Mapping[str, list[str]]:
    """Return the requirements that tests show, each with the files of those tests."""
    found: dict[str, list[str]] = {}
    for pattern, ending in ((_MARK, "py"), (_CASE, "yaml")):
        for path in sorted(TESTS.rglob(f"*.{ending}")):
            for match in pattern.finditer(path.read_text()):
                for name in _NAME.findall(match[1]):
                    files = found.setdefault(name, [])
                    if (file := str(path.relative_to(TESTS))) not in files:
                        files.append(file)
    return found


def missing() -> list[str]:
    """Return the requirements that no test shows yet, in order."""
    return [name for name in REQUIREMENTS if name not in shown()]


def test_every_mark_names_a_requirement() -> None:
    unknown = {name: files for name, files in shown().items() if name not in REQUIREMENTS}
    assert not unknown


def test_marks_are_found_in_tests_and_in_cases() -> None:
    files = [file for files in shown().values() for file in files]
    assert any(file.endswith(".py") for file in files)
    assert any(file.endswith(".yaml") for file in files)


def main() -> None:
    """Print what is missing."""
    found = missing()
    sys.stdout.write(f"{len(REQUIREMENTS) - len(found)} of {len(REQUIREMENTS)} requirements are shown by a test.\n")
    sys.stdout.writelines(f"{name}\n" for name in found)


if __name__ == "__main__":
    main()
