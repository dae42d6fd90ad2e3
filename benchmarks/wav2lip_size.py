"""A network of Wav2Lip's size with random weights, to compare costs with. Not a lip-sync model.

The generator as published (Prajwal et al. 2020, "A Lip Sync Expert Is All You Need"): a face encoder of seven
blocks for 6x96x96 input, an audio encoder for 1x80x16 mel frames, a face decoder of seven blocks with skip
connections. 36.3 million parameters, 3.97 GMAC per frame. Weights are random: only time is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# (in channels, out channels, stride, residual layers after it) of the face encoder's blocks after the first.
_FACE_BLOCKS = ((16, 32, 2, 2), (32, 64, 2, 3), (64, 128, 2, 2), (128, 256, 2, 2), (256, 512, 2, 1))
# (in, out, stride, padding, residual) of the audio encoder; (3, 1) strides shrink the mel axis alone.
_AUDIO_LAYERS = (
    (1, 32, (1, 1), 1, False), (32, 32, (1, 1), 1, True), (32, 32, (1, 1), 1, True),
    (32, 64, (3, 1), 1, False), (64, 64, (1, 1), 1, True), (64, 64, (1, 1), 1, True),
    (64, 128, (3, 3), 1, False), (128, 128, (1, 1), 1, True), (128, 128, (1, 1), 1, True),
    (128, 256, (3, 2), 1, False), (256, 256, (1, 1), 1, True), (256, 512, (1, 1), 0, False),
)  # fmt: skip
_DECODER_BLOCKS = ((1024, 512), (768, 384), (512, 256), (320, 128), (160, 64))


@dataclass
class GraphBuilder:
    """Collects nodes; knows every tensor's shape, so that it can count."""

    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    shapes: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    parameters: int = 0
    macs: int = 0

    def _weight(self, *shape: int) -> str:
        name = f"w{len(self.weights)}"
        scale = np.sqrt(2 / max(1, int(np.prod(shape[1:]))))
        values = (self.rng.standard_normal(shape) * scale).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        self.parameters += values.size
        return name

    def _node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def conv(
        self,
        x: str,
        out: int,
        size: int = 3,
        stride: tuple[int, int] = (1, 1),
        pad: int = 1,
        *,
        residual: bool = False,
        activation: str = "Relu",
    ) -> str:
        """Convolution with bias (batch norm folded in), optional skip, activation."""
        channels, height, width = self.shapes[x]
        rows = (height + 2 * pad - size) // stride[0] + 1
        columns = (width + 2 * pad - size) // stride[1] + 1
        y = self._node(
            "Conv",
            [x, self._weight(out, channels, size, size), self._weight(out)],
            strides=list(stride),
            pads=[pad] * 4,
            kernel_shape=[size, size],
        )
        self.macs += out * channels * size * size * rows * columns
        if residual:
            y = self._node("Add", [y, x])
        y = self._node(activation, [y])
        self.shapes[y] = (out, rows, columns)
        return y

    def grow(self, x: str, out: int, stride: int, pad: int, extra: int) -> str:
        """Transposed convolution 3x3 with bias and activation."""
        channels, height, width = self.shapes[x]
        y = self._node(
            "ConvTranspose",
            [x, self._weight(channels, out, 3, 3), self._weight(out)],
            strides=[stride, stride],
            pads=[pad] * 4,
            output_padding=[extra, extra],
            kernel_shape=[3, 3],
        )
        self.macs += out * channels * 9 * height * width
        y = self._node("Relu", [y])
        rows, columns = ((n - 1) * stride - 2 * pad + 3 + extra for n in (height, width))
        self.shapes[y] = (out, rows, columns)
        return y

    def join(self, first: str, second: str) -> str:
        """Concatenation of channels."""
        y = self._node("Concat", [first, second], axis=1)
        channels = self.shapes[first][0] + self.shapes[second][0]
        self.shapes[y] = (channels, self.shapes[first][1], self.shapes[first][2])
        return y


def build(path: Path, seed: int = 0) -> tuple[int, int]:
    """Write the network to `path`; returns its parameters and its multiply-accumulates per frame."""
    graph = GraphBuilder(np.random.default_rng(seed))
    graph.shapes.update(face=(6, 96, 96), mel=(1, 80, 16))
    skips = [graph.conv("face", 16, 7, pad=3)]
    for _, out, stride, layers in _FACE_BLOCKS:
        x = graph.conv(skips[-1], out, stride=(stride, stride))
        for _ in range(layers):
            x = graph.conv(x, out, residual=True)
        skips.append(x)
    x = graph.conv(graph.conv(skips[-1], 512, pad=0), 512, 1, pad=0)
    skips.append(x)

    sound = "mel"
    for _, out, stride2, pad, residual in _AUDIO_LAYERS:
        sound = graph.conv(sound, out, 3, stride2, pad, residual=residual)
    sound = graph.conv(sound, 512, 1, pad=0)

    x = graph.conv(sound, 512, 1, pad=0)
    x = graph.join(x, skips.pop())
    x = graph.conv(graph.grow(x, 512, 1, 0, 0), 512, residual=True)
    x = graph.join(x, skips.pop())
    for _, out in _DECODER_BLOCKS:
        x = graph.grow(x, out, 2, 1, 1)
        x = graph.conv(graph.conv(x, out, residual=True), out, residual=True)
        x = graph.join(x, skips.pop())
    x = graph.conv(graph.conv(x, 32), 3, 1, pad=0, activation="Sigmoid")

    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *graph.shapes[name]])
        for name in ("face", "mel")
    ]
    output = helper.make_tensor_value_info(x, TensorProto.FLOAT, None)
    model = helper.make_model(
        helper.make_graph(graph.nodes, "wav2lip_size", inputs, [output], graph.weights),
        opset_imports=[helper.make_opsetid("", 16)],
        ir_version=8,
    )
    onnx.save(model, str(path))
    return graph.parameters, graph.macs
