"""What is kept: tables, queries by aggregate, revisions, audit, migrations. Only here is SQL spoken."""
