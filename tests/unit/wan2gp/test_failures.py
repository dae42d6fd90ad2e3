"""Every way upstream fails, under the product's code; sentences for people name no path and no word of upstream's."""

from __future__ import annotations

import pytest

from backend.models.codes import ErrorCode
from workers.handler import TaskError
from workers.wan2gp.failures import Report, failure_of, nothing_made, start_failure

_VRAM = (
    "The generation of the video has encountered an error: it is likely that you have unsufficient VRAM and you should"
    " therefore reduce the video resolution or its number of frames."
)
_RAM = (
    "The generation of the video has encountered an error: it is likely that you have unsufficient RAM and / or"
    " Reserved RAM allocation should be reduced using 'perc_reserved_mem_max' or using a different Profile."
)


def _other(text: str) -> str:
    return f"\"The generation of the video has encountered an error, please check your terminal. '{text}'\""


@pytest.mark.parametrize(
    ("message", "code", "poisons"),
    [
        (_VRAM, "gpu_oom", False),
        ("CUDA out of memory. Tried to allocate 12.00 GiB. GPU 0 has …", "gpu_oom", False),
        (_other("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "gpu_oom", False),
        (_RAM, "host_oom", True),
        ("CUDA error: out of memory", "host_oom", True),
        (
            _other("DefaultCPUAllocator: can't allocate memory: you tried to allocate 5 bytes"),
            "host_oom",
            True,
        ),
        ("MemoryError", "host_oom", True),
        ("The paging file is too small for this operation to complete. (os error 1455)", "host_oom", True),
        (_other("CUDA error: device-side assert triggered"), "gpu_fault", True),
        (_other("CUDA error: an illegal memory access was encountered"), "gpu_fault", True),
        (_other("CUDA error: unspecified launch failure"), "gpu_fault", True),
        (_other("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "gpu_fault", True),
        (_other("CUDA error: invalid argument"), "gpu_fault", True),
        ("CUDA error: no kernel image is available for execution on the device", "gpu_unsupported", True),
        (
            "An error happened while trying to locate the file on the Hub and we cannot find the requested files",
            "model_missing",
            False,
        ),
        (
            "'https://huggingface.co/a/b.safetensors' is invalid for Model 't2v_1.3B' : x'",
            "model_missing",
            False,
        ),
        ("Unable to locate file 'fantasy_proj_model.safetensors', tried ['/x']", "model_missing", False),
        ("Unable to locate folder 'wav2vec', tried []", "model_missing", False),
        ("Failed to load safetensors file: header too large", "model_missing", False),
        (_other("PytorchStreamReader failed reading zip archive"), "model_missing", False),
        (_other("[Errno 28] No space left on device"), "disk_full", False),
        (_other("磁盘空间不足。 (os error 112)"), "disk_full", False),
        (_other("页面文件太小，无法完成操作。 (os error 1455)"), "host_oom", True),
        ("[Errno 2] No such file or directory: '/x/speech.wav'", "internal_error", False),
        (_other("boom"), "internal_error", False),
        ("", "internal_error", False),
    ],
)
def test_a_message_gets_its_code(message: str, code: str, poisons: bool) -> None:
    error = failure_of(Report("generation", message))
    assert (error.code, error.poisons_worker) == (code, poisons)
    assert ErrorCode(error.code)
    assert message[:100] in error.detail
    assert error.message
    assert "/x" not in error.message


def test_missing_and_damaged_weights_are_told_apart_in_words() -> None:
    missing = failure_of(Report("generation", "Unable to locate file 'a', tried []"))
    damaged = failure_of(Report("generation", "Failed to load safetensors file: x"))
    assert "Download" in missing.message
    assert "repair" in damaged.message


def test_the_last_traceback_tells_what_the_message_hides() -> None:
    printed = ["Traceback (most recent call last):", "RuntimeError: CUDA error: device-side assert triggered"]
    assert failure_of(Report("generation", _other("?"), printed)).code == "gpu_fault"


def test_troubles_before_the_last_traceback_do_not_count() -> None:
    printed = [
        "Traceback (most recent call last):",
        "torch.OutOfMemoryError: CUDA out of memory.",
        "trying again with less",
        "Traceback (most recent call last):",
        "ValueError: boom",
    ]
    assert failure_of(Report("generation", "boom", printed)).code == "internal_error"


def test_a_refused_prompt_may_hold_any_words() -> None:
    error = failure_of(Report("validation", "Unknown variable 'CUDA out of memory' in template"))
    assert (error.code, error.poisons_worker) == ("validation_failed", False)


def test_an_error_of_the_runtime_poisons_whatever_it_says() -> None:
    assert failure_of(Report("runtime", "not enough values to unpack")).poisons_worker
    assert failure_of(Report("runtime", "CUDA out of memory")).poisons_worker


def test_details_are_bounded_and_keep_both_ends() -> None:
    detail = Report("generation", "m" * 100, ["x" * 400] * 80 + ["the last line"], ("a notice",)).detail
    assert len(detail) < 2000
    assert detail.startswith("generation: mmm")
    assert detail.endswith("the last line")
    assert "a notice" in detail


def test_no_file_is_no_output_unless_the_disk_is_full() -> None:
    assert nothing_made(Report("", "0 files", ["CUDA out of memory"])).code == "no_output"
    assert nothing_made(Report("", "0 files", ["OSError: [Errno 28] No space left"])).code == "disk_full"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModuleNotFoundError("No module named 'mmgp'"), "import_failed"),
        (AssertionError("Torch not compiled with CUDA enabled"), "gpu_unsupported"),
        (RuntimeError("No CUDA GPUs are available"), "gpu_unsupported"),
        (RuntimeError("The NVIDIA driver on your system is too old"), "gpu_unsupported"),
        (OSError(28, "No space left on device"), "disk_full"),
        (ValueError("anything"), "import_failed"),
    ],
)
def test_a_start_that_fails_says_what_to_repair(error: Exception, code: str) -> None:
    found = start_failure(error)
    assert isinstance(found, TaskError)
    assert found.code == code
    assert str(error) in found.detail


def test_the_first_cause_of_a_failed_start_is_not_hidden_by_the_last() -> None:
    first = AssertionError("Torch not compiled with CUDA enabled")
    last = ModuleNotFoundError("Could not import module 'PreTrainedModel'")
    last.__cause__ = first
    found = start_failure(last)
    assert found.code == "gpu_unsupported"
    assert "PreTrainedModel" in found.detail
    assert "Torch not compiled" in found.detail


def test_causes_that_go_in_circles_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    assert start_failure(first).code == "import_failed"
