"""Scripted twins of the launcher's seams: a runner that answers from a script, and a console that remembers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from launcher.console import Console
from launcher.process import Outcome
from launcher.project import EnvironmentSpec, python_of

Answer = Callable[[list[str]], Outcome]


class FakeRunner:
    """Records every call. `answers` maps a word of the command to what happens; the first match counts."""

    def __init__(self, answers: Mapping[str, Answer | Outcome] | None = None) -> None:
        self.answers = dict(answers or {})
        self.calls: list[list[str]] = []
        self.environments: list[dict[str, str]] = []

    def capture(self, args: Sequence[str], *, timeout_s: float, env: Mapping[str, str]) -> Outcome:
        return self._answer(args, env)

    def stream(self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Outcome:
        return self._answer(args, env)

    def handover(self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
        return self._answer(args, env).status

    def become(self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
        return self._answer(args, env).status

    def count(self, word: str) -> int:
        return sum(word in call for call in self.calls)

    def _answer(self, args: Sequence[str], env: Mapping[str, str]) -> Outcome:
        command = list(args)
        self.calls.append(command)
        self.environments.append(dict(env))
        for word, answer in self.answers.items():
            if word in command:
                return answer(command) if callable(answer) else answer
        return Outcome(0)


class MemoryConsole(Console):
    """A console whose text can be read back."""

    def __init__(self) -> None:
        self.out = io.StringIO()
        self.err = io.StringIO()
        super().__init__(self.out, self.err)

    @property
    def text(self) -> str:
        return self.out.getvalue() + self.err.getvalue()


def spec_in(root: Path, lock_text: str = "fastapi==1.0\n") -> EnvironmentSpec:
    lock = root / "requirements.lock"
    lock.write_text(lock_text, encoding="utf-8")
    return EnvironmentSpec(root / ".venv", lock, "dependencies", needs_mib=1)


def make_venv(folder: Path) -> None:
    """What `python -m venv` leaves, as far as the launcher looks at it."""
    python = python_of(folder)
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text("", encoding="utf-8")
    (folder / "pyvenv.cfg").write_text("home = /usr\n", encoding="utf-8")


def creating_venv(command: list[str]) -> Outcome:
    """Answer to `python -m venv FOLDER`."""
    make_venv(Path(command[-1]))
    return Outcome(0)


def probe_answer(
    version: tuple[int, int, int] = (3, 11, 7), *, pip: bool = True, isolated: bool = True
) -> Outcome:
    """Answer to the probe of an environment's interpreter."""
    facts = {"version": version, "prefix": "/p/.venv", "base": "/usr" if isolated else "/p/.venv", "pip": pip}
    return Outcome(0, (json.dumps(facts),))
