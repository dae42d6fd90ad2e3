"""What of the service's environment reaches an engine."""

from __future__ import annotations

import sys

import pytest

from backend.engines.worker_env import build_worker_env

PARENT = {
    "PATH": "/usr/bin",
    "HOME": "/home/anna",
    "https_proxy": "http://proxy:3128",
    "LC_ALL": "C.UTF-8",
    "CUDA_VISIBLE_DEVICES": "1",
    "HF_HOME": "/models",
    "SystemRoot": "C:\\Windows",
    "LD_LIBRARY_PATH": "/opt/bundle",
    "LD_LIBRARY_PATH_ORIG": "/opt/own",
    "PYTHONPATH": "/evil",
    "PYTHONHOME": "/evil",
    "PYTHONSTARTUP": "/evil.py",
    "VIRTUAL_ENV": "/venv",
    "__PYVENV_LAUNCHER__": "x",
    "LD_PRELOAD": "/evil.so",
    "HF_TOKEN": "secret",
    "API_KEY": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
}


def test_only_what_is_listed_reaches_the_worker() -> None:
    assert build_worker_env(PARENT) == {
        "PATH": "/usr/bin",
        "HOME": "/home/anna",
        "https_proxy": "http://proxy:3128",
        "LC_ALL": "C.UTF-8",
        "CUDA_VISIBLE_DEVICES": "1",
        "HF_HOME": "/models",
        "SystemRoot": "C:\\Windows",
        "LD_LIBRARY_PATH": "/opt/bundle",
        "PYTHONNOUSERSITE": "1",
    }


def test_what_is_asked_for_by_name_wins() -> None:
    env = build_worker_env(PARENT, {"CUDA_VISIBLE_DEVICES": "GPU-1", "HF_TOKEN": "given on purpose"})
    assert (env["CUDA_VISIBLE_DEVICES"], env["HF_TOKEN"]) == ("GPU-1", "given on purpose")


def test_a_packed_service_gives_back_the_users_library_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert build_worker_env(PARENT)["LD_LIBRARY_PATH"] == "/opt/own"
    parent = {name: value for name, value in PARENT.items() if name != "LD_LIBRARY_PATH_ORIG"}
    assert "LD_LIBRARY_PATH" not in build_worker_env(parent)
