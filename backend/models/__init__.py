"""Types, enums and the error tree. No I/O, no imports from the rest of the backend."""
