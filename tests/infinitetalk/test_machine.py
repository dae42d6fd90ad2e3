"""Weights packed into large pieces of host memory, and streamed from there."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from tests.infinitetalk.tiny import TINY, official_weights, tiny_inputs, tiny_model
from workers.infinitetalk import machine
from workers.infinitetalk.models import weights_of
from workers.infinitetalk.weights.scaled_fp8 import ScaledFp8Linear, quantise


def test_packing_changes_no_number_and_wastes_little() -> None:
    model = tiny_model()
    before = copy.deepcopy(model.state_dict())
    size = sum(parameter.nbytes for parameter in model.parameters())
    chunk = 1 << 22
    total = machine.pack(model, pinned=False, chunk=chunk)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert size <= total <= size + size // 8 + chunk
    starts = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    assert len(starts) <= total // chunk + 2
    for parameter in model.parameters():
        assert (parameter.data_ptr() - parameter.untyped_storage().data_ptr()) % machine._ALIGNMENT == 0


def test_eight_bits_and_their_scales_are_packed_too() -> None:
    plain = nn.Linear(48, 32)
    layer = ScaledFp8Linear(plain, *quantise(plain.weight.data))
    x = torch.randn(3, 48)
    expected = layer(x)
    total = machine.pack(layer, pinned=False)
    assert torch.equal(layer(x), expected)
    assert layer.weight.dtype == torch.float8_e4m3fn
    assert total == 1 << 11  # 1536 bytes of weight, then bias and scales


def test_a_weight_larger_than_a_piece_gets_one_of_its_own() -> None:
    layer = nn.Linear(64, 64, bias=False)
    assert machine.pack(layer, pinned=False, chunk=1 << 10) == 64 * 64 * 4


def test_streaming_gives_the_same_numbers() -> None:
    inputs = tiny_inputs()
    with torch.no_grad():
        expected = tiny_model()(**inputs)
        streamed = tiny_model()
        machine.pack(streamed, pinned=False)
        machine.place(streamed, "streamed", torch.device("cpu"))
        assert torch.equal(streamed(**inputs), expected)
        assert torch.equal(streamed(**inputs), expected)


def test_streamed_weights_wait_on_the_host() -> None:
    card = torch.device("meta")  # stands for a card: nothing is put there
    assert machine.load_device("streamed", card) == torch.device("cpu")
    assert machine.load_device("resident", card) == card


def test_free_memory_is_that_of_the_system() -> None:
    assert 1 << 20 < machine.free_ram() < 1 << 50
    assert machine.free_vram(torch.device("cpu")) is None
    assert machine.numbers_of(torch.device("cpu")) is torch.float32


def test_the_size_of_a_network_is_counted_from_its_shapes() -> None:
    weights = weights_of(TINY, torch.float32)
    numbers = sum(value.numel() for value in official_weights().values())
    eight = weights.blocks * weights.block_numbers
    assert weights.total_bytes("full") == 4 * (numbers - eight) + 2 * eight
    assert (
        weights.total_bytes("fp8") == 4 * (numbers - eight) + eight + 4 * weights.blocks * weights.block_rows
    )


def test_locked_memory_is_asked_for_in_whole_pieces_and_holds_every_weight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a card nothing can be locked: it is asked for all the same, and answered with plain memory."""
    asked: list[int] = []
    plain = torch.empty

    def empty(size: int, *, dtype: torch.dtype, pin_memory: bool) -> torch.Tensor:
        assert pin_memory
        asked.append(size)
        return plain(size, dtype=dtype)

    model = tiny_model()
    monkeypatch.setattr(torch, "empty", empty)
    assert machine.pack(model, pinned=True, chunk=1 << 22) == sum(asked)
    monkeypatch.undo()
    # The allocator of locked memory rounds up to a power of two: nothing is lost to that.
    assert all(size & (size - 1) == 0 for size in asked)
    pieces = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    assert len(pieces) == len(asked)
    with torch.no_grad():
        assert torch.equal(model(**tiny_inputs()), tiny_model()(**tiny_inputs()))
