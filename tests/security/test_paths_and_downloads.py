"""Nothing outside `data/` is readable through HTTP (promise P9), and what is sent cannot act as a page."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.integration.test_library_over_http import png
from tests.security.conftest import Stocked
from tests.security.problems import ROOT, assert_is_problem, assert_is_refusal, told_secret
from tests.security.routes import PATH_PARAMETERS, filled
from tests.support.studio import job_body, running_studio

MARK = "s3cret-marker-of-this-test"
JSON = ((b"Content-Type", b"application/json"),)
# Names that lead elsewhere on some system, as a person would write them.
CORPUS = [
    *("..", ".", "../", "../..", "../../.env", "../../../../../../etc/passwd", "/etc/passwd", "//etc/passwd"),
    *(
        "..\\..\\.env",
        "\\windows\\win.ini",
        "C:\\windows\\win.ini",
        "C:evil",
        "C:/windows/win.ini",
        "/windows/win.ini",
    ),
    *(
        "\\\\host\\share\\x",
        "\\\\?\\C:\\x",
        "\\\\.\\PhysicalDrive0",
        "file:///etc/passwd",
        "~/.ssh/id_rsa",
        "~root/x",
    ),
    *(
        "CON",
        "NUL",
        "aux.png",
        "COM1",
        "lpt9.txt",
        "con.png.",
        "audio.wav.",
        "audio.wav ",
        "audio.wav::$DATA",
    ),
    *(".env", "sqlite.db", "../sqlite.db", "data/sqlite.db", "logs/app.log", "../logs/app.log", "secret.txt"),
    *(
        "audio.wav\x00.png",
        "a\nb",
        "a\r\nSet-Cookie: x=1",
        "%2e%2e",
        "%2e%2e%2f.env",
        "..%c0%af..",
        "..;/",
        "....//",
    ),
    *("․․/․․/.env", "．．/．．/.env", "link.png", "folder-link/secret.txt", "a" * 300, "a/" * 200),
]
# Bytes on the wire that a decoder may read as something else.
RAW = [
    "%2e%2e%2f%2e%2e%2f.env",
    "%252e%252e%252f.env",
    "..%2f..%2f.env",
    "..%5c..%5c.env",
    "%c0%ae%c0%ae/.env",
    "%00",
]


def _spellings(name: str) -> Iterator[str]:
    yield urllib.parse.quote(name, safe="")
    if all(33 <= ord(char) < 127 for char in name) and "%" not in name:
        yield name


@pytest.fixture(scope="module")
def baited(stocked: Stocked) -> Stocked:
    """Files that must not be read, wherever a wrong join would look."""
    data = stocked.served.settings.data_dir
    for place in (
        data.parent / ".env",
        data / ".env",
        data / "secret.txt",
        data / "secret.png",
        data.parent / "x.png",
    ):
        place.write_bytes(png() + MARK.encode())
    uploads = stocked.served.settings.uploads_dir
    (uploads / "link.png").symlink_to(data / "secret.png")
    (uploads / "folder-link").symlink_to(data.parent, target_is_directory=True)
    (data / "outputs" / stocked.done / "link.png").symlink_to(data / "secret.png")
    (data / "outputs" / stocked.done / "unlisted.txt").write_text(MARK, encoding="utf-8")
    return stocked


@pytest.mark.parametrize(("method", "path", "parameter"), PATH_PARAMETERS)
def test_no_path_parameter_leads_anywhere_but_to_what_it_names(
    baited: Stocked, method: str, path: str, parameter: str
) -> None:
    folder = baited.served.settings.data_dir.parent
    names = [spelling for name in [*CORPUS, "unlisted.txt", "video.mp4"] for spelling in _spellings(name)]
    for name in [*names, *RAW]:
        target = filled(path, baited.done, **{parameter: name})
        answer = baited.served.exchange(method, target)
        assert MARK.encode() not in answer.body, target
        assert b"root:" not in answer.body, target
        assert answer.status in (404, 405, 422), target
        # `..` may lead out of /v1, to an address that has the other shape.
        is_openai = answer.media_type == "application/json"
        assert_is_refusal("/v1/" if path.startswith("/v1/") and is_openai else "", answer, folder)
        assert "x" not in answer.headers.get("set-cookie", "")


def test_the_page_s_folder_is_the_only_one_that_is_served(baited: Stocked) -> None:
    folder = baited.served.settings.data_dir.parent
    for prefix in ("/static/", "/", "/static/../", "/static/js/../../", "//", "/static//"):
        for name in [spelling for raw in CORPUS for spelling in _spellings(raw)] + RAW:
            answer = baited.served.exchange("GET", prefix + name)
            assert MARK.encode() not in answer.body, prefix + name
            assert b"root:" not in answer.body
            if answer.status == 200:
                assert answer.media_type == "text/html", f"{prefix + name} is some file"
                assert answer.body == (ROOT / "webui" / "index.html").read_bytes()
            else:
                assert_is_problem(answer, folder)
    for source in (
        "backend/main.py",
        "pyproject.toml",
        "data/sqlite.db",
        ".git/config",
        "logs/app.log",
        ".env",
    ):
        for up in ("../", "../../", "%2e%2e/", "..%2f", "..%5c"):
            assert_is_problem(baited.served.exchange("GET", f"/static/{up}{source}"), folder)


@pytest.mark.parametrize("name", CORPUS, ids=ascii)
def test_no_local_path_as_avatar_leads_out_of_the_uploads(baited: Stocked, name: str) -> None:
    before = len(baited.served.exchange("GET", "/api/jobs?limit=100").json()["data"])
    spellings = [name, f"data/uploads/{name}", f"uploads/{name}", f"./{name}", f"data/uploads/../{name}"]
    spellings += [str(baited.served.settings.uploads_dir / ".." / name.lstrip("/")), f"uploads\\..\\{name}"]
    for avatar_url in spellings:
        body = json.dumps(job_body(avatar_url=avatar_url)).encode()
        answer = baited.served.exchange("POST", "/api/jobs", JSON, body)
        assert_is_problem(answer, baited.served.settings.data_dir.parent)
        assert answer.json()["code"] in {"fetch_refused", "avatar_not_found", "validation_failed"}, avatar_url
        assert MARK.encode() not in answer.body
    assert len(baited.served.exchange("GET", "/api/jobs?limit=100").json()["data"]) == before


def test_the_answer_does_not_tell_whether_a_file_outside_exists(baited: Stocked) -> None:
    told = set()
    for avatar_url in ("../secret.png", "../no-such-file.png", "/etc/passwd", "/etc/no-such-file"):
        body = json.dumps(job_body(avatar_url=avatar_url)).encode()
        problem = baited.served.exchange("POST", "/api/jobs", JSON, body).json()
        told.add((problem["code"], problem["detail"], problem["hint"]))
    assert len(told) == 1


DOWNLOADS = {
    "result": "video/mp4",
    "artifacts/audio.wav": "audio/wav",
    "artifacts/timings.json": "application/json",
    "artifacts/subtitles.srt": "application/x-subrip",
    "artifacts/subtitles.vtt": "text/vtt",
    "artifacts/thumbnail.jpg": "image/jpeg",
    "artifacts/script.json": "application/json",
}


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_download_has_a_fixed_type_is_saved_and_never_shown(stocked: Stocked, name: str) -> None:
    answer = stocked.served.exchange("GET", f"/api/jobs/{stocked.done}/{name}", ((b"Accept", b"text/html"),))
    assert (answer.status, answer.media_type) == (200, DOWNLOADS[name])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["content-disposition"].startswith("attachment;")
    inline = stocked.served.exchange("GET", f"/api/jobs/{stocked.done}/{name}?inline=1")
    assert (inline.media_type, inline.headers["x-content-type-options"]) == (DOWNLOADS[name], "nosniff")


def test_a_title_forges_no_header_and_no_folder(stocked: Stocked) -> None:
    """The job's title holds a line break and a header."""
    answer = stocked.served.exchange("GET", f"/api/jobs/{stocked.done}/result")
    assert "x" not in answer.headers
    name = urllib.parse.unquote(answer.headers["content-disposition"].partition("''")[2])
    assert name.startswith("六月")
    assert not set(name) & set('\r\n/\\:*?"<>|')


