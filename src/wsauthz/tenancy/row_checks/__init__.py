"""Rows that break a rule of memberships, or may have been left behind by an earlier version, and what repairs them."""

from wsauthz.tenancy.row_checks.checking import check_rows
from wsauthz.tenancy.row_checks.findings import Call, Finding

__all__ = ["Call", "Finding", "check_rows"]
