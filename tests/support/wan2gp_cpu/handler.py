"""The wan2gp worker with the stand-in put under upstream. Named on the command line of the worker's host."""

from __future__ import annotations

from tests.support.wan2gp_cpu.patches import install

install()

from workers.wan2gp.handler import create_handler  # noqa: E402  (the patches come first)

__all__ = ["create_handler"]