PAGES = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "html": b"<!doctype html><script>alert(1)</script>",
    "html behind a comment": b"<!-- " + b"x" * 5000 + b"--><script>alert(1)</script>",
    "xml": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "script": b"#!/bin/sh\necho hello\n",
    "windows program": b"MZ\x90\x00" + b"\x00" * 100,
    "pdf": b"%PDF-1.7\n",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "swf": b"CWS\x0a" + b"\x00" * 50,
    "gzip": b"\x1f\x8b\x08" + b"\x00" * 50,
    "pickle": b"\x80\x04\x95\x00",
}


@pytest.mark.parametrize("what", PAGES)
async def test_what_could_act_as_a_page_or_a_program_is_not_kept(tmp_path: Path, what: str) -> None:
    async with running_studio(tmp_path) as studio:
        for url, field in (("/api/avatars", "image_file"), ("/api/voice/clone", "audio_file")):
            for name, kind in (
                ("me.png", "image/png"),
                ("me.html", "text/html"),
                ("me.svg", "image/svg+xml"),
            ):
                answer = await studio.http.post(url, files={field: (name, PAGES[what], kind)})
                assert answer.status_code == 422
                assert answer.json()["code"] in {"image_unreadable", "audio_unreadable"}
        assert not list(studio.settings.uploads_dir.iterdir())
        assert not list(studio.settings.work_dir.iterdir())


