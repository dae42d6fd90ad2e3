"""GitHub's source archives on loopback: of a tiny repository, whole, cut off, resumed, changed, evil.

The tree id that an archive should have is computed by git itself, so that the installer's own computing is not its own
witness.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOP = f"Wan2GP-{COMMIT}"
VERSION = "12.60"
# What the installer needs of upstream: its marker, and a package `shared` whose `api` can be started.
WGP = 'import os\n\nWanGP_version = "12.60"\nassert os.path.basename(os.getcwd()) == "wan2gp_core"\n'
API = """import json, os, pathlib, shutil
class _Session:
    def list_model_metadata(self): return {"t2v": {}, "multitalk": {}}
def init(*, root, config_path, output_dir, console_output, console_isatty, cli_args):
    import wgp
    said = os.environ.get("FAKE_START")
    if said == "exit":
        raise SystemExit(0)
    if said:
        print("what upstream printed")
        raise RuntimeError(said)
    assert pathlib.Path(config_path).name == "wgp_config.json"
    assert json.loads(pathlib.Path(config_path).read_text())["checkpoints_paths"]
    assert shutil.which("ffmpeg") and shutil.which("ffprobe")
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == os.environ.get("WANTED_GPU", "0")
    (pathlib.Path(root) / "settings").mkdir(exist_ok=True)
    return _Session()
"""
FILES: Mapping[str, str] = {
    "wgp.py": WGP,
    "LICENSE.txt": "WanGP Community License 2.0\n",
    "shared/__init__.py": "",
    "shared/api.py": API,
    "shared/名.txt": "名\n",
    "shared.txt": "sorted before shared/ as a file, after it as a folder\n",
    "scripts/run.sh": "#!/bin/sh\n",
    "models/wan/deep/er/a.json": "{}\n",
}
EXECUTABLE = ("scripts/run.sh",)


def git_tree(folder: Path, files: Mapping[str, str] = FILES, executable: tuple[str, ...] = EXECUTABLE) -> str:
    """git's own tree id of `files`; `folder` becomes a repository."""
    folder.mkdir(parents=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8", newline="\n")
        (folder / path).chmod(0o755 if path in executable else 0o644)
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    git("init", "--quiet")
    git("-c", "core.autocrlf=false", "-c", "core.fileMode=true", "add", "--all")
    return git("write-tree")


def archive(
    files: Mapping[str, str] = FILES,
    executable: tuple[str, ...] = EXECUTABLE,
    extra: tuple[tarfile.TarInfo, ...] = (),
) -> bytes:
    """A tar.gz like GitHub's: one top folder, the commit in a header of its own, group-writable modes."""
    packed = io.BytesIO()
    with tarfile.open(
        fileobj=packed, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": COMMIT}
    ) as tar:
        top = tarfile.TarInfo(f"{TOP}/")
        top.type, top.mode = tarfile.DIRTYPE, 0o775
        tar.addfile(top)
        for path, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"{TOP}/{path}")
            entry.size, entry.mode = len(data), 0o775 if path in executable else 0o664
            tar.addfile(entry, io.BytesIO(data))
        for entry in extra:
            tar.addfile(entry, io.BytesIO(b"x" * entry.size) if entry.isreg() else None)
    return packed.getvalue()


@dataclass
class GitHub:
    """What the server gives. `cuts`: after how many bytes each of the next answers breaks off.

    `ranges`: whether it goes on from an offset; `names_version`: whether it says an ETag; `tells_length`: whether it
    says how much there is (GitHub often does not). `asked`: (path, Range, status).
    """

    data: bytes
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    names_version: bool = True
    tells_length: bool = True
    status: int = 200
    asked: list[tuple[str, str | None, int]] = field(default_factory=list)
    address: str = ""

    @property
    def etag(self) -> str:
        return f'"{len(self.data)}-{self.data[-8:].hex()}"'


@contextlib.contextmanager
def serving_archive(github: GitHub) -> Iterator[GitHub]:
    """Serve `github` on 127.0.0.1 while the block runs; the archive lies behind a redirection, as at GitHub."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            if not self.path.startswith("/codeload"):
                self.send_response(302)
                self.send_header("Location", f"{github.address}/codeload{self.path}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            wanted = self.headers.get("Range")
            condition = self.headers.get("If-Range")
            start = 0
            if wanted and github.ranges and condition in (None, github.etag):
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
            status = github.status if github.status != 200 else 206 if start else 200
            if start > len(github.data):
                status = 416
            github.asked.append((self.path.removeprefix("/codeload"), wanted, status))
            self.send_response(status)
            body = github.data[start:] if status in (200, 206) else b""
            if github.names_version:
                self.send_header("ETag", github.etag)
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{len(github.data) - 1}/{len(github.data)}")
            if github.tells_length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: github.cuts.pop(0)] if github.cuts else body)

        def log_message(self, format: str, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    github.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
