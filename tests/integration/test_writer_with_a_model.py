"""Scripts written by a real language model: over HTTP from llama.cpp's own server, and in our own worker.

The model is tiny (135 million parameters): it writes fluent English and knows nothing. What is tried here is the way,
not the text.
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from backend.engines.supervisor import WorkerSupervisor
from backend.engines.worker_types import WorkerSpec
from backend.models.errors import InputError, JobCancelled
from backend.services.script_endpoints import Place, ScriptApi, ScriptModel, ScriptModels
from backend.services.script_local import LocalWriter
from backend.services.script_writer import Assignment, Desk, ScriptWriter
from backend.utils.clock import SystemClock
from backend.utils.config import BUNDLE_DIR, process_environment
from tests.support.studio import running_studio
from tests.support.twin_worker import TwinWorker
from tests.support.writing_model import model_or_skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TOPIC = "Why drinking tea in the afternoon is nice"
ORDER = Assignment(TOPIC, "en", seconds=15, seed=3)
_SERVER = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.n_parallel, params.port, params.verbosity = 4096, 1, 0, 1
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.cache_ram_mib = 0
server = xllamacpp.Server(params)
print("ADDRESS " + server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def gguf() -> Path:
    return model_or_skip()


@pytest.fixture(scope="module")
def llama_url(gguf: Path) -> Iterator[str]:
    """llama.cpp's own HTTP server with the model, in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(gguf)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("ADDRESS "):
                yield f"{line.split()[1]}/v1"
                break
        else:
            pytest.fail("llama.cpp's server did not start")
        process.kill()


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[WorkerSupervisor]:
    """The writer worker as the service starts it."""
    spec = WorkerSpec(
        name="writer",
        python=Path(sys.executable),
        handler="workers.writer.handler",
        host_script=BUNDLE_DIR / "workers" / "host.py",
        work_dir=tmp_path / "work",
        models_dir=tmp_path / "models",
        cache_dir=tmp_path / "cache",
        options={"threads": 1},
        env=process_environment(),
    )
    made = WorkerSupervisor(spec, log=logging.getLogger("test.writer"), clock=SystemClock())
    await made.start()
    yield made
    await made.stop()


def assert_is_a_script(text: str) -> None:
    assert len(text.split()) >= 8
    assert not any(mark in text for mark in ("<think", "<|", "**", "```", "<topic>"))


async def assert_no_door_is_open(pid: int) -> None:
    """llama.cpp's server object listens on a port; nobody but the worker may use it."""
    ports = [
        c.laddr.port for c in psutil.Process(pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN
    ]
    assert ports
    assert all(c.laddr.ip == "127.0.0.1" for c in psutil.Process(pid).net_connections("tcp"))
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        for port in ports:
            url = f"http://127.0.0.1:{port}"
            body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
            answers = [
                await http.post(f"{url}/v1/chat/completions", json=body),
                await http.post(f"{url}/completion", json={"prompt": "Hi", "n_predict": 1}),
                await http.get(f"{url}/v1/models", headers={"Origin": "http://evil.example"}),
                await http.get(f"{url}/slots"),
                await http.get(f"{url}/"),
            ]
            assert {answer.status_code for answer in answers} <= {401, 404, 501}, answers
            assert "http://evil.example" not in [
                a.headers.get("access-control-allow-origin") for a in answers
            ]


async def test_a_server_is_found_and_writes(llama_url: str, tmp_path: Path) -> None:
    places = [Place("llamacpp", "llama.cpp", llama_url, "x", "llamacpp")]
    models = ScriptModels(ScriptApi(), local=None, clock=SystemClock(), places=places)
    model = await models.choose()
    assert model.source == "llamacpp"
    shown: list[str] = []
    desk = Desk("t", tmp_path, lambda: False, shown=shown.append)
    writer = ScriptWriter(local=LocalWriter(TwinWorker("writer")), max_chars=20_000)
    made = await writer.write(model, ORDER, desk)
    assert_is_a_script(made.text)
    assert made.language == "en"
    # It came in pieces, not in one.
    assert len(shown) > 20


async def test_hanging_up_stops_the_server(llama_url: str, tmp_path: Path) -> None:
    models = ScriptModels(ScriptApi(url=llama_url), local=None, clock=SystemClock(), places=())
    cancel = asyncio.Event()
    desk = Desk("t", tmp_path, cancel.is_set, shown=lambda _text: cancel.set())
    writer = ScriptWriter(local=LocalWriter(TwinWorker("writer")), max_chars=20_000)
    with pytest.raises(JobCancelled):
        await writer.write(await models.choose(), Assignment(TOPIC, "en", seconds=600), desk)
    # It has one place: only a server that has stopped answers the next one.
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    async with httpx.AsyncClient(trust_env=False, timeout=120) as http:
        answer = await http.post(f"{llama_url}/chat/completions", json=body)
    assert answer.status_code == 200


async def test_a_job_about_a_topic_speaks_what_the_model_wrote(llama_url: str, tmp_path: Path) -> None:
    async with running_studio(tmp_path, script_api_url=llama_url) as studio:
        settings = {"language": "en", "seconds": 15}
        job_id = await studio.submit(script_mode="auto", script_input=TOPIC, script_settings=settings)
        view = await studio.wait_for(job_id)
        assert view["status"] == "completed", view
        spoken = next(task for task in studio.speech.seen if task.task == "speech")
        asked = json.loads((await studio.http.get(view["artifacts"]["script"])).text)
        assert_is_a_script(asked["text"])
        assert (asked["mode"], asked["source"], asked["topic"]) == ("auto", "custom", TOPIC)
        assert spoken.job_id == job_id
        events = await studio.http.post(
            "/api/script",
            json={"topic": TOPIC, "language": "en", "seconds": 15},
            headers={"Accept": "text/event-stream"},
            timeout=300,
        )
        names = [line[7:] for line in events.text.splitlines() if line.startswith("event: ")]
        assert names.count("delta") > 20
        assert names[-1] == "done"


async def test_our_own_worker_writes_and_keeps_the_model(
    worker: WorkerSupervisor, gguf: Path, tmp_path: Path
) -> None:
    writer = ScriptWriter(local=LocalWriter(worker), max_chars=20_000)
    model = ScriptModel("local", "script-qwen", path=gguf)
    shown: list[str] = []
    made = await writer.write(model, ORDER, Desk("job_a", tmp_path / "a", lambda: False, shown=shown.append))
    assert_is_a_script(made.text)
    assert made.source == "local"
    assert len(shown) > 3
    pid = worker.snapshot().pid
    assert pid is not None
    await assert_no_door_is_open(pid)

    cancel = asyncio.Event()
    desk = Desk("job_b", tmp_path / "b", cancel.is_set, shown=lambda _text: cancel.set())
    with pytest.raises(JobCancelled):
        await writer.write(model, Assignment(TOPIC, "en", seconds=600), desk)
    # The same process, with its model, goes on: a cancel is no reason to end it.
    made = await writer.write(model, ORDER, Desk("job_c", tmp_path / "c", lambda: False))
    assert_is_a_script(made.text)
    assert worker.snapshot().pid == pid


async def test_a_damaged_model_is_one_that_is_missing(worker: WorkerSupervisor, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(4096))
    writer = ScriptWriter(local=LocalWriter(worker), max_chars=20_000)
    with pytest.raises(InputError, match="missing or damaged"):
        await writer.write(
            ScriptModel("local", "script-qwen", path=broken),
            ORDER,
            Desk("job_a", tmp_path / "a", lambda: False),
        )
