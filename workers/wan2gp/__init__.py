"""Wan2GP, driven through its `shared.api` in its own environment: talking pictures and cloned voices. A worker process."""
