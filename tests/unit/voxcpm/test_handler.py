"""The voxcpm worker against a stand-in of its package, held to the recorded API. No GPU, no weights."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from backend.engines.classify import Evidence, classify
from tests.support.speech_task import MemoryContext, Studio
from workers.failures import error_fields
from workers.handler import Task, TaskCancelled, TaskError, WorkerSetup
from workers.voxcpm import model as voxcpm_model
from workers.voxcpm.handler import VoxCpmHandler, create_handler
from workers.voxcpm.model import as_model_text

ROOT = Path(__file__).resolve().parents[3]
SITE = ROOT / "tests" / "fixtures" / "voxcpm" / "site"


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The stand-ins, fresh for each test."""
    monkeypatch.syspath_prepend(str(SITE))
    kept: dict[str, ModuleType] = {}
    for name in ("torch", "voxcpm"):
        if name in sys.modules:
            kept[name] = sys.modules.pop(name)
    import torch
    import voxcpm

    yield SimpleNamespace(torch=torch, voxcpm=voxcpm)
    for name in ("torch", "voxcpm"):
        del sys.modules[name]
    sys.modules.update(kept)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "模型 models" / voxcpm_model.FOLDER
    folder.mkdir(parents=True)
    for name in voxcpm_model.FILES:
        (folder / name).write_text("{}", "utf-8")
    return folder.parent


def loaded(models: Path, folder: Path) -> VoxCpmHandler:
    handler = create_handler()
    options = {"assets_dir": str(ROOT / "assets")}
    handler.load(WorkerSetup("voxcpm", None, folder, models, folder / "cache", None, options))
    return handler


@pytest.fixture
def studio(packages: SimpleNamespace, models: Path, tmp_path: Path) -> Studio:
    return Studio(loaded(models, tmp_path), tmp_path)


def code_of(error: BaseException) -> str:
    """What the service makes of an exception of this worker."""
    fields = error_fields(error)
    return str(classify(Evidence(reported=fields["code"], text=fields["detail"])).code)


def test_a_script_becomes_speech_at_24_khz(studio: Studio, packages: SimpleNamespace) -> None:
    spoken = studio.speak("Hello there, friend. 今天是3月5日。")
    assert spoken.timings["engine"] == "voxcpm2"
    assert spoken.timings["estimated"] is True
    assert [sentence["text"] for sentence in spoken.timings["sentences"]] == [
        "Hello there, friend.",
        "今天是3月5日。",
    ]
    assert [call["text"] for call in packages.voxcpm.calls] == ["Hello there, friend.", "今天是三月五日。"]
    # 8 patches of a sixth of a second for each sentence
    assert spoken.data["duration_s"] == pytest.approx(2 * 8 / 6 + 0.5, abs=0.2)
    assert np.abs(spoken.samples).max() > 0.05


def test_the_weights_come_from_the_folder_and_nothing_from_the_network(
    studio: Studio, packages: SimpleNamespace, models: Path
) -> None:
    studio.speak("Hello there.")
    (load,) = packages.voxcpm.loads
    assert load == {
        "folder": str(models / "voxcpm2"),
        "load_denoiser": False,
        "local_files_only": True,
        "optimize": False,
        "device": "cuda",
    }


def test_without_a_transcript_the_sample_alone_is_given_and_with_one_both(
    studio: Studio, packages: SimpleNamespace
) -> None:
    studio.speak("Hello there.")
    studio.speak("Hello there.", reference_text="what I say")
    without, with_text = packages.voxcpm.calls
    sample = str(studio.reference)
    assert without["reference_wav_path"] == sample
    assert "prompt_wav_path" not in without
    assert (with_text["prompt_wav_path"], with_text["prompt_text"]) == (sample, "what I say")


