"""A package index on loopback with a few tiny wheels, and what an installer needs of uv, on top of pip.

Nothing here leaves the machine: wheels are made in memory, the index is an http.server on 127.0.0.1, `uv` is a script
in a wheel that unpacks what it is asked for.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Writes down how it was called; INSTALLER_HANG names a word of a call that never ends, INSTALLER_FAIL one that fails
# as often as the file beside it says.
FAKE_UV = f"""#!{sys.executable}
import json, os, pathlib, subprocess, sys, time
arguments = sys.argv[1:]
if arguments == ["--version"]:
    print("uv 9.9.9")
    sys.exit(0)
log = pathlib.Path(os.environ["INSTALLER_LOG"])
with log.open("a", encoding="utf-8") as stream:
    stream.write(json.dumps({{"call": arguments, "cache": os.environ["UV_CACHE_DIR"],
        "mirror": os.environ["UV_PYTHON_INSTALL_MIRROR"]}}) + "\\n")
word = os.environ.get("INSTALLER_HANG")
if word and any(word in part for part in arguments):
    pathlib.Path(str(log) + ".hangs").write_text("now")
    time.sleep(600)
word = os.environ.get("INSTALLER_FAIL")
left = pathlib.Path(str(log) + ".fail")
if word and any(word in part for part in arguments) and left.exists() and int(left.read_text()) > 0:
    left.write_text(str(int(left.read_text()) - 1))
    sys.stderr.write(os.environ["INSTALLER_FAIL_TEXT"] + "\\n")
    sys.exit(2)

def value(name):
    return arguments[arguments.index(name) + 1] if name in arguments else None

if arguments[0] == "venv":
    sys.exit(subprocess.call([value("--python"), "-m", "venv", "--without-pip", arguments[-1]]))
if arguments[:2] == ["python", "install"]:
    folder = pathlib.Path(os.environ["UV_PYTHON_INSTALL_DIR"]) / f"cpython-{{arguments[2]}}.0-linux" / "bin"
    folder.mkdir(parents=True)
    script = folder / "python3"
    script.write_text("#!/bin/sh\\nexec " + sys.executable + ' "$@"\\n')
    script.chmod(0o755)
    sys.exit(0)
assert arguments[:2] == ["pip", "install"], arguments
import hashlib, io, re, sysconfig, urllib.request, zipfile
if value("--target"):
    site = pathlib.Path(value("--target"))
    site.mkdir(parents=True, exist_ok=True)
else:
    site = next(pathlib.Path(value("--python")).parent.parent.glob("lib/python*/site-packages"))
wanted = [(part, None) for part in arguments[2:] if "==" in part]
if value("-r"):
    assert "--require-hashes" in arguments
    for line in pathlib.Path(value("-r")).read_text().splitlines():
        pin, _, digest = line.partition(" --hash=sha256:")
        wanted.append((pin, digest))
for pin, digest in wanted:
    name, _, version = pin.partition("==")
    page = None
    for index in (value("--index"), value("--default-index")):
        if index and page is None:
            page = urllib.request.urlopen(f"{{index}}/{{name}}").read().decode()
    link = next((l for l in re.findall('href="([^"]+)"', page) if f"-{{version}}-".replace("+", "%2B") in l), None)
    if link is None:
        sys.exit("x No solution found when resolving dependencies: " + pin)
    data = urllib.request.urlopen(index.rsplit("/", 1)[0] + link).read()
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        sys.exit(f"error: Hash mismatch for `{{pin}}`")
    for old in site.glob(f"{{name}}-*.dist-info"):
        import shutil
        shutil.rmtree(old)
    zipfile.ZipFile(io.BytesIO(data)).extractall(site)
"""

FAKE_TORCH = """import os
__version__ = "{version}"
bfloat16 = "bfloat16"
float16 = "float16"
class version:
    cuda = "{cuda}"
class _Number:
    def __init__(self, value): self.value = value
    def __matmul__(self, other): return self
    def sum(self): return self
    def item(self): return self.value
class cuda:
    @staticmethod
    def is_available(): return bool(os.environ.get("FAKE_GPU"))
    @staticmethod
    def get_device_name(index): return os.environ["FAKE_GPU"]
def ones(shape, dtype=None, device=None):
    return _Number(float(os.environ.get("FAKE_GPU_SUM", 64.0 ** 3)))
"""


@dataclass(frozen=True)
class Wheel:
    """A wheel in memory."""

    name: str
    version: str
    data: bytes

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}-py3-none-any.whl"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def pin(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n"


def wheel(
    name: str, version: str, files: Mapping[str, str], scripts: Mapping[str, str] | None = None
) -> Wheel:
    """A pure wheel of `files` (path in site-packages to text) and `scripts`."""
    info = f"{name}-{version}.dist-info"
    content = {
        **files,
        **{f"{name}-{version}.data/scripts/{script}": text for script, text in (scripts or {}).items()},
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in content.items()
    )
    content[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in content.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o100755 << 16  # a regular file: pip keeps its bit
            archive.writestr(entry, text)
    return Wheel(name, version, packed.getvalue())


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@dataclass
class Registry:
    """What the index serves; `asked` are the paths that came. `/slow/` answers late, `/gone/` never properly."""

    wheels: list[Wheel] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def add(self, *wheels: Wheel) -> None:
        self.wheels.extend(wheels)

    def answer(self, path: str) -> bytes | None:
        self.asked.append(path)
        parts = path.strip("/").split("/")
        for made in self.wheels:
            if parts[-1] == made.file.replace("+", "%2B") or parts[-1] == made.file:
                return made.data
        links = [made for made in self.wheels if made.name == parts[-1]]
        if not links or "gone" in parts:
            return None
        rows = "".join(f'<a href="/files/{w.file.replace("+", "%2B")}">{w.file}</a>\n' for w in links)
        return f"<!DOCTYPE html><html><body>{rows}</body></html>".encode()


@contextlib.contextmanager
def serving(registry: Registry) -> Iterator[Registry]:
    """Serve `registry` on 127.0.0.1 while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            body = registry.answer(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header(
                "Content-Type", "text/html" if not self.path.endswith(".whl") else "application/zip"
            )
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        def log_message(self, format: str, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    registry.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
