"""The one patch that the Kokoro graph gets. Runs at install time only (needs the `onnx` package).

Flow: the published int8 export (tokens, style, speed -> audio) goes in; out comes the same network with two more
outputs, `durations` (frames of 25 ms per token, padding included) and `f0` (the pitch curve in Hz, two values
per frame), and two more inputs, `f0_gain` and `f0_bias`, applied to the pitch curve before the vocoder sees it.

Source: node names of `kokoro-v1.0.int8.onnx`; `/encoder/Clip` is the rounded, at-least-one duration per token of
StyleTTS 2's predictor, `/encoder/F0_proj` its pitch head.
"""

from __future__ import annotations

from pathlib import Path

DURATION_NODE = "/encoder/Clip"
PITCH_TENSOR = "/encoder/F0_proj/Conv_output_0"
RAW_PITCH_TENSOR = PITCH_TENSOR + "_raw"
SCALED_PITCH_TENSOR = PITCH_TENSOR + "_scaled"

INPUT_GAIN = "f0_gain"
INPUT_BIAS = "f0_bias"
OUTPUT_AUDIO = "audio"
OUTPUT_DURATIONS = "durations"
OUTPUT_PITCH = "f0"


class GraphPatchError(Exception):
    """The graph does not have the nodes that the patch hangs on."""


def patch_graph(source: Path, target: Path) -> None:
    """Write the patched copy of `source` to `target`. Raises GraphPatchError on an unknown graph."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(str(source))
    graph = model.graph
    duration = next((node.output[0] for node in graph.node if node.name == DURATION_NODE), None)
    pitch_index = next((i for i, node in enumerate(graph.node) if PITCH_TENSOR in node.output), None)
    if duration is None or pitch_index is None:
        raise GraphPatchError("this is not the Kokoro graph that the patch was written for")

    pitch_node = graph.node[pitch_index]
    pitch_node.output[list(pitch_node.output).index(PITCH_TENSOR)] = RAW_PITCH_TENSOR
    graph.node.insert(
        pitch_index + 1,
        helper.make_node("Mul", [RAW_PITCH_TENSOR, INPUT_GAIN], [SCALED_PITCH_TENSOR], name="patch/f0_gain"),
    )
    graph.node.insert(
        pitch_index + 2,
        helper.make_node("Add", [SCALED_PITCH_TENSOR, INPUT_BIAS], [PITCH_TENSOR], name="patch/f0_bias"),
    )
    graph.node.append(helper.make_node("Identity", [duration], [OUTPUT_DURATIONS], name="patch/durations"))
    graph.node.append(helper.make_node("Identity", [PITCH_TENSOR], [OUTPUT_PITCH], name="patch/f0"))
    graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in (INPUT_GAIN, INPUT_BIAS)
    )
    graph.output.extend(
        [
            helper.make_tensor_value_info(OUTPUT_DURATIONS, TensorProto.FLOAT, None),
            helper.make_tensor_value_info(OUTPUT_PITCH, TensorProto.FLOAT, None),
        ]
    )
    onnx.save(model, str(target))
