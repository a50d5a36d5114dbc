"""One process's copy of the facts, kept at the database's newest revision, and reads and writes on it."""
