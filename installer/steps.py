"""All steps of all installations, in order; an engine takes those that it names. Start script's Python.

Each says what decides it, whether it is intact, and how it is done. A step raises LauncherError with its reason and how
to go on; it may be called again after any failure, and after the process was killed in the middle of it.
"""

from __future__ import annotations

from installer.engines import EngineDefinition
from installer.step import Step
from installer.steps_environment import ENVIRONMENT, PYTHON, UV
from installer.steps_ffmpeg import FFMPEG
from installer.steps_film import FILM
from installer.steps_packages import PACKAGES, SELF_TEST, TORCH
from installer.steps_source import SOURCE
from installer.steps_start import START

# What needs no graphics card comes first: without one, all of that is done before the installer stops.
STEPS = (UV, PYTHON, ENVIRONMENT, FFMPEG, SOURCE, TORCH, PACKAGES, SELF_TEST, START, FILM)


def steps_of(engine: EngineDefinition) -> tuple[Step, ...]:
    """The steps of `engine`, in order."""
    return tuple(step for step in STEPS if step.name in engine.steps)
