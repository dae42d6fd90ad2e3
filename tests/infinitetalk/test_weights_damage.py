"""Files that are not there, cut short, broken, or somebody else's: a reason and a way out, never noise."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import pytest
import torch

from tests.infinitetalk import weight_files
from tests.infinitetalk.weight_files import SMALL, small_weights
from workers.handler import TaskError
from workers.infinitetalk.weights.formats import inspect, open_file
from workers.infinitetalk.weights.stream import load_transformer
from workers.infinitetalk.weights.tensor_file import SafetensorsFile, read_bytes


def fails(paths: list[Path], words: str) -> TaskError:
    with pytest.raises(TaskError, match=words) as caught:
        load_transformer(SMALL, paths, torch.float32, "cpu")
    assert caught.value.code == "model_missing"
    assert str(paths[0].parent) not in caught.value.message
    return caught.value


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "Download" in fails([tmp_path / "none.safetensors"], "is not there").message
    fails([tmp_path / "none.gguf"], "is not there")
    fails([tmp_path], "is not there")


@pytest.mark.parametrize("cut", [1, 1000, "half", "header", "empty"])
def test_a_file_that_was_cut_short(cut: int | str, tmp_path: Path) -> None:
    paths = weight_files.comfy(torch.bfloat16)(small_weights(), tmp_path)
    data = paths[0].read_bytes()
    left = (
        {"half": len(data) // 2, "header": 100, "empty": 0}.get(cut, 0)
        if isinstance(cut, str)
        else len(data) - cut
    )
    paths[0].write_bytes(data[:left])
    assert "download it again" in fails(paths, "damaged").message


def test_a_file_that_shrinks_after_it_was_opened(tmp_path: Path) -> None:
    path = weight_files.save({"head.head.bias": torch.ones(4096)}, tmp_path / "x.safetensors")
    source = open_file(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 8)
    with pytest.raises(TaskError, match="damaged"):
        source.read("head.head.bias")


@pytest.mark.parametrize(
    "header",
    [
        b"not json",
        b"[]",
        b'{"a": 1}',
        b'{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}',
    ],
)
def test_a_header_that_makes_no_sense(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    fails([path], "damaged")
    path.write_bytes(struct.pack("<Q", 1 << 62) + header + bytes(8))
    fails([path], "damaged")


@pytest.mark.parametrize("damage", ["cut", "magic"])
def test_a_broken_gguf(damage: str, tmp_path: Path) -> None:
    paths = weight_files.gguf_q8(small_weights(), tmp_path)
    data = paths[0].read_bytes()
    paths[0].write_bytes(data[: len(data) // 2] if damage == "cut" else b"XXXX" + data[4:])
    fails(paths, "damaged")


def test_the_adapter_alone_or_the_base_alone(tmp_path: Path) -> None:
    base, adapter = weight_files.official(small_weights(), tmp_path)
    assert "26 parameters" in fails([base], "adapter is missing").detail
    fails([adapter], "not complete")


def test_one_key_that_is_missing_is_named(tmp_path: Path) -> None:
    state = dict(small_weights())
    del state["blocks.1.ffn.2.weight"]
    error = fails([weight_files.save(state, tmp_path / "x.safetensors")], "not complete")
    assert "blocks.1.ffn.net.2.weight" in error.detail


def test_a_shard_that_is_missing_or_short_of_a_key(tmp_path: Path) -> None:
    base, adapter = weight_files.official(small_weights(), tmp_path)
    shard = base / "diffusion_pytorch_model-00002-of-00003.safetensors"
    data = shard.read_bytes()
    shard.unlink()
    assert shard.name in fails([base, adapter], "is not there").message
    (base / "diffusion_pytorch_model.safetensors.index.json").unlink()
    assert shard.name in fails([base, adapter], "is not there").message
    shard.write_bytes(data)
    load_transformer(SMALL, [base, adapter], torch.float32, "cpu")


@pytest.mark.parametrize(
    "index",
    ["{", "[]", '{"weight_map": 3}', '{"weight_map": {"a": "../secret.safetensors"}}'],
)
def test_an_index_that_is_broken_or_points_elsewhere(index: str, tmp_path: Path) -> None:
    path = tmp_path / "diffusion_pytorch_model.safetensors.index.json"
    path.write_text(index, "utf-8")
    fails([path], "damaged")


def test_an_index_that_names_a_key_its_shard_does_not_have(tmp_path: Path) -> None:
    base, adapter = weight_files.official(small_weights(), tmp_path)
    index = base / "diffusion_pytorch_model.safetensors.index.json"
    table = json.loads(index.read_text("utf-8"))
    table["weight_map"]["blocks.9.modulation"] = "diffusion_pytorch_model-00001-of-00003.safetensors"
    index.write_text(json.dumps(table), "utf-8")
    fails([base, adapter], "damaged")


def test_the_same_weights_twice(tmp_path: Path) -> None:
    paths = weight_files.official(small_weights(), tmp_path)
    again = weight_files.save(weight_files.halves(small_weights())[1], tmp_path / "again.safetensors")
    fails([*paths, again], "hold the same weights")


def test_a_model_of_another_size(tmp_path: Path) -> None:
    state = dict(small_weights())
    state["blocks.0.self_attn.q.weight"] = torch.ones(128, 128)
    error = fails([weight_files.save(state, tmp_path / "x.safetensors")], "another size")
    assert "(128, 128)" in error.detail


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("blocks.0.self_attn.q.weight._data", torch.ones(2, 2, dtype=torch.int8), "optimum-quanto"),
        ("blocks.0.self_attn.q.weight.absmax", torch.ones(2), "bitsandbytes"),
        ("blocks.0.self_attn.q.qweight", torch.ones(2, 2, dtype=torch.int32), "Nunchaku"),
        ("blocks.0.self_attn.q.weight", torch.ones(256, 256, dtype=torch.int8), "weights of type I8"),
        ("vae.conv.weight", torch.ones(2), "does not belong"),
    ],
)
def test_files_of_other_programs_and_models(
    key: str, value: torch.Tensor, words: str, tmp_path: Path
) -> None:
    fails([weight_files.save({key: value}, tmp_path / "x.safetensors")], words)


def test_a_pickle_that_would_call_something_calls_nothing(tmp_path: Path) -> None:
    called = tmp_path / "called"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (called,))

    for name in ("x.pth", "x.bin"):
        path = tmp_path / name
        torch.save({"weight": Evil()}, path)
        with pytest.raises(TaskError, match="not supported"):
            inspect([path])
        path.write_bytes(pickle.dumps(Evil(), protocol=2))
        with pytest.raises(TaskError):
            inspect([path])
    assert not called.exists()


def test_a_pickle_of_tensors_is_read_with_its_wrapper(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"state_dict": {"a": torch.arange(6.0).reshape(2, 3).T}, "step": 3}, path)
    source = open_file(path)
    assert source.entries["a"].shape == (3, 2)
    assert torch.equal(source.read("a"), torch.arange(6.0).reshape(2, 3).T)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(TaskError):
        open_file(path)


def test_a_file_that_the_system_does_not_give_out_is_not_called_damaged(tmp_path: Path) -> None:
    held = tmp_path / "model.safetensors"
    held.mkdir()  # opening it fails, as that of a file which another program holds
    with pytest.raises(TaskError, match="cannot be opened") as refused:
        SafetensorsFile(held)
    assert refused.value.code == "model_missing"
    assert "Delete" not in refused.value.message, "28 GB are not fetched again for that"
    with pytest.raises(TaskError, match="cannot be opened"):
        read_bytes(held, 0, 4)