def test_the_seed_decides_the_sound(studio: Studio, packages: SimpleNamespace, tmp_path: Path) -> None:
    first = studio.speak("Hello there.", seed=1)
    other = studio.speak("Hello there.", seed=2)
    assert len(packages.torch.seeds) == 2
    assert packages.torch.seeds[0] != packages.torch.seeds[1]
    assert not np.array_equal(first.samples[:20_000], other.samples[:20_000])


@pytest.mark.parametrize("trouble", ["nan", "silent", "empty", "endless"])
def test_a_bad_take_is_made_again_and_three_of_them_fail(
    studio: Studio, packages: SimpleNamespace, trouble: str
) -> None:
    packages.voxcpm.plan[:] = [trouble]
    assert studio.speak("Hello there, my friend.").data["sentences"] == 1
    assert len(packages.voxcpm.calls) == 2
    assert packages.voxcpm.closed == [1, 2]
    packages.voxcpm.plan[:] = [trouble] * 3
    with pytest.raises(TaskError) as caught:
        studio.speak("Another sentence, my friend.")
    assert caught.value.code == "no_output"


def test_a_full_gpu_is_named_and_the_process_is_not_used_again(
    studio: Studio, packages: SimpleNamespace
) -> None:
    packages.voxcpm.plan[:] = ["speak", "oom"]
    with pytest.raises(packages.torch.OutOfMemoryError) as caught:
        studio.speak("Hello there. And more.")
    assert code_of(caught.value) == "gpu_oom"
    assert error_fields(caught.value)["poisons_worker"] is True
    assert packages.voxcpm.closed == [1, 2]


def test_a_fault_of_the_gpu_is_named(studio: Studio, packages: SimpleNamespace) -> None:
    packages.voxcpm.plan[:] = ["fault"]
    with pytest.raises(RuntimeError, match="device-side assert") as caught:
        studio.speak("Hello there.")
    assert code_of(caught.value) == "gpu_fault"


def test_a_cancel_closes_the_stream_in_the_middle_of_a_sentence(
    studio: Studio, packages: SimpleNamespace
) -> None:
    packages.voxcpm.plan[:] = ["endless"]
    context = MemoryContext()

    def cancel(index: int) -> None:
        context.cancelled = index == 20

    packages.voxcpm.on_chunk = cancel
    with pytest.raises(TaskCancelled):
        studio.speak("Hello there.", context=context)
    assert packages.voxcpm.closed == [1]
    assert packages.voxcpm.chunks == 21


def test_a_machine_without_a_usable_gpu_is_told_at_the_start(
    packages: SimpleNamespace, models: Path, tmp_path: Path
) -> None:
    packages.torch.cuda.available = False
    with pytest.raises(TaskError, match="finds none") as caught:
        loaded(models, tmp_path)
    assert caught.value.code == "gpu_unsupported"


def test_a_broken_environment_is_told_with_its_repair(
    packages: SimpleNamespace, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "voxcpm", None)
    with pytest.raises(TaskError, match="install_voxcpm") as caught:
        loaded(models, tmp_path)
    assert caught.value.code == "import_failed"
    monkeypatch.setitem(sys.modules, "voxcpm", packages.voxcpm)


def test_missing_weights_are_told_with_the_first_task_and_found_once_they_are_there(
    packages: SimpleNamespace, models: Path, tmp_path: Path
) -> None:
    (models / "voxcpm2" / "model.safetensors").unlink()
    studio = Studio(loaded(models, tmp_path), tmp_path)
    with pytest.raises(TaskError, match="Download the model") as caught:
        studio.speak("Hello there.")
    assert caught.value.code == "model_missing"
    assert caught.value.detail == "missing: model.safetensors"
    assert packages.voxcpm.loads == []
    (models / "voxcpm2" / "model.safetensors").write_text("{}")
    assert studio.speak("Hello there.").data["sentences"] == 1


