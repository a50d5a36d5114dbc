"""State files into the database (formats.md C): an upsert of what is listed, all or nothing, and nothing is deleted."""

from wsauthz.tenancy.imports.importing import Counts, Imported, import_state

__all__ = ["Counts", "Imported", "import_state"]
