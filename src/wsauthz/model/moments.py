"""Moments as text."""

from datetime import datetime


def rfc3339(moment: datetime) -> str:
    """Return an aware moment in UTC as RFC 3339 writes it, with ``Z``: the form of state files, errors and calls."""
    return moment.isoformat().replace("+00:00", "Z")