def test_damaged_weights_are_a_missing_model(packages: SimpleNamespace, models: Path, tmp_path: Path) -> None:
    errors: list[Exception] = [
        packages.voxcpm.SafetensorError("Error while deserializing header: HeaderTooLarge"),
        FileNotFoundError("AudioVAE checkpoint not found."),
        RuntimeError("PytorchStreamReader failed reading zip archive"),
        RuntimeError("Error(s) in loading: size mismatch for base_lm.embed_tokens.weight"),
    ]
    for error in errors:
        packages.voxcpm.load_error = error
        with pytest.raises(TaskError, match="damaged") as caught:
            Studio(loaded(models, tmp_path), tmp_path / f"{errors.index(error)}").speak("Hello.")
        assert caught.value.code == "model_missing"


def test_a_gpu_too_small_for_the_weights_is_full_and_not_damaged(
    packages: SimpleNamespace, models: Path, tmp_path: Path
) -> None:
    packages.voxcpm.load_error = packages.torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 20 MiB."
    )
    with pytest.raises(packages.torch.OutOfMemoryError) as caught:
        loaded(models, tmp_path)
    assert code_of(caught.value) == "gpu_oom"
    packages.voxcpm.load_error = RuntimeError("CUDA error: no kernel image is available for execution")
    with pytest.raises(RuntimeError) as caught_too:
        loaded(models, tmp_path)
    assert code_of(caught_too.value) == "gpu_unsupported"


@pytest.mark.parametrize("rate", [None, 0, -1, 10**7, True, 44_100.5])
def test_a_package_of_another_kind_is_not_used(
    packages: SimpleNamespace, models: Path, tmp_path: Path, rate: object
) -> None:
    packages.voxcpm.rate = rate
    with pytest.raises(TaskError, match="not the one") as caught:
        Studio(loaded(models, tmp_path), tmp_path).speak("Hello there.")
    assert caught.value.code == "import_failed"


def test_another_rate_of_the_package_is_no_trouble(
    packages: SimpleNamespace, models: Path, tmp_path: Path
) -> None:
    packages.voxcpm.rate = 16_000
    spoken = Studio(loaded(models, tmp_path), tmp_path).speak("Hello there.")
    assert spoken.data["duration_s"] == pytest.approx(8 / 6 + 0.2, abs=0.1)


def test_unloading_gives_the_memory_back(studio: Studio, packages: SimpleNamespace) -> None:
    studio.handler.unload()
    assert packages.torch.cuda.emptied == 1
    assert studio.speak("Hello there.").data["sentences"] == 1
    assert len(packages.voxcpm.loads) == 2


def test_another_task_is_refused(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no task called 'sing'"):
        studio.handler.run(Task("job_x", 1, "sing", None, {}, {}, tmp_path, 0), MemoryContext())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("(Quietly) hello.", "Quietly, hello."),
        ("（小声）你好。", "小声，你好。"),
        ("One (two) three.", "One, two, three."),
        ("two\nlines", "two lines"),
    ],
)
def test_brackets_do_not_become_a_description_of_the_voice(text: str, wanted: str) -> None:
    assert as_model_text(text) == wanted


def test_the_worker_needs_nothing_of_the_services_environment(models: Path, tmp_path: Path) -> None:
    """Its own environment has torch and numpy, but neither onnxruntime nor the web packages."""
    script = f"""
import sys, json
for name in ("onnxruntime", "onnx", "cv2", "fastapi", "pydantic", "sentencepiece", "PIL", "psutil"):
    sys.modules[name] = None
sys.path[:0] = [{str(SITE)!r}, {str(ROOT)!r}]
from pathlib import Path
from tests.support.speech_task import Studio
from workers.handler import WorkerSetup
from workers.voxcpm.handler import create_handler
handler = create_handler()
folder = Path({str(tmp_path)!r})
handler.load(WorkerSetup("voxcpm", None, folder, Path({str(models)!r}), folder / "cache", None,
    {{"assets_dir": {str(ROOT / "assets")!r}}}))
print(Studio(handler, folder).speak("Hello there. 你好。").data["sentences"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout.strip() == "2", done.stderr
