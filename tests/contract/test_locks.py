"""The locks hold what the requirements ask for, for every supported Python and system, with hashes."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")
PYTHONS = ("3.10", "3.11", "3.12")
# What is optional has an environment of its own; packages that it shares with the service are the same there.
OPTIONAL_LOCKS = ("requirements-listen.lock",)
ALL_LOCKS = (*LOCKS, *OPTIONAL_LOCKS)
SOURCES = [name.replace(".lock", ".txt") for name in ALL_LOCKS]
SYSTEMS = {"linux": "Linux", "win32": "Windows", "darwin": "Darwin"}
ENVIRONMENTS = [(python, system) for python in PYTHONS for system in SYSTEMS]


def _marker_environment(python: str, system: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": system,
        "platform_system": SYSTEMS[system],
        "os_name": "nt" if system == "win32" else "posix",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "platform_machine": "x86_64",
    }


def _applies(marker: Marker | None, environment: dict[str, str]) -> bool:
    return marker is None or marker.evaluate(environment)


def _requirements(name: str) -> list[Requirement]:
    found = []
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            beside = (ROOT / name).parent / text.removeprefix("-r ")
            found += _requirements(beside.relative_to(ROOT).as_posix())
        elif text:
            found.append(Requirement(text))
    return found


def _locked(name: str) -> list[tuple[Requirement, list[str]]]:
    """(requirement, hashes) of each entry of a lock."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [
        (Requirement(line.partition(" --hash=")[0]), re.findall(r"--hash=(\S+)", line)) for line in entries
    ]


@pytest.mark.parametrize("name", SOURCES)
def test_every_direct_requirement_is_pinned_exactly(name: str) -> None:
    for requirement in _requirements(name):
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), f"{requirement} is not pinned"


@pytest.mark.parametrize(("python", "system"), ENVIRONMENTS)
@pytest.mark.parametrize("name", ALL_LOCKS)
def test_every_requirement_is_locked_at_its_pinned_version(name: str, python: str, system: str) -> None:
    environment = _marker_environment(python, system)
    locked = {
        requirement.name.lower(): str(requirement.specifier)
        for requirement, _ in _locked(name)
        if _applies(requirement.marker, environment)
    }
    for requirement in _requirements(name.replace(".lock", ".txt")):
        if _applies(requirement.marker, environment):
            assert locked.get(requirement.name.lower()) == str(requirement.specifier)


@pytest.mark.parametrize(("python", "system"), ENVIRONMENTS)
@pytest.mark.parametrize("name", ALL_LOCKS)
def test_a_package_is_locked_once_per_python_and_system(name: str, python: str, system: str) -> None:
    environment = _marker_environment(python, system)
    chosen = [r.name.lower() for r, _ in _locked(name) if _applies(r.marker, environment)]
    assert len(chosen) == len(set(chosen))


@pytest.mark.parametrize("name", ALL_LOCKS)
def test_every_entry_is_pinned_and_hashed(name: str) -> None:
    entries = _locked(name)
    assert len(entries) > (30 if name in LOCKS else 5)
    for requirement, hashes in entries:
        assert str(requirement.specifier).startswith("==")
        assert hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes)


def test_the_tests_run_against_the_versions_that_users_get() -> None:
    for python, system in ENVIRONMENTS:
        environment = _marker_environment(python, system)
        users, *others = (
            {r.name.lower(): str(r.specifier) for r, _ in _locked(name) if _applies(r.marker, environment)}
            for name in LOCKS
        )
        for other in others:
            assert {name: other.get(name) for name in users} == users
        for name in OPTIONAL_LOCKS:
            optional = {
                r.name.lower(): str(r.specifier) for r, _ in _locked(name) if _applies(r.marker, environment)
            }
            shared = optional.keys() & users.keys()
            assert shared
            assert {package: optional[package] for package in shared} == {p: users[p] for p in shared}


@pytest.mark.parametrize("name", [*ALL_LOCKS, *SOURCES])
def test_no_package_index_is_written_into_the_lists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text


# Import names that differ from the package's name.
PACKAGE_OF = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "dotenv": "python-dotenv",
    "skimage": "scikit-image",
}
OWN = {"backend", "workers", "launcher", "installer", "tests", "tools", "benchmarks", "build"}


# Stand-ins for foreign programs, whose modules are called as those are; and an engine with requirements of its own.
APART = ("tests/fixtures", "workers/infinitetalk", "tests/infinitetalk")


def _imported(folder: Path) -> dict[str, Path]:
    """Third-party packages imported below `folder`, wherever the import stands, with one file that does."""
    found: dict[str, Path] = {}
    apart = [ROOT / name for name in APART if ROOT / name != folder]
    for path in sorted(folder.rglob("*.py")):
        if any(path.is_relative_to(other) for other in apart):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top not in OWN:
                    found[PACKAGE_OF.get(top, top.replace("_", "-"))] = path.relative_to(ROOT)
    return found


# Imported only inside an engine's own environment, which has its own requirements.
ENGINE_PACKAGES: set[str] = {"ctranslate2", "torch", "voxcpm"}


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("backend", "requirements.txt"),
        ("workers", "requirements.txt"),
        ("launcher", "requirements.txt"),
        ("installer", "requirements.txt"),
        ("tests", "requirements-dev.txt"),
        ("workers/infinitetalk", "installer/locks/infinitetalk-test.txt"),
        ("tests/infinitetalk", "installer/locks/infinitetalk-test.txt"),
    ],
)
def test_every_imported_package_is_a_direct_requirement(folder: str, name: str) -> None:
    required = {requirement.name.lower() for requirement in _requirements(name)} | ENGINE_PACKAGES
    # python-dotenv comes with pydantic-settings; only a test compares the launcher's reader with it.
    required |= {"python-dotenv"} if folder == "tests" else set()
    missing = {
        package: str(path) for package, path in _imported(ROOT / folder).items() if package not in required
    }
    assert missing == {}
