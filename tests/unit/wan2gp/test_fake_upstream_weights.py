"""The stand-in for Wan2GP beside its runs: weights that are missing or broken, one task at a time, what it does to its process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_wan2gp import FIXTURE, FakeWan2GP

WEIGHTS = json.loads((FIXTURE / "recorded" / "weights.json").read_text("utf-8"))
FACTS = json.loads((FIXTURE / "upstream" / "facts.json").read_text("utf-8"))
MODEL = "t2v_1.3B"

PRELUDE = """
import json, os, sys, threading
from pathlib import Path
root, folder = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(root))
from shared.api import init
task = {"model_type": "t2v_1.3B", "prompt": "a cat", "video_length": 5, "resolution": "64x64", "num_inference_steps": 2}
start = dict(root=root, config_path=folder / "config" / "wgp_config.json", output_dir=folder / "out", console_output=False)
found = {}
def finished(job):
    kinds = [event.kind for event in job.events.iter(0.5)]
    result = job.result(30)
    return {"kinds": kinds, "success": result.success, "files": result.generated_files,
            "errors": [vars(error) for error in result.errors]}
"""


def act(tmp_path: Path, body: str, fake: FakeWan2GP | None = None) -> dict[str, Any]:
    """Run `body` in a process of its own; it puts what it found into `found`."""
    fake = fake or FakeWan2GP(tmp_path / "engine")
    answer = tmp_path / "answer.json"
    ending = f"\nPath({str(answer)!r}).write_text(json.dumps(found, default=str), 'utf-8')\n"
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + body + ending, str(fake.root), str(tmp_path)],
        capture_output=True,
        timeout=60,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(answer.read_text("utf-8"))
    return found | {"printed": done.stdout}


def lay(folder: Path, *names: str) -> None:
    """Empty files, which is what the recording had."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def below(url: str) -> str:
    return url.partition("/resolve/main/")[2]


STAGES = list(WEIGHTS)  # each has the files of those before it


@pytest.mark.parametrize("stage", STAGES)
def test_missing_and_broken_weights_are_told_as_they_were(tmp_path: Path, stage: str) -> None:
    fake = FakeWan2GP(tmp_path / "engine")
    fake.behave(weights="as_on_disk")
    files = FACTS["models"][MODEL]["files"]
    main, encoder = below(files["main"]), below(files["text_encoder"])
    layers = [[], FACTS["core_files"], [main], files["aux"], [encoder]]
    for layer in layers[: STAGES.index(stage) + 1]:
        lay(fake.root / "ckpts", *layer)
    found = act(
        tmp_path,
        """
session = init(**start)
found["availability"] = session.get_model_availability("t2v_1.3B")["status"]
found |= finished(session.submit_task(task))
""",
        fake,
    )
    recorded = WEIGHTS[stage]
    assert found["errors"] == recorded["errors"]
    # An empty file counts as available.
    assert found["availability"] == recorded["avail"]
    assert found["kinds"] == ["started", "status", "error", "completed"]


def test_one_task_at_a_time_and_the_whole_process_works_in_its_folder_meanwhile(tmp_path: Path) -> None:
    fake = FakeWan2GP(tmp_path / "engine")
    fake.behave(step_s=0.3)
    found = act(
        tmp_path,
        """
session = init(**start)
before = os.getcwd(), type(sys.stdout).__name__
job = session.submit_task(task)
while (event := job.events.get(1)).kind != "preview":
    pass
found["meanwhile"] = os.getcwd(), type(sys.stdout).__name__, sorted(thread.name for thread in threading.enumerate())
print("said by somebody else")
try:
    session.submit_task(task)
except RuntimeError as error:
    found["second"] = str(error)
events = list(job.events.iter(0.5))
job.result(30)
found["heard"] = [event.data.text for event in events if event.kind == "stream"]
found["same"] = before == (os.getcwd(), type(sys.stdout).__name__)
""",
        fake,
    )
    folder, stream, threads = found["meanwhile"]
    assert folder == str(fake.root)
    assert stream == "LineCapture"
    assert {"wangp-session-job", "wangp-session-worker"} <= set(threads)
    assert found["second"] == "WanGP session already has a generation in progress"
    assert "said by somebody else" in found["heard"]
    assert found["same"] is True


def test_one_runtime_per_process_whose_configuration_has_one_name(tmp_path: Path) -> None:
    found = act(
        tmp_path,
        """
try:
    init(**{**start, "config_path": folder / "config" / "other.json"})
except ValueError as error:
    found["name"] = str(error)
session = init(**start)
try:
    init(**start, cli_args=["--profile", "2"])
except RuntimeError as error:
    found["runtime"] = str(error)
again = init(**{**start, "output_dir": folder / "elsewhere"})
found["result"] = finished(again.submit_task(task))
again.close()
found["after"] = finished(session.submit_task(task))
try:
    session.get_default_settings("nobody")
except ValueError as error:
    found["unknown"] = str(error)
found["definition"] = session.get_model_def("nobody")
found["known"] = session.get_model_def("multitalk")["fps"], session.get_default_settings("multitalk")["flow_shift"]
for wrong in ([1], {**task, "video_length": "xs"}):
    try:
        session.submit_task(wrong)
    except (TypeError, ValueError) as error:
        found.setdefault("refused", []).append(type(error).__name__)
""",
    )
    assert "wgp_config.json" in found["name"]
    assert found["runtime"] == "WanGP runtime already loaded with different root/config/cli args"
    assert Path(found["result"]["files"][0]).parent == tmp_path / "elsewhere"
    assert found["after"]["success"] is True
    assert "status" in found["after"]["kinds"], "close let go of the model"
    assert "nobody" in found["unknown"]
    assert found["definition"] is None
    assert found["known"] == [25, 7]
    assert found["refused"] == ["TypeError", "ValueError"]
    assert found["printed"] == ""


def test_arguments_that_it_does_not_know_end_the_process(tmp_path: Path) -> None:
    found = act(
        tmp_path,
        """
try:
    init(**start, cli_args=["--nothing-like-this"])
except SystemExit as leaving:
    found["status"] = leaving.code
""",
    )
    assert found["status"] == 2


def test_settings_that_it_does_not_know_are_dropped_without_a_word(tmp_path: Path) -> None:
    fake = FakeWan2GP(tmp_path / "engine")
    found = act(
        tmp_path,
        'found |= finished(init(**start).submit_task({**task, "no_such": 1, "seed": None}))',
        fake,
    )
    assert found["success"] is True
    assert [note["dropped"] for note in fake.notes("task")] == [["no_such"]]
