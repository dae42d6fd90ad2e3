"""Which of the service's environment variables a worker may see. Service process. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping

# Variables a worker may see. Names end exactly, prefixes match their beginning. Everything that could
# bend the engine's interpreter (PYTHONHOME, PYTHONPATH, VIRTUAL_ENV) or is secret stays outside.
_ALLOWED = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "TEMP",
        "TMP",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "SYSTEMROOT",
        "SYSTEMDRIVE",
        "WINDIR",
        "COMSPEC",
        "PATHEXT",
        "USERPROFILE",
        "USERNAME",
        "APPDATA",
        "LOCALAPPDATA",
        "PROGRAMDATA",
        "NUMBER_OF_PROCESSORS",
        "PROCESSOR_ARCHITECTURE",
        "OS",
        "HOMEDRIVE",
        "HOMEPATH",
        "PROGRAMFILES",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "HF_HOME",
        "HF_ENDPOINT",
        "HF_HUB_OFFLINE",
        "HF_HUB_CACHE",
        "TRANSFORMERS_CACHE",
        "TRANSFORMERS_OFFLINE",
        "TORCH_HOME",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "XDG_CACHE_HOME",
    ]
)
_ALLOWED_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "HIP_", "ROCR_", "HSA_")


def build_worker_env(parent: Mapping[str, str], extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a worker: the allow-listed part of `parent`, then `extra`.

    In a PyInstaller build the loader's own LD_LIBRARY_PATH is replaced by the user's, which the
    bootloader keeps in LD_LIBRARY_PATH_ORIG (PyInstaller manual, "Run-time Information").
    """
    env = {name: value for name, value in parent.items() if _is_allowed(name.upper())}
    if getattr(sys, "frozen", False):
        env.pop("LD_LIBRARY_PATH", None)
        if "LD_LIBRARY_PATH_ORIG" in parent:
            env["LD_LIBRARY_PATH"] = parent["LD_LIBRARY_PATH_ORIG"]
        # A worker is this executable again: with these it uses the files that are unpacked already, and its
        # parent is this process and not a second loader.
        env.update({name: value for name, value in parent.items() if name.startswith("_PYI_")})
    env["PYTHONNOUSERSITE"] = "1"
    env.update(extra or {})
    return env


def _is_allowed(name: str) -> bool:
    return name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES)
