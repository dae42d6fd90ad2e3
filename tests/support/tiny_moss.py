"""A MOSS-TTS-Nano of a few kilobytes: graphs with the signature of the real export and arithmetic one can follow.

The language model adds things up: a row's value is the sum of its numbers, the hidden state the mean over all rows so
far, taken from the cache of keys. Frame k therefore depends on every row, on the order of the cache, on the mask of
used codes and on the random numbers; `expected_frames` computes the same in numpy.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from workers.moss_nano import layout as names

N_VQ, BOOK, RATE, CHANNELS, FRAME = 4, 64, 48_000, 2, 3840
HIDDEN, HEADS, HEAD_DIM, LAYERS = 8, 2, 4, 2
PAD, PROMPT, AFTER, ANSWER = BOOK, [4, 11, 12], [21, 22, 23], [31, 5]
START, END, USER, ASSISTANT = 6, 7, 8, 9
MAX_FRAMES = 40
F, INT = TensorProto.FLOAT, TensorProto.INT32


def _info(name: str, kind: int, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def _save(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, Any]
) -> None:
    values = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _cache(prefix: str, length: str) -> list[Any]:
    return [
        _info(f"{prefix}_{kind}_{layer}", F, [1, length, HEADS, HEAD_DIM])
        for layer in range(LAYERS)
        for kind in ("key", "value")
    ]


# A row's value times this, on every place of a key; layers differ by their number.
_SCALE = np.linspace(0.001, 0.008, HIDDEN, dtype=np.float32)


def _embed(nodes: list[Any]) -> None:
    """`input_ids` -> `embedded` [1, S, HEADS, HEAD_DIM]."""
    nodes += [
        helper.make_node("Cast", ["input_ids"], ["ids_f"], to=F),
        helper.make_node("ReduceSum", ["ids_f", "last_axis"], ["row_sum"], keepdims=1),
        helper.make_node("Mul", ["row_sum", "scale"], ["flat"]),
        helper.make_node("Reshape", ["flat", "heads_shape"], ["embedded"]),
    ]


_COMMON = {
    "last_axis": np.array([2], np.int64),
    "scale": _SCALE,
    "heads_shape": np.array([1, -1, HEADS, HEAD_DIM], np.int64),
    "flat_shape": np.array([1, -1, HIDDEN], np.int64),
}


def _presents(nodes: list[Any], past: bool) -> None:
    for layer in range(LAYERS):
        for place, kind in enumerate(("key", "value")):
            nodes.append(
                helper.make_node("Mul", ["embedded", f"by_{layer}_{place}"], [f"new_{kind}_{layer}"])
            )
            source = [f"past_{kind}_{layer}", f"new_{kind}_{layer}"] if past else [f"new_{kind}_{layer}"]
            nodes.append(helper.make_node("Concat", source, [f"present_{kind}_{layer}"], axis=1))


def _multipliers() -> dict[str, Any]:
    return {
        f"by_{layer}_{place}": np.array(1.0 + layer + 0.5 * place, np.float32)
        for layer in range(LAYERS)
        for place in range(2)
    }


def _prefill(path: Path) -> None:
    nodes: list[Any] = []
    _embed(nodes)
    _presents(nodes, past=False)
    nodes += [  # the running mean over the keys of the last layer
        helper.make_node("Reshape", [f"present_key_{LAYERS - 1}", "flat_shape"], ["last"]),
        helper.make_node("CumSum", ["last", "axis_one"], ["running"]),
        helper.make_node("Cast", ["attention_mask"], ["mask_f"], to=F),
        helper.make_node("CumSum", ["mask_f", "axis_one"], ["counted"]),
        helper.make_node("Unsqueeze", ["counted", "last_axis"], ["counts"]),
        helper.make_node("Div", ["running", "counts"], ["global_hidden"]),
    ]
    _save(
        path,
        nodes,
        [_info("input_ids", INT, [1, "s", N_VQ + 1]), _info("attention_mask", INT, [1, "s"])],
        [_info("global_hidden", F, [1, "s", HIDDEN]), *_cache("present", "s")],
        {**_COMMON, **_multipliers(), "axis_one": np.array(1, np.int64)},
    )


def _decode(path: Path) -> None:
    nodes: list[Any] = []
    _embed(nodes)
    _presents(nodes, past=True)
    nodes += [
        helper.make_node("Reshape", [f"present_key_{LAYERS - 1}", "flat_shape"], ["last"]),
        helper.make_node("ReduceSum", ["last", "axis_one"], ["total"], keepdims=1),
        helper.make_node("Cast", ["past_valid_lengths"], ["past_f"], to=F),
        helper.make_node("Add", ["past_f", "one"], ["count"]),
        helper.make_node("Div", ["total", "count"], ["global_hidden"]),
    ]
    _save(
        path,
        nodes,
        [
            _info("input_ids", INT, [1, "n", N_VQ + 1]),
            _info("past_valid_lengths", INT, [1]),
            *_cache("past", "p"),
        ],
        [_info("global_hidden", F, [1, "n", HIDDEN]), *_cache("present", "t")],
        {**_COMMON, **_multipliers(), "axis_one": np.array([1], np.int64), "one": np.array(1.0, np.float32)},
    )


def _frame(path: Path, frames: int) -> None:
    """Ends when `frames` codes of the first book are used or the first random number is above 0.999."""
    nodes = [
        helper.make_node("ReduceSum", ["global_hidden", "axis_one"], ["h"], keepdims=1),
        helper.make_node("Mul", ["audio_random_u", "book"], ["drawn"]),
        helper.make_node("Cast", ["repetition_seen_mask"], ["seen_f"], to=F),
        helper.make_node("ReduceSum", ["seen_f", "axis_two"], ["used"], keepdims=0),
        helper.make_node("Add", ["drawn", "h"], ["a"]),
        helper.make_node("Add", ["a", "used"], ["b"]),
        helper.make_node("Mod", ["b", "book"], ["c"], fmod=1),
        helper.make_node("Floor", ["c"], ["floored"]),
        helper.make_node("Cast", ["floored"], ["frame_token_ids"], to=INT),
        helper.make_node("Slice", ["used", "zero", "first", "axis_one"], ["used_first"]),
        helper.make_node("Less", ["used_first", "limit"], ["goes_on"]),
        helper.make_node("Less", ["assistant_random_u", "nearly"], ["lucky"]),
        helper.make_node("And", ["goes_on", "lucky"], ["both"]),
        helper.make_node("Cast", ["both"], ["should_continue"], to=INT),
    ]
    _save(
        path,
        nodes,
        [
            _info("global_hidden", F, [1, HIDDEN]),
            _info("repetition_seen_mask", INT, [1, N_VQ, BOOK]),
            _info("assistant_random_u", F, [1]),
            _info("audio_random_u", F, [1, N_VQ]),
        ],
        [_info("should_continue", INT, [1, 1]), _info("frame_token_ids", INT, [1, N_VQ])],
        {
            "axis_one": np.array([1], np.int64),
            "axis_two": np.array([2], np.int64),
            "zero": np.array([0], np.int64),
            "first": np.array([1], np.int64),
            "book": np.array(float(BOOK), np.float32),
            "limit": np.array([[float(frames)]], np.float32),
            "nearly": np.array([0.999], np.float32),
        },
    )


def _encode(path: Path) -> None:
    """A code is the mean loudness of a frame, in steps of one percent; every book the next number."""
    nodes = [
        helper.make_node("Abs", ["waveform"], ["loud"]),
        helper.make_node("AveragePool", ["loud"], ["pooled"], kernel_shape=[FRAME], strides=[FRAME]),
        helper.make_node("ReduceMean", ["pooled"], ["mono"], axes=[1], keepdims=0),
        helper.make_node("Mul", ["mono", "hundred"], ["percent"]),
        helper.make_node("Cast", ["percent"], ["whole"], to=INT),
        helper.make_node("Unsqueeze", ["whole", "axis_two"], ["column"]),
        helper.make_node("Add", ["column", "books"], ["audio_codes"]),
        helper.make_node("Div", ["input_lengths", "frame"], ["audio_code_lengths"]),
    ]
    _save(
        path,
        nodes,
        [_info("waveform", F, [1, CHANNELS, "l"]), _info("input_lengths", INT, [1])],
        [_info("audio_codes", INT, [1, "t", N_VQ]), _info("audio_code_lengths", INT, [1])],
        {
            "hundred": np.array(100.0, np.float32),
            "axis_two": np.array([2], np.int64),
            "books": np.arange(N_VQ, dtype=np.int32),
            "frame": np.array([FRAME], np.int32),
        },
    )


def _decode_audio(path: Path) -> None:
    """Each frame: a tone of 250 Hz, as loud as its first code; the second channel half as loud."""
    tone = np.sin(2 * np.pi * 250 * np.arange(FRAME) / RATE).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["audio_codes"], ["codes"], to=F),
        helper.make_node("Slice", ["codes", "zero", "first", "axis_two"], ["lead"]),
        helper.make_node("Mul", ["lead", "level"], ["levels"]),
        helper.make_node("Add", ["levels", "floor"], ["gains"]),
        helper.make_node("Mul", ["gains", "tone"], ["sound"]),
        helper.make_node("Reshape", ["sound", "line"], ["left"]),
        helper.make_node("Mul", ["left", "half"], ["right"]),
        helper.make_node("Concat", ["left", "right"], ["audio"], axis=1),
        helper.make_node("Mul", ["audio_code_lengths", "frame"], ["audio_lengths"]),
    ]
    _save(
        path,
        nodes,
        [_info("audio_codes", INT, [1, "t", N_VQ]), _info("audio_code_lengths", INT, [1])],
        [_info("audio", F, [1, CHANNELS, "l"]), _info("audio_lengths", INT, [1])],
        {
            "zero": np.array([0], np.int64),
            "first": np.array([1], np.int64),
            "axis_two": np.array([2], np.int64),
            "level": np.array(0.5 / BOOK, np.float32),
            "floor": np.array(0.1, np.float32),
            "tone": tone[np.newaxis, np.newaxis],
            "line": np.array([1, 1, -1], np.int64),
            "half": np.array(0.5, np.float32),
            "frame": np.array([FRAME], np.int32),
        },
    )


def write_tiny_moss(models_dir: Path, *, frames: int = 12) -> Path:
    """All files of the model below `models_dir`; it speaks `frames` frames of 80 ms for whatever it is given."""
    import sentencepiece

    folder = models_dir / names.FOLDER
    for part in (names.LM, names.CODEC):
        (folder / part).mkdir(parents=True)
    _prefill(folder / names.PREFILL)
    _decode(folder / names.DECODE)
    _frame(folder / names.FRAME, frames)
    _encode(folder / names.ENCODE)
    _decode_audio(folder / names.DECODE_AUDIO)
    for name in names.WEIGHTS:  # the tiny graphs hold their numbers themselves
        (folder / name).write_bytes(b"")
    text = models_dir / "sentences.txt"
    text.write_text(
        "Hello there, this is a test.\n你好，今天天气很好。\nこんにちは。\n" * 20, encoding="utf-8"
    )
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str((folder / names.TOKENIZER).with_suffix("")),
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    manifest = {
        "tts_config": {
            "n_vq": N_VQ,
            "audio_pad_token_id": PAD,
            "audio_start_token_id": START,
            "audio_end_token_id": END,
            "audio_user_slot_token_id": USER,
            "audio_assistant_slot_token_id": ASSISTANT,
        },
        "prompt_templates": {
            "user_prompt_prefix_token_ids": PROMPT,
            "user_prompt_after_reference_token_ids": AFTER,
            "assistant_prompt_prefix_token_ids": ANSWER,
        },
        "generation_defaults": {"max_new_frames": MAX_FRAMES},
    }
    (folder / names.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    codec = {"sample_rate": RATE, "channels": CHANNELS, "downsample_rate": FRAME, "num_quantizers": N_VQ}
    (folder / names.CODEC_META).write_text(json.dumps({"codec_config": codec}), encoding="utf-8")
    return folder


def expected_frames(
    prompt: npt.NDArray[np.int32], tokens: list[int], seed: int, *, frames: int, limit: int
) -> npt.NDArray[np.int32]:
    """The codes that the tiny graphs must give: prefill, cache, mask and random numbers, in numpy."""
    text = [[token, *[PAD] * N_VQ] for token in (*PROMPT, START)]
    sample = [[USER, *row] for row in prompt.tolist()]
    rest = [[token, *[PAD] * N_VQ] for token in (END, *AFTER, *tokens, *ANSWER, START)]
    sums = [float(sum(row)) for row in [*text, *sample, *rest]]
    factor = 1.0 + (LAYERS - 1)
    random = np.random.default_rng(seed)
    used: list[set[int]] = [set() for _ in range(N_VQ)]
    made: list[list[int]] = []
    while len(made) < limit:
        hidden = np.float32(np.mean(sums)) * _SCALE.sum() * np.float32(factor)
        numbers = random.random(1 + N_VQ)
        if len(used[0]) >= frames or numbers[0] >= 0.999:
            break
        codes = [
            int(np.floor(np.fmod(numbers[1 + book] * BOOK + float(hidden) + len(used[book]), BOOK)))
            for book in range(N_VQ)
        ]
        for book, code in enumerate(codes):
            used[book].add(code)
        made.append(codes)
        sums.append(float(ASSISTANT + sum(codes)))
    return np.array(made, np.int32).reshape(-1, N_VQ)
