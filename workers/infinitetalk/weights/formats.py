"""Which weights lie on the disk: formats are recognised by what is inside, not by the file's name.

Runs in the InfiniteTalk worker. Paths come in (files, folders, an index); out comes, for every parameter
of the model, the file, the key in it, and the key of its scale if it has one. Only headers are read.

| published as | recognised by |
|---|---|
| official shards (`Wan-AI/Wan2.1-I2V-14B-480P`) | an index and several files, official names |
| diffusers directory (`…-Diffusers`, or its `transformer`) | diffusers' names |
| ComfyUI single file, bf16, fp16, fp8, fp8_scaled | official names, often behind `model.diffusion_model.` |
| InfiniteTalk adapter (MeiGen fp32, Kijai fp16 and fp8_scaled, ComfyUI `model_patches`) | audio names only |
| GGUF | the file's first bytes; official names |
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.infinitetalk.weights import problems
from workers.infinitetalk.weights.gguf_file import PLAIN, GgufFile
from workers.infinitetalk.weights.mapping import is_audio_key, is_ours, names_to_ours
from workers.infinitetalk.weights.scaled_fp8 import MARKS, SCALE_SUFFIXES, UNUSED_SUFFIXES
from workers.infinitetalk.weights.tensor_file import PickledFile, SafetensorsFile, TensorSource

_FP8 = ("F8_E4M3", "F8_E5M2")
_FLOATS = ("F64", "F32", "F16", "BF16", *_FP8)
# Keys that other programs' quantised files have; their numbers cannot be read without that program.
_FOREIGN = {
    "optimum-quanto": re.compile(r"\.weight\._(data|scale)$"),
    "bitsandbytes": re.compile(r"\.weight\.(quant_state|absmax|quant_map|SCB)"),
    "Nunchaku": re.compile(r"\.(qweight|wscales|smooth_factor)$"),
}
_SHARD = re.compile(r"^(.+)-(\d{5})-of-(\d{5})\.safetensors$")
_PICKLES = (".pth", ".pt", ".bin", ".ckpt")


@dataclass(frozen=True)
class Entry:
    """Where one parameter of the model lies. `dtype` as the file names it; `shape` as it is there.

    `rows`: only these of the first dimension, because the file joins several parameters in one.
    """

    source: TensorSource
    key: str
    dtype: str
    shape: tuple[int, ...]
    scale: str | None = None
    rows: tuple[int, int] | None = None

    def read(self) -> tuple[Any, Any]:
        """(the tensor in the file's type, its scale or None), on the host."""
        tensor = self.source.read(self.key)
        scale = None if self.scale is None else self.source.read(self.scale)
        if self.rows is None:
            return tensor, scale
        own = slice(*self.rows)
        # A copy: a view would keep the other rows alive.
        tensor = tensor[own].clone()
        return tensor, scale if scale is None or scale.numel() == 1 else scale[own].clone()

    @property
    def quantised(self) -> bool:
        """Whether the file holds GGUF blocks."""
        return isinstance(self.source, GgufFile) and self.dtype not in PLAIN


@dataclass(frozen=True)
class FileReport:
    """One group of files as a person would name it."""

    format: str
    precision: str
    files: int
    tensors: int
    nbytes: int

    def __str__(self) -> str:
        return (
            f"{self.format}, {self.precision}, {self.files} files, {self.tensors} tensors, "
            f"{self.nbytes / 1e9:.2f} GB"
        )


@dataclass(frozen=True)
class Checkpoint:
    """All weights that were found, by the parameter's name in our model."""

    entries: Mapping[str, Entry]
    reports: tuple[FileReport, ...]

    @property
    def precision(self) -> str:
        """What most weights of the blocks are kept in: `gguf`, `fp8` or `full`."""
        return _precision(
            entry for name, entry in self.entries.items() if name.startswith(("blocks.", "encoder.block."))
        )


def precision_of(path: Path) -> str:
    """The same of one file or folder, whatever its parameters are called. Raises `TaskError(model_missing)`."""
    return _precision(entry for source in open_weights(path) for entry in entries_of(source).values())


def _precision(entries: Iterable[Entry]) -> str:
    kinds = Counter(
        "gguf" if entry.quantised else "fp8" if entry.dtype in _FP8 else "full"
        for entry in entries
        if len(entry.shape) == 2
    )
    return kinds.most_common(1)[0][0] if kinds else "full"


def open_file(path: Path) -> TensorSource:
    """The file by its kind. Raises `TaskError(model_missing)`."""
    suffix = path.suffix.lower()
    if suffix == ".gguf":
        return GgufFile(path)
    if suffix in _PICKLES:
        return PickledFile(path)
    return SafetensorsFile(path)


def open_weights(path: Path) -> list[TensorSource]:
    """All files that `path` stands for: a file, an index, or a folder of a model."""
    if path.name.endswith(".index.json"):
        return _shards(path)
    if not path.is_dir():
        return [open_file(path)]
    for folder in (path, path / "transformer"):
        indexes = sorted(folder.glob("*.safetensors.index.json"))
        if indexes:
            return _shards(indexes[0])
        files = sorted(folder.glob("*.safetensors"))
        if files:
            _all_shards_there(files)
            return _chosen([SafetensorsFile(file) for file in files])
    raise problems.missing_file(path / "diffusion_pytorch_model.safetensors")


def _chosen(files: Sequence[SafetensorsFile]) -> list[TensorSource]:
    """Shards of one model all, but of several whole files the largest: fp8 and bf16 may lie side by side.

    A base and an adapter are two models: the largest of each.
    """
    if any(_SHARD.match(file.path.name) for file in files):
        return list(files)
    best: dict[bool, SafetensorsFile] = {}
    for file in files:
        adapter = all(is_audio_key(key) for key in file.entries if not _is_companion(key))
        other = best.get(adapter)
        if other is None or file.nbytes > other.nbytes:
            best[adapter] = file
    return list(best.values())


def _shards(index: Path) -> list[TensorSource]:
    try:
        table = json.loads(index.read_text("utf-8"))["weight_map"]
        wanted = {str(key): str(file) for key, file in table.items()}
    except FileNotFoundError as error:
        raise problems.missing_file(index) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise problems.damaged(index, f"no index of shards: {error}") from error
    sources: dict[str, TensorSource] = {}
    for file in sorted(set(wanted.values())):
        if Path(file).name != file:
            raise problems.damaged(index, f"names a file elsewhere: {file}")
        sources[file] = SafetensorsFile(index.parent / file)
    absent = [key for key, file in wanted.items() if key not in sources[file].entries]
    if absent:
        raise problems.damaged(
            index.parent / wanted[absent[0]], f"the index names more: {problems.some(absent)}"
        )
    return list(sources.values())


def _all_shards_there(files: Sequence[Path]) -> None:
    for file in files:
        match = _SHARD.match(file.name)
        if match is None:
            continue
        for number in range(1, int(match[3]) + 1):
            sibling = file.with_name(f"{match[1]}-{number:05d}-of-{match[3]}.safetensors")
            if sibling not in files:
                raise problems.missing_file(sibling)


def inspect(paths: Iterable[Path]) -> Checkpoint:
    """Every parameter in these files, folders and indexes, by our name.

    Raises `TaskError(model_missing)` for a file that is not there, is damaged, belongs to another model
    or holds what another one holds.
    """
    entries: dict[str, Entry] = {}
    reports = []
    for path in paths:
        sources = open_weights(path)
        found = [(source, entries_of(source)) for source in sources]
        named = names_to_ours(key for _, own in found for key in own)
        for source, own in found:
            for key, entry in own.items():
                name = named[key]
                if name in entries:
                    raise problems.twice(source.path, entries[name].source.path, name)
                entries[name] = entry
        own_entries = [entry for _, own in found for entry in own.values()]
        reports.append(
            report_of(sources, own_entries, _layout(sources, [entry.key for entry in own_entries]))
        )
    return Checkpoint(entries, tuple(reports))


def entries_of(source: TensorSource, *, others: bool = False) -> dict[str, Entry]:
    """Key -> entry of one file, in the file's own names, with scales put beside their weights.

    `others`: tensors of whole numbers may lie there too (a tokenizer, position numbers) and are left out.
    """
    own: dict[str, Entry] = {}
    keys = source.entries
    for key, info in keys.items():
        for program, pattern in _FOREIGN.items():
            if pattern.search(key):
                raise problems.unsupported(source.path, f"quantised by {program}")
        if _is_companion(key):
            continue
        if info.dtype not in _FLOATS and not isinstance(source, GgufFile):
            if others:
                continue
            raise problems.unsupported(source.path, f"weights of type {info.dtype}")
        own[key] = Entry(source, key, info.dtype, info.shape, _scale_key(key, keys))
    if not own:
        raise problems.unsupported(source.path, "there are no weights in it")
    return own


def _is_companion(key: str) -> bool:
    """A scale, a mark, or a norm that diffusers' conversion once wrote and no model has."""
    return (
        key.split(".")[-1] in MARKS
        or ".norm_added_q." in key
        or key.endswith(SCALE_SUFFIXES + UNUSED_SUFFIXES)
    )


def _scale_key(key: str, keys: Mapping[str, Any]) -> str | None:
    if not key.endswith(".weight"):
        return None
    stem = key.removesuffix(".weight")
    return next((stem + suffix for suffix in SCALE_SUFFIXES if stem + suffix in keys), None)


def _layout(sources: Sequence[TensorSource], keys: Sequence[str]) -> str:
    if any(isinstance(source, GgufFile) for source in sources):
        return "GGUF"
    if all(is_audio_key(key) for key in keys):
        return "InfiniteTalk adapter"
    if is_ours(keys):
        return "diffusers directory"
    return "official shards" if len(sources) > 1 else "single file"


def report_of(sources: Sequence[TensorSource], entries: Sequence[Entry], layout: str) -> FileReport:
    """What a person should know about these files."""
    common = Counter(entry.dtype for entry in entries if len(entry.shape) >= 2).most_common(1)
    precision = (common[0][0] if common else entries[0].dtype).lower()
    if any(entry.scale for entry in entries):
        precision += " scaled"
    return FileReport(
        format=layout,
        precision=precision,
        files=len(sources),
        tensors=len(entries),
        nbytes=sum(info.nbytes for source in sources for info in source.entries.values()),
    )
