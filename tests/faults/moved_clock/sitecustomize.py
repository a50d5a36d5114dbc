"""Moves the clock of a server that a test starts with this folder on PYTHONPATH, as if the machine's had been set.

``WSAUTHZ_TEST_CLOCK`` names a file with the seconds by which it is moved; it may be written to at any time.
"""

import os
import time
from pathlib import Path
from typing import Final

_FILE: Final = Path(os.environ["WSAUTHZ_TEST_CLOCK"])
_real: Final = time.time


def _moved() -> float:
    return _real() + float(_FILE.read_text())


time.time = _moved