async def test_a_picture_that_is_a_page_too_is_served_as_a_picture_under_our_name(tmp_path: Path) -> None:
    polyglot = png() + b"<script>alert(1)</script>"
    async with running_studio(tmp_path) as studio:
        files = {"image_file": ("../../evil.html", polyglot, "text/html")}
        avatar = (await studio.http.post("/api/avatars", files=files)).json()
        for key in ("image_url", "thumbnail_url"):
            answer = await studio.http.get(avatar[key], headers={"Accept": "text/html"})
            assert answer.headers["content-type"] in {"image/png", "image/jpeg"}
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "script-src" not in answer.headers["content-security-policy"]
        stored = {path.suffix for path in studio.settings.uploads_dir.iterdir()}
        assert stored <= {".png", ".jpg"}
        assert all(
            re.fullmatch(r"file_[a-z0-9]{16}\.\w+", path.name)
            for path in studio.settings.uploads_dir.iterdir()
        )


class _Page(HTMLParser):
    """Collects what a content security policy without 'unsafe-inline' forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.foreign: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._in_script = tag in ("script", "style")
        self.inline += [f"{tag} {name}" for name in given if name.startswith("on") or name == "style"]
        for name in ("src", "href", "action", "data"):
            value = given.get(name) or ""
            if value.startswith(("//", "http", "javascript:", "data:")):
                self.foreign.append(value)

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.inline.append(data.strip()[:40])


def test_the_page_s_policy_allows_our_own_files_alone_and_the_page_needs_no_more(stocked: Stocked) -> None:
    answer = stocked.served.exchange("GET", "/")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert "script-src" not in policy
    assert "style-src" not in policy
    for name in ("object-src", "base-uri", "frame-ancestors"):
        assert policy[name] == "'none'"
    sources = {source for value in policy.values() for source in value.split()}
    assert sources <= {"'self'", "'none'", "blob:", "data:"}, "no inline, no eval, no other host"
    assert "data:" not in policy["media-src"]
    page = _Page()
    page.feed(answer.body.decode())
    assert (page.inline, page.foreign) == ([], [])


def test_every_answer_carries_the_policy(stocked: Stocked) -> None:
    for method, target in (
        *(
            ("GET", address)
            for address in ("/", "/static/js/main.js", "/health", "/openapi.json", "/nothing")
        ),
        ("GET", f"/api/jobs/{stocked.done}/result"),
        ("POST", "/api/jobs"),
        ("DELETE", "/api/jobs/x"),
    ):
        answer = stocked.served.exchange(method, target)
        assert answer.headers["content-security-policy"].startswith("default-src 'self'"), target
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert told_secret(answer.body, stocked.served.settings.data_dir.parent) is None
