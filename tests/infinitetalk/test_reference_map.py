"""Who looks at whom: the official map, positions on the line, and that the large matrix never exists."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.infinitetalk.tiny import golden, named_input, speaker_masks
from workers.infinitetalk.reference_map import reference_map, speaker_positions, token_masks
from workers.infinitetalk.token_run import TokenRun


class LargestResult(TorchDispatchMode):
    """Remembers how many numbers the largest result of any operation had."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel())
        return out


def test_the_map_is_the_official_one():
    query, key = named_input("q", 1, 96, 2, 128), named_input("k", 1, 96, 2, 128)
    seen = reference_map(query, key[:, :24], token_masks(speaker_masks(), 4, 6))
    expected = golden()["refmap"]
    torch.testing.assert_close(seen, expected, rtol=0, atol=1e-6)
    assert torch.equal(seen.argmax(0), expected.argmax(0))


def test_heads_times_tokens_times_keys_is_never_made():
    heads, tokens, keys, width = 4, 300, 256, 16
    query, key = named_input("q", 1, tokens, heads, width), named_input("k", 1, keys, heads, width)
    masks = (named_input("m", 3, keys) > 0).float()
    with LargestResult() as seen:
        fused = reference_map(query, key, masks)
    assert seen.largest <= heads * tokens * width
    # The same written out, which does make it.
    weights = (torch.einsum("blhd,brhd->bhlr", query, key) / width**0.5).softmax(-1)
    plain = torch.einsum("bhlr,mr->bhml", weights, masks).mean(1)[0] / masks.sum(1, keepdim=True)
    torch.testing.assert_close(fused, plain, rtol=0, atol=1e-6)


def test_a_person_of_no_tokens_is_seen_by_nobody():
    masks = torch.zeros(3, 24)
    masks[1, 3:9] = 1
    masks[2] = 1 - masks[1]
    seen = reference_map(named_input("q", 1, 96, 2, 128), named_input("k", 1, 24, 2, 128), masks)
    assert torch.equal(seen[0], torch.zeros(96))
    assert seen.isfinite().all()


def test_masks_are_resized_by_the_nearest_pixel():
    masks = token_masks(speaker_masks(), 4, 6)
    assert masks.shape == (3, 24)
    # Nearest takes rows 0, 2, 4, 6 and columns 0, 2, 4, ..., 10.
    assert masks[0].view(4, 6).tolist() == [[0.0] * 6, *[[0.0, 1.0, 1.0, 0.0, 0.0, 0.0]] * 3]
    assert torch.equal(masks.sum(0), torch.ones(24))


def test_positions_say_who_and_how_strongly():
    seen = torch.tensor([[0.1, 0.9, 0.5, 0.2, 0.1], [0.0, 0.1, 0.2, 0.8, 0.4], [0.9, 0.0, 0.1, 0.1, 0.3]])
    positions = speaker_positions(seen, TokenRun.whole(5, 5))
    torch.testing.assert_close(positions, torch.tensor([12.0, 4.0, 2.0, 24.0, 22.0]))


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_runs_cover_the_window_and_go_to_frames_and_back(ranks):
    total, per_frame = 35, 7
    tokens = torch.arange(1, total + 1)
    stop = 0
    for rank in range(ranks):
        run = TokenRun.of_rank(rank, ranks, total, per_frame, None)
        assert run.start == stop
        # The same cut as diffusers makes.
        assert torch.equal(tokens[run.start : run.stop], tokens.tensor_split(ranks)[rank])
        framed = run.to_frames(tokens[run.start : run.stop])
        whole = tokens.view(-1, per_frame)[run.frames]
        assert torch.equal(framed, torch.where(framed > 0, whole, 0))
        assert int((framed > 0).sum()) == run.length
        assert torch.equal(run.from_frames(framed), tokens[run.start : run.stop])
        stop = run.stop
    assert stop == total
