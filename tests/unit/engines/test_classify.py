"""The failure table, one test per row. The texts are what torch, CUDA and Hugging Face print."""

from __future__ import annotations

import pytest

from backend.engines.classify import POLICIES, Evidence, FailurePolicy, classify, policy_for
from backend.models.codes import INPUT_CODES, ErrorCode

GPU_OOM = [
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of"
    " 15.89 GiB of which 1.12 GiB is free.",
    "OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB",
    "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "RuntimeError: cudaErrorMemoryAllocation: out of memory",
    "torch.cuda.OutOfMemoryError: HIP out of memory. Tried to allocate 512.00 MiB",
]
GPU_FAULT = [
    "RuntimeError: CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously"
    " reported at some other API call",
    "RuntimeError: CUDA error: an illegal memory access was encountered",
    "RuntimeError: CUDA error: unspecified launch failure",
    "RuntimeError: CUDA error: unknown error",
    "RuntimeError: DirectML: device lost",
]
GPU_UNSUPPORTED = [
    "RuntimeError: CUDA error: no kernel image is available for execution on the device",
    "RuntimeError: CUDA driver version is insufficient for CUDA runtime version",
    "RuntimeError: No CUDA-capable device is detected",
]
DOWNLOAD = [
    "HfHubHTTPError: 401 Client Error. Cannot access gated repo for url",
    "HTTPError: 403 Client Error: Forbidden for url",
    "ConnectionError: [Errno -2] Name or service not known",
    "ConnectionError: [Errno 11001] getaddrinfo failed",
    "ReadTimeout: The read operation timed out",
]


def said(text: str, stage: str = "") -> ErrorCode:
    """The code of a task that failed with an exception of this text."""
    return classify(Evidence(reported="internal_error", text=text, stage=stage)).code


def ended(status: int, **more: object) -> ErrorCode:
    """The code of a worker that ended so."""
    return classify(Evidence(exit_code=status, **more)).code  # type: ignore[arg-type]


@pytest.mark.parametrize("text", GPU_OOM)
def test_memory_of_the_card_is_full(text: str) -> None:
    verdict = classify(Evidence(reported="internal_error", text=text))
    assert verdict.code is ErrorCode.GPU_OOM
    assert verdict.policy is FailurePolicy.LOWER_PROFILE_THEN_FALLBACK
    assert verdict.poisons_worker


@pytest.mark.parametrize("text", GPU_FAULT)
def test_a_fault_of_the_card_poisons_the_worker_and_is_tried_once_more(text: str) -> None:
    verdict = classify(Evidence(reported="internal_error", text=text))
    assert verdict.code is ErrorCode.GPU_FAULT
    assert verdict.policy is FailurePolicy.RETRY_THEN_FALLBACK
    assert verdict.poisons_worker


@pytest.mark.parametrize("text", GPU_UNSUPPORTED)
def test_a_card_that_cannot_is_never_tried_again(text: str) -> None:
    verdict = classify(Evidence(reported="import_failed", text=text))
    assert verdict.code is ErrorCode.GPU_UNSUPPORTED
    assert not verdict.policy.retries


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence(reported="host_oom", text="MemoryError: "),
        Evidence(reported="internal_error", text="RuntimeError: DefaultCPUAllocator: can't allocate memory"),
        Evidence(
            reported="import_failed",
            text="OSError: [WinError 1455] 页面文件太小，无法完成操作。 Error loading torch_cuda.dll",
        ),
        Evidence(
            reported="internal_error", text="SafetensorError: 页面文件太小，无法完成操作。 (os error 1455)"
        ),
        Evidence(exit_code=-9, oom_kills_rose=True),
        Evidence(exit_code=0xC0000017),
        Evidence(exit_code=0xC000012D),
        Evidence(exit_code=-6, log_tail="terminate called after throwing an instance of 'std::bad_alloc'"),
    ],
)
def test_memory_of_the_computer_is_full(evidence: Evidence) -> None:
    verdict = classify(evidence)
    assert verdict.code is ErrorCode.HOST_OOM
    assert verdict.policy is FailurePolicy.FALLBACK


