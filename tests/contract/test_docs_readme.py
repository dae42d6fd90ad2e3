"""The two READMEs say the same, and what they say is so: settings, folders, messages, calls, the example engine."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import json
import re
import runpy
import shlex
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from backend.engines.base import BaseEngineAdapter
from backend.models.codes import JobStatus
from backend.models.job import JobCreate
from backend.services.engine_router import AUTO_ORDER, NAMED_PLANS
from backend.utils.config import Settings
from backend.utils.logger import KEPT_LOG_FILES, MAX_LOG_BYTES
from tests.contract.docs_pages import (
    ROOT,
    Code,
    Table,
    code_blocks,
    column,
    headings,
    page,
    prose,
    tables,
    words,
)
from tests.support.studio import running_studio
from tests.support.twin_worker import wav_seconds

ENGLISH, CHINESE = "README.md", "README.zh-CN.md"
BOTH = pytest.mark.parametrize("name", [ENGLISH, CHINESE])
NOT_SET = {ENGLISH: "not set", CHINESE: "未设置"}
# What the tree of folders lists although a checkout does not hold it.
RUNTIME = {".env", ".venv", "data", "logs", "wan2gp_core", "infinitetalk_core"}
EXAMPLE_MODULE = "backend.engines.still_image_adapter"


def table_with(name: str, first_cell: str) -> Table:
    """The table in which some row begins with this cell."""
    found = [t for t in tables(page(name)) if any(row[0] == first_cell for row in t)]
    assert len(found) == 1, f"{len(found)} tables of {name} have a row {first_cell}"
    return found[0]


# -- the two languages -----------------------------------------------------------------------------
def test_both_have_the_same_headings_in_depth_and_number() -> None:
    assert [h.level for h in headings(page(ENGLISH))] == [h.level for h in headings(page(CHINESE))]


def test_both_have_the_same_code() -> None:
    def plain(block: Code) -> list[str]:
        if block.info == "text":
            # The tree of folders is explained in the reader's language; names stay.
            return [line[:28] for line in block.body.splitlines()]
        return block.body.splitlines()

    ours, theirs = code_blocks(page(ENGLISH)), code_blocks(page(CHINESE))
    assert [block.info for block in ours] == [block.info for block in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert plain(one) == plain(other)


def test_both_have_the_same_tables() -> None:
    ours, theirs = tables(page(ENGLISH)), tables(page(CHINESE))
    assert [len(t) for t in ours] == [len(t) for t in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert [len(row) for row in one] == [len(row) for row in other]
        assert [words(row[0]) for row in one] == [words(row[0]) for row in other]


def test_both_have_the_same_lists_pictures_and_links() -> None:
    def shape(name: str) -> list[int]:
        """Lengths of the runs of list items."""
        is_item = [bool(re.match(r"(\*|\d+\.) ", line)) for line in prose(page(name)).splitlines()]
        return [len(list(group)) for found, group in itertools.groupby(is_item) if found]

    def files(name: str) -> list[str]:
        targets = re.findall(r"\]\(([^)#]+)", prose(page(name)))
        return [t.replace("page-zh-CN", "page-en").replace(CHINESE, ENGLISH) for t in targets]

    assert shape(ENGLISH) == shape(CHINESE)
    assert files(ENGLISH) == files(CHINESE)


@BOTH
def test_links_lead_somewhere(name: str) -> None:
    anchors = {re.sub(r"[^\w -]", "", h.text.lower()).replace(" ", "-") for h in headings(page(name))}
    # Not in code: `given["x"](y)` is no link.
    for target in re.findall(r"\]\(([^)]+)\)", prose(page(name))):
        file, _, anchor = target.partition("#")
        if file.startswith("http"):
            continue
        assert not file or (ROOT / file).is_file(), target
        if not file and anchor:
            assert anchor in anchors, target
        if file.startswith("docs/") and anchor:
            others = {h.text.lower().replace(" ", "-") for h in headings(page(file))}
            assert anchor in others, target


def test_pictures_are_small_enough_for_a_slow_line() -> None:
    pictures = set(re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page(ENGLISH) + page(CHINESE)))
    assert len(pictures) == 3
    for picture in pictures:
        assert 10_000 < (ROOT / picture).stat().st_size < 400_000, picture


# -- facts -----------------------------------------------------------------------------------------
@BOTH
def test_the_settings_are_all_settings_with_their_defaults(name: str) -> None:
    expected = {}
    for field, info in Settings.model_fields.items():
        is_blank = info.default in (None, "")
        expected[field.upper()] = NOT_SET[name] if is_blank else f"`{info.default}`"
    table = table_with(name, "`HOST`")
    assert {words(row[0])[0]: row[1] for row in table[1:]} == expected
    assert column(table) == list(expected)


@BOTH
def test_the_tree_lists_what_is_there(name: str) -> None:
    tree = next(block.body for block in code_blocks(page(name)) if block.body.startswith("backend/"))
    parents: list[str] = []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        entry = line.split()[0]
        parents[depth:] = [entry]
        path = "".join(parents)
        if path.split("/")[0] in RUNTIME:
            continue
        assert (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file(), path


@BOTH
def test_files_that_are_named_exist(name: str) -> None:
    named = {w for w in words(prose(page(name))) if re.fullmatch(r"(backend|docs|workers)/[\w/.-]+", w)}
    assert named
    for file in named:
        assert (ROOT / file).exists(), file


@BOTH
def test_statuses_fields_and_engine_plans_are_the_codes_own(name: str) -> None:
    assert column(table_with(name, "`queued`")) == [status.value for status in JobStatus]
    fields = list(JobCreate.model_fields)
    assert column(table_with(name, "`voice_id`")) == fields[:6]
    optional = next(
        line for line in page(name).splitlines() if line.startswith(("Optional: `", "可选字段：`"))
    )
    assert words(optional) == fields[6:]
    plans = {words(row[0])[0]: words(row[1])[:3] for row in table_with(name, "`auto`")[1:] if words(row[0])}
    assert tuple(plans["auto"]) == AUTO_ORDER
    for engine in ("infinitetalk", "wan2gp", "draft"):
        plan = NAMED_PLANS.get(engine, (engine,))
        assert tuple(w for w in plans[engine] if w in AUTO_ORDER) == plan


@BOTH
def test_the_logs_take_what_is_said(name: str) -> None:
    assert f"{(KEPT_LOG_FILES + 1) * MAX_LOG_BYTES // 10**6} MB" in page(name)


def test_the_number_of_voices_is_right() -> None:
    voices = json.loads((ROOT / "assets/voices/voices.json").read_text(encoding="utf-8"))
    assert len(voices) == 15
    assert "Fifteen built-in voices" in page(ENGLISH)
    assert "十五个内置声音" in page(CHINESE)


# -- messages --------------------------------------------------------------------------------------
def texts_of_the_code() -> Iterator[str]:
    """Every string of the product, with `…` for what is filled in."""
    files = [p for room in ("backend", "launcher", "workers") for p in (ROOT / room).rglob("*.py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    for script in ("run.sh", "run.bat"):
        yield from (ROOT / "launcher" / script).read_text(encoding="utf-8").splitlines()


def is_said(message: str, texts: list[str]) -> bool:
    """Whether some text of the code can be this message; `…` in either stands for anything."""
    wanted = re.compile(".+".join(map(re.escape, message.split("…"))) + r"\Z", re.DOTALL)
    for text in texts:
        if wanted.search(text):
            return True
        if (
            "…" in text
            and len(text) > 12
            and re.fullmatch(".+".join(map(re.escape, text.split("…"))), message)
        ):
            return True
    return False


def test_every_message_of_the_table_is_one_that_the_product_gives() -> None:
    texts = list(texts_of_the_code())
    messages = column(table_with(ENGLISH, "`A key is needed.`"))
    assert len(messages) > 10
    for message in messages:
        assert is_said(message, texts), message
    assert not is_said("The moon is not installed.", texts), "the comparison can fail"
    block = next(b.body for b in code_blocks(page(ENGLISH)) if b.body.startswith("[Error]"))
    for line in block.splitlines():
        sentence = line.removeprefix("[Error] ").replace("Fix: ", "").strip()
        pattern = re.sub(r"\d+", "…", sentence).replace("python (process …)", "…")
        assert is_said(pattern, texts), line


# -- calls -----------------------------------------------------------------------------------------
def _calls() -> list[dict[str, Any]]:
    """Every curl of the README as method, path, body and form."""
    found = []
    for block in code_blocks(page(ENGLISH)):
        if block.info != "bash" or "curl" not in block.body:
            continue
        arguments = iter(shlex.split(block.body))
        for argument in arguments:
            if argument == "curl":
                found.append({"method": "GET", "json": None, "form": {}})
            elif argument == "-X":
                found[-1]["method"] = next(arguments)
            elif argument == "-d":
                found[-1]["json"] = json.loads(next(arguments))
            elif argument == "-F":
                name, _, value = next(arguments).partition("=")
                found[-1]["form"][name] = value
                found[-1]["method"] = "POST"
            elif argument in {"-H", "-o"}:
                next(arguments)
            elif argument != "-N":
                found[-1]["path"] = argument.removeprefix("http://127.0.0.1:8000")
    return found


async def test_every_call_of_the_readme_works_as_printed(tmp_path: Path) -> None:
    calls = _calls()
    assert len(calls) > 12
    sample = ROOT / "assets/portraits/aria_512.jpg"
    async with running_studio(tmp_path) as studio:
        job_id = ""
        for call in calls:
            path = call["path"].replace("job_9876efgh", job_id)
            files = {}
            if "image_file" in call["form"]:
                files["image_file"] = ("portrait.jpg", sample.read_bytes())
            if "audio_file" in call["form"]:
                done = await studio.wait_for(await studio.submit())
                wav = await studio.http.get(done["artifacts"]["audio"])
                files["audio_file"] = ("voice.wav", wav.content)
            data = {k: v for k, v in call["form"].items() if not v.startswith("@")} or None
            if path.endswith("/result"):
                await studio.wait_for(job_id)
            options: dict[str, Any] = {"json": call["json"]} if call["json"] else {}
            if files:
                options = {"files": files, "data": data}
            answer = await studio.http.request(call["method"], path, **options)
            assert answer.status_code in {200, 201, 202, 204}, (call, answer.text)
            if call["method"] == "POST" and path == "/api/jobs":
                job_id = answer.json()["job_id"]
                printed = next(b.body for b in code_blocks(page(ENGLISH)) if b.info == "json")
                assert list(json.loads(printed)) == list(answer.json())
                assert json.loads(printed)["selected_engine"] == answer.json()["selected_engine"]


# -- the example engine ----------------------------------------------------------------------------
@pytest.fixture
def example(tmp_path: Path) -> Iterator[types.ModuleType]:
    """The first Python block of the README as the module that its first line names."""
    block = next(b.body for b in code_blocks(page(ENGLISH)) if b.info == "python")
    assert block.startswith(f"# {EXAMPLE_MODULE.replace('.', '/')}.py\n")
    file = tmp_path / "still_image_adapter.py"
    file.write_text(block, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(EXAMPLE_MODULE, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[EXAMPLE_MODULE] = module
    yield module
    del sys.modules[EXAMPLE_MODULE]


async def test_the_example_engine_makes_a_real_video_as_printed(
    example: types.ModuleType, tmp_path: Path
) -> None:
    seen: dict[str, Any] = {}

    class Watched(example.StillImageAdapter):  # type: ignore[name-defined, misc]
        async def process_job(self, *arguments: str, **kwargs: Any) -> str:
            seen.update(kwargs)
            result = await super().process_job(*arguments, **kwargs)
            return str(result)

    async with running_studio(tmp_path, adapters=[Watched()]) as studio:
        view = await studio.wait_for(await studio.submit(preferred_engine="still_image"))
        assert (view["status"], view["selected_engine"]) == ("completed", "still_image"), view
        assert view["draft"] is False
        video = await studio.http.get(view["artifacts"]["video"])
        assert video.content[4:8] == b"ftyp"
        assert wav_seconds(seen["audio_path"]) > 0.5
        names = [e["name"] for e in (await studio.http.get("/api/engines")).json()["data"]]
        assert names[-1] == "still_image"
    # The two tables below the example are what an engine is really given.
    for name in (ENGLISH, CHINESE):
        assert sorted(column(table_with(name, "`audio_path`"))) == sorted(seen)
        assert sorted(column(table_with(name, "`aspect`"))) == sorted(seen["settings"])


def test_the_start_file_of_the_example_serves_an_app(
    example: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served: list[Any] = []
    monkeypatch.setattr("uvicorn.run", lambda app, **options: served.append((app, options)))
    block = [b.body for b in code_blocks(page(ENGLISH)) if b.info == "python"][1]
    file = tmp_path / "my_studio.py"
    file.write_text(block, encoding="utf-8")
    runpy.run_path(str(file), run_name="__main__")
    ((app, options),) = served
    assert isinstance(app, FastAPI)
    assert (options["host"], options["port"]) == ("127.0.0.1", 8000)


def test_what_the_readme_names_in_the_code_is_there() -> None:
    for module, name in [
        ("backend.engines.base", "BaseEngineAdapter"),
        ("backend.services.engine_router", "register_engines"),
        ("backend.services.engine_router", "AUTO_ORDER"),
        ("backend.models.errors", "EngineFailure"),
        ("backend.models.errors", "JobCancelled"),
        ("backend.utils.logger", "app_logger"),
        ("backend.utils.logger", "worker_logger"),
        ("backend.utils.wan2gp_runner", "run_native_wan2gp_job"),
    ]:
        assert hasattr(importlib.import_module(module), name)
        assert name in page(ENGLISH)
    for method in ("readiness", "warm", "process_job"):
        assert callable(getattr(BaseEngineAdapter, method))
        assert method in page(ENGLISH)
