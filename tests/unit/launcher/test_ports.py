"""A busy port is noticed, and the program that holds it is named."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher import ports
from launcher.process import Outcome
from tests.unit.launcher.twins import FakeRunner


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        yield server.getsockname()[1]


def test_a_free_port_is_free() -> None:
    assert ports.bind_problem("127.0.0.1", ports.any_free_port()) is None


def test_a_port_with_a_listener_is_in_use(listener: int) -> None:
    problem = ports.bind_problem("127.0.0.1", listener)
    assert problem is not None
    assert ports.is_in_use(problem)


def test_a_listener_on_loopback_is_also_in_the_way_of_all_addresses(listener: int) -> None:
    problem = ports.bind_problem("0.0.0.0", listener)
    assert problem is not None
    assert ports.is_in_use(problem)


def test_an_address_of_another_machine_is_a_problem_but_not_a_busy_port() -> None:
    problem = ports.bind_problem("192.0.2.1", 8000)  # TEST-NET-1, RFC 5737: nobody's address
    assert problem is not None
    assert not ports.is_in_use(problem)


def test_windows_exclusive_listeners_count_as_busy() -> None:
    problem = OSError(errno.EACCES, "denied")
    problem.winerror = 10013  # type: ignore[attr-defined]
    assert ports.is_in_use(problem)


def test_the_next_free_port_is_suggested(listener: int) -> None:
    free = ports.free_port_above("127.0.0.1", listener)
    assert free is not None
    assert listener < free <= listener + ports.SUGGESTION_RANGE
    assert ports.bind_problem("127.0.0.1", free) is None


def test_the_owner_is_named_by_psutil(listener: int) -> None:
    owner = ports.find_owner(listener, FakeRunner())
    assert owner is not None
    assert owner.pid == os.getpid()
    assert owner.name


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_without_psutil_proc_names_the_owner(listener: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    owner = ports.find_owner(listener, FakeRunner())
    assert owner is not None
    assert owner.pid == os.getpid()
    assert owner.name


def test_without_psutil_and_proc_lsof_names_the_owner(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setattr(ports, "_by_proc", lambda port: None)
    runner = FakeRunner({"lsof": Outcome(0, ("p4711", "cPython", "f5"))})
    assert ports.find_owner(8000, runner) == ports.PortOwner(4711, "Python")


def test_when_nobody_may_know_the_owner_there_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setattr(ports, "_by_proc", lambda port: None)
    assert ports.find_owner(8000, FakeRunner({"lsof": Outcome(-1)})) is None


NETSTAT = (
    "",
    "Aktive Verbindungen",
    "  Proto  Lokale Adresse         Remoteadresse          Status           PID",
    "  TCP    0.0.0.0:135            0.0.0.0:0              ABHOEREN         1044",
    "  TCP    127.0.0.1:8000         127.0.0.1:50123        HERGESTELLT      9",
    "  TCP    127.0.0.1:8000         0.0.0.0:0              ABHOEREN         15320",
    "  TCP    [::]:18000             [::]:0                 ABHOEREN         4",
)


def test_windows_netstat_is_read_in_every_language() -> None:
    assert ports.parse_netstat(NETSTAT, 8000) == ports.PortOwner(15320, "")
    assert ports.parse_netstat(NETSTAT, 9000) is None
