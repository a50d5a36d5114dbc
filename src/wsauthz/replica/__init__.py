"""One process's copy of the facts, kept at the database's newest revision."""

from wsauthz.replica.replica import Replica, Written

__all__ = ["Replica", "Written"]