@pytest.mark.parametrize("status", [-9, -15, -2, -1])
def test_a_worker_that_somebody_ended_was_killed(status: int) -> None:
    assert ended(status) is ErrorCode.WORKER_KILLED
    assert policy_for(ErrorCode.WORKER_KILLED) is FailurePolicy.RETRY_ONCE


@pytest.mark.parametrize("status", [-11, -6, -7, -4, -8, 0xC0000005, 0xC0000409, 1, 0, 3])
def test_a_worker_that_ended_by_itself_crashed(status: int) -> None:
    assert ended(status) is ErrorCode.WORKER_CRASHED
    assert policy_for(ErrorCode.WORKER_CRASHED) is FailurePolicy.RETRY_THEN_FALLBACK


def test_a_status_of_windows_is_read_as_unsigned_and_as_signed() -> None:
    assert ended(0xC0000017 - 2**32) is ErrorCode.HOST_OOM


def test_the_hosts_own_exit_statuses_have_their_codes() -> None:
    assert ended(64) is ErrorCode.PROTOCOL_MISMATCH
    assert ended(65) is ErrorCode.IMPORT_FAILED
    assert ended(71) is ErrorCode.WORKER_LOST
    assert not policy_for(ErrorCode.PROTOCOL_MISMATCH).retries
    assert not policy_for(ErrorCode.IMPORT_FAILED).retries


def test_a_worker_that_exits_before_it_was_ready_could_not_start() -> None:
    assert ended(3, was_ready=False) is ErrorCode.IMPORT_FAILED
    assert ended(-11, was_ready=False) is ErrorCode.WORKER_CRASHED


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence(reported="disk_full", text="OSError: [Errno 28] No space left on device"),
        Evidence(reported="internal_error", text="RuntimeError: ffmpeg: No space left on device"),
        Evidence(
            reported="internal_error", text="OSError: [WinError 112] There is not enough space on the disk"
        ),
    ],
)
def test_a_full_disk_pauses_the_queue(evidence: Evidence) -> None:
    verdict = classify(evidence)
    assert verdict.code is ErrorCode.DISK_FULL
    assert verdict.policy is FailurePolicy.PAUSE_QUEUE


@pytest.mark.parametrize("text", DOWNLOAD)
def test_a_failed_download_is_one_only_in_the_stage_of_downloading(text: str) -> None:
    assert said(text, stage="download") is ErrorCode.MODEL_DOWNLOAD
    assert said(text, stage="render") is ErrorCode.INTERNAL_ERROR
    assert policy_for(ErrorCode.MODEL_DOWNLOAD) is FailurePolicy.BACKOFF


@pytest.mark.parametrize("code", [ErrorCode.NO_OUTPUT, ErrorCode.TIMEOUT, ErrorCode.WORKER_HUNG])
def test_no_output_deadline_and_silence_go_to_the_next_engine(code: ErrorCode) -> None:
    assert classify(Evidence(reported=code.value)).code is code
    assert policy_for(code) is FailurePolicy.FALLBACK


@pytest.mark.parametrize("code", sorted(INPUT_CODES))
def test_an_input_that_cannot_work_is_never_tried_again(code: ErrorCode) -> None:
    assert policy_for(code) is FailurePolicy.NEVER
    assert classify(Evidence(reported=code.value, text="CUDA out of memory")).code is code


def test_what_the_worker_says_itself_comes_before_how_it_ended() -> None:
    assert ended(65, reported="model_missing") is ErrorCode.MODEL_MISSING
    assert ended(65, reported="no such code") is ErrorCode.INTERNAL_ERROR


def test_old_lines_of_the_log_do_not_explain_a_later_death() -> None:
    old = "CUDA out of memory\n" + "fine again\n" * 30
    assert ended(-11, log_tail=old) is ErrorCode.WORKER_CRASHED
    assert ended(-11, log_tail=old + "CUDA error: an illegal memory access") is ErrorCode.GPU_FAULT


def test_every_code_of_an_engine_has_a_policy() -> None:
    engines = list(ErrorCode)[list(ErrorCode).index(ErrorCode.ENGINE_NOT_INSTALLED) :]
    assert set(POLICIES) == set(engines)
