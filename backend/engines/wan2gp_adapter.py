"""Wan2GP (upstream, driven through its API in its own environment). Service process side."""

from __future__ import annotations

from backend.engines.gpu_adapter import GpuEngineAdapter


class Wan2GPAdapter(GpuEngineAdapter):
    """`preferred_engine: "wan2gp"`."""

    title = "Wan2GP"
    installer = "install_wan2gp.bat (Windows) or install_wan2gp.sh (Linux)"
    disclosure = (
        "Powered by WanGP (github.com/deepbeepmeep/Wan2GP), WanGP Community License. "
        "It is not part of All-in-one and is installed separately."
    )

    @property
    def name(self) -> str:
        return "wan2gp"
