"""SQLite and files: the only package that knows either."""
