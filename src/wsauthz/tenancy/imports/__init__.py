"""State files into the database (formats.md C): an upsert of what is listed, all or nothing, and nothing is deleted."""

from wsauthz.tenancy.imports.importing import Counts, import_state

__all__ = ["Counts", "import_state"]
