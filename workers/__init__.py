"""Code that runs inside an engine worker process. Imports nothing from backend."""
