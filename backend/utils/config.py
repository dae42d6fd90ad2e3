"""Settings of the service process. The only module that reads the environment.

Every setting comes, in this order, from the process environment, from `.env` in the project folder, or
from the default below. `.env.example` lists them all; a test holds the two equal.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def _project_dir() -> Path:
    """The folder that holds `data/` and `.env`: the checkout, or the folder of a packaged executable."""
    if getattr(sys, "frozen", False):
        return Path(sys.executable).resolve().parent
    return Path(__file__).resolve().parents[2]


def _bundle_dir() -> Path:
    """The folder that holds `assets/`, `webui/` and `workers/` (unpacked by PyInstaller when frozen)."""
    unpacked = getattr(sys, "_MEIPASS", None)
    return Path(str(unpacked)) if unpacked else Path(__file__).resolve().parents[2]


# The port behind a name or a bracketed address; a bare IPv6 address has colons of its own and no port.
_PORT = re.compile(r"\A(\[[^\]]*\]|[^:]*):\d{1,5}\Z")

BASE_DIR = _project_dir()
BUNDLE_DIR = _bundle_dir()


# What MODEL_SOURCES may name; services/model_sources.py knows what they mean.
MODEL_SOURCE_NAMES = frozenset({"hf_endpoint", "modelscope", "hf-mirror", "huggingface", "url"})


def _folder(path: Path) -> Path:
    """Absolute; relative folders are relative to the project, not to wherever the shell stands."""
    if "\0" in str(path):
        raise ValueError("the name of a folder cannot hold a NUL character")
    try:
        return (BASE_DIR / path.expanduser()).absolute()
    except (RuntimeError, OSError):
        # Only a ValueError is taken for a wrong setting; anything else would end the start.
        raise ValueError("there is no home folder for the ~ of a folder") from None


def _folders(text: str) -> tuple[Path, ...]:
    return tuple(_folder(Path(name.strip())) for name in text.split(";") if name.strip())


class Settings(BaseSettings):
    """All settings. Field names are the environment variables, in lower case."""

    model_config = SettingsConfigDict(
        # An address may hold a password: a wrong one is not repeated in the error.
        env_file_encoding="utf-8",
        # `NAME=` means "not set", for every setting: a blank DATA_DIR would else be the project folder itself.
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    # where the service listens
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 serves the local network")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on")
    allowed_hosts: str = Field("", description="More host names to answer to, separated by commas")
    api_key: SecretStr | None = Field(None, description="Key that callers must send (Authorization: Bearer)")

    # where things lie
    data_dir: Path = Field(Path("data"), description="Uploads, results, database and caches")
    logs_dir: Path = Field(Path("logs"), description="app.log and worker.log")
    hf_home: Path | None = Field(None, description="Hugging Face home; default data/hf_cache")
    transformers_cache: Path | None = Field(None, description="Transformers cache; honoured when set")
    hf_endpoint: str | None = Field(None, description="Hugging Face mirror, e.g. https://hf-mirror.com")
    pip_index_url: str | None = Field(None, description="PyPI mirror that the start script installs from")
    torch_index_url: str | None = Field(None, description="Mirror of PyTorch's package index, for installers")
    github_mirror: str | None = Field(None, description="Replaces https://github.com in the installers")

    # how much
    job_concurrency: int = Field(
        0,
        ge=0,
        le=16,
        description="Jobs that run at the same time; 0: as many as there are GPUs, at least one",
    )
    gpus_per_video: int = Field(
        1, ge=1, le=8, description="Equal GPUs that share each InfiniteTalk video; 1: a video each"
    )
    queue_limit: int = Field(1000, ge=1, le=100_000, description="Jobs that may wait; more are refused")
    cpu_threads: int = Field(0, ge=0, le=256, description="Threads per CPU engine; 0 chooses by the machine")
    max_script_chars: int = Field(20_000, ge=1, le=100_000, description="Longest script accepted")
    max_image_mib: int = Field(40, ge=1, le=1024, description="Largest portrait accepted, MiB")
    max_audio_mib: int = Field(200, ge=1, le=4096, description="Largest voice sample accepted, MiB")
    job_deadline_s: int = Field(7200, ge=10, le=604_800, description="Longest time one stage may take, s")
    worker_idle_unload_s: int = Field(
        600, ge=0, le=604_800, description="Idle time after which an engine process ends; 0 keeps it"
    )
    sse_max_subscribers: int = Field(64, ge=1, le=10_000, description="Open event streams in all")
    sse_max_per_job: int = Field(8, ge=1, le=10_000, description="Open event streams per job")

    # what is kept
    keep_jobs_days: int = Field(30, ge=0, le=36_500, description="Days that ended jobs are kept; 0: for ever")
    keep_jobs: int = Field(2000, ge=0, le=1_000_000, description="Ended jobs that are kept; 0: any number")
    disk_budget_gb: float = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Room for videos without a star and intermediate files, GB; 0: no limit",
    )

    # who checks speech
    hear_back: Literal["auto", "on", "off"] = Field(
        "auto", description="Whether a recogniser hears speech back; auto: that of engines that clone voices"
    )

    # who writes scripts
    script_api_url: str | None = Field(
        None, description="OpenAI-compatible address that writes scripts, e.g. http://192.168.1.20:11434/v1"
    )
    script_api_key: SecretStr | None = Field(None, description="Key for SCRIPT_API_URL")
    script_api_model: str | None = Field(
        None, description="Model that writes; default: the first one offered"
    )
    script_discovery: bool = Field(
        True, description="Whether Ollama, LM Studio and llama.cpp are looked for on this computer"
    )

    # models that are downloaded
    model_sources: str = Field(
        "hf_endpoint,modelscope,hf-mirror,huggingface,url",
        description="Where models come from, in this order; auto: the fastest first",
    )
    model_folders: str = Field(
        "",
        description="Folders with models of other programs, separated by ;, that are used instead of a download",
    )
    model_parallel: int = Field(1, ge=1, le=4, description="Models that are downloaded at the same time")
    model_offline: bool = Field(False, description="Whether models are never downloaded")

    # network and logs
    fetch_proxy: str | None = Field(
        None, description="Proxy for fetching portraits by URL; it resolves names"
    )
    webhook_allow_private: bool = Field(
        False, description="Whether webhooks may go to this computer and private networks"
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")

    @field_validator("data_dir", "logs_dir", "hf_home", "transformers_cache")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else _folder(value)

    @field_validator("model_folders")
    @classmethod
    def _can_be_expanded(cls, value: str) -> str:
        """Seen when it is set, not by `model_folder_list` at the next start."""
        try:
            _folders(value)
        except ValueError as error:
            raise ValueError(f"MODEL_FOLDERS cannot be used: {error}") from None
        return value

    @field_validator(
        "hf_home",
        "transformers_cache",
        "hf_endpoint",
        "pip_index_url",
        "torch_index_url",
        "github_mirror",
        "fetch_proxy",
        "api_key",
        "script_api_url",
        "script_api_key",
        "script_api_model",
        mode="before",
    )
    @classmethod
    def _blank_is_unset(cls, value: Any) -> Any:
        """`NAME=` in .env means "not set"."""
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("script_api_url")
    @classmethod
    def _chat_address(cls, value: str | None) -> str | None:
        """The address up to its version: people also copy the whole one, or only the host."""
        if value is None:
            return None
        parts = urlsplit(value.strip())
        # `port` raises ValueError when it is none.
        is_address = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        if not is_address or parts.username is not None:
            raise ValueError("SCRIPT_API_URL must be an address such as http://127.0.0.1:11434/v1")
        path = parts.path.rstrip("/").removesuffix("/chat/completions").rstrip("/")
        return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"

    @field_validator("fetch_proxy")
    @classmethod
    def _http_proxy(cls, value: str | None) -> str | None:
        """What the HTTP client can use: without a scheme it refuses every fetch, and SOCKS it does not speak."""
        if value is None:
            return None
        address = value.strip()
        try:
            parts = urlsplit(address)
            # `port` raises ValueError when it is none.
            is_address = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address or any(char.isspace() or not char.isprintable() for char in address):
            raise ValueError("FETCH_PROXY must be an http or https address such as http://127.0.0.1:7890")
        return address

    @field_validator("api_key", "script_api_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """It is sent in a header, which takes nothing else: programs could never show another key."""
        if value is None:
            return None
        key = value.get_secret_value().strip()
        if not (key.isascii() and key.isprintable()):
            name = str(info.field_name).upper()
            raise ValueError(f"{name} may hold only letters, digits and signs of ASCII, and no line break")
        return SecretStr(key)

    @field_validator("model_sources")
    @classmethod
    def _known_sources(cls, value: str) -> str:
        names = [name.strip().lower() for name in value.split(",") if name.strip()]
        if names == ["auto"] or (names and set(names) <= MODEL_SOURCE_NAMES):
            return ",".join(names)
        raise ValueError(f"MODEL_SOURCES must be auto, or some of {', '.join(sorted(MODEL_SOURCE_NAMES))}")

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        level = value.strip().upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR")
        return level

    # -- derived folders ---------------------------------------------------------------------------
    @property
    def uploads_dir(self) -> Path:
        return self.data_dir / "uploads"

    @property
    def outputs_dir(self) -> Path:
        return self.data_dir / "outputs"

    @property
    def work_dir(self) -> Path:
        return self.data_dir / "work"

    @property
    def checkpoints_dir(self) -> Path:
        return self.data_dir / "checkpoints"

    @property
    def models_dir(self) -> Path:
        return self.data_dir / "models"

    @property
    def cache_dir(self) -> Path:
        return self.data_dir / "cache"

    @property
    def database_path(self) -> Path:
        return self.data_dir / "sqlite.db"

    @property
    def hf_home_dir(self) -> Path:
        return self.hf_home or self.data_dir / "hf_cache"

    @property
    def hub_caches(self) -> tuple[Path, ...]:
        """Hugging Face caches of this computer: of the settings, and where other programs keep theirs."""
        folders = (
            self.hf_home_dir / "hub",
            self.transformers_cache,
            Path.home() / ".cache" / "huggingface" / "hub",
        )
        return tuple(dict.fromkeys(folder for folder in folders if folder is not None))

    @property
    def model_source_order(self) -> tuple[str, ...]:
        return tuple(self.model_sources.split(","))

    @property
    def model_folder_list(self) -> tuple[Path, ...]:
        return _folders(self.model_folders)

    @property
    def extra_hosts(self) -> tuple[str, ...]:
        """Names without port and brackets, as they are compared; many people copy them from the address bar."""
        names = (_PORT.sub(r"\1", host.strip().lower()) for host in self.allowed_hosts.split(","))
        return tuple(name.strip("[]") for name in names if name)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def threads(self) -> int:
        """Threads for one CPU engine. Four: beyond it the draft renderer and Kokoro gain little."""
        return self.cpu_threads or min(4, os.cpu_count() or 2)


def load_settings(env_file: Path | None = None, **overrides: Any) -> Settings:
    """Settings from the environment and `.env` (or `env_file`); `overrides` win over both."""
    return Settings(_env_file=env_file or BASE_DIR / ".env", **overrides)  # type: ignore[call-arg]


def process_environment() -> Mapping[str, str]:
    """A copy of this process's environment, from which worker environments are built."""
    return dict(os.environ)


def worker_environment(settings: Settings) -> Mapping[str, str]:
    """The process environment plus what the settings say about model caches and mirrors."""
    env = dict(os.environ)
    env["HF_HOME"] = str(settings.hf_home_dir)
    if settings.transformers_cache is not None:
        env["TRANSFORMERS_CACHE"] = str(settings.transformers_cache)
    if settings.hf_endpoint is not None:
        env["HF_ENDPOINT"] = settings.hf_endpoint
    if settings.model_offline:
        env["HF_HUB_OFFLINE"] = "1"
    return env


_LAZY_FOLDERS = {
    "DATA_DIR": "data_dir",
    "LOGS_DIR": "logs_dir",
    "UPLOADS_DIR": "uploads_dir",
    "OUTPUTS_DIR": "outputs_dir",
    "HF_HOME_DIR": "hf_home_dir",
}


def __getattr__(name: str) -> Path:
    """`DATA_DIR`, `OUTPUTS_DIR`, … of the product document, read when asked for, not at import."""
    attribute = _LAZY_FOLDERS.get(name)
    if attribute is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    folder = getattr(load_settings(), attribute)
    assert isinstance(folder, Path)  # noqa: S101 - narrows the type; every entry above is a folder
    return folder
