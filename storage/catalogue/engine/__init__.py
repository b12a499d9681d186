"""The database under the catalogue: SQLite or PostgreSQL, columns, keyset pages, versions."""
