"""The engine's networks, loaded once and kept warm between jobs. Runs in the draft worker.

All run on the CPU by onnxruntime; inputs are (1, 3, h, w) float32 RGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from workers.draft.arrays import F32, Ints
from workers.handler import TaskError

_FACE_DIR = Path("models") / "face"
_VISEME_FILE = Path("models") / "viseme" / "viseme_net.npz"


class Network:
    """One ONNX graph with one input."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning threads would burn the CPU time that the renderer needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, picture: F32) -> dict[str, F32]:
        """Outputs by name for one input (1, 3, h, w)."""
        values: list[Any] = self._session.run(None, {self._input: picture})
        return {
            name: np.asarray(value, np.float32) for name, value in zip(self._outputs, values, strict=True)
        }


@dataclass(frozen=True)
class Models:
    """Everything that is loaded from the assets."""

    full_range: Network
    short_range: Network
    landmarks: Network
    person: Network
    triangles: Ints
    viseme_weights: tuple[F32, ...]


def load_models(assets_dir: Path, threads: int) -> Models:
    """Load all models. Raises `TaskError` `model_missing` when a file is absent or broken."""
    face = assets_dir / _FACE_DIR
    try:
        with np.load(face / "mesh_triangles.npz") as data:
            triangles = np.asarray(data["triangles"], np.intp)
        with np.load(assets_dir / _VISEME_FILE) as data:
            weights = tuple(np.asarray(data[f"w{i}"], np.float32) for i in range(len(data.files)))
        return Models(
            full_range=Network(face / "face_detection_full_range.onnx", threads),
            short_range=Network(face / "face_detection_short_range.onnx", threads),
            landmarks=Network(face / "face_landmark_with_attention.onnx", threads),
            person=Network(face / "selfie_segmentation.onnx", threads),
            triangles=triangles,
            viseme_weights=weights,
        )
    # onnxruntime's own exceptions share no base class but Exception; each means the same here.
    except Exception as error:
        raise TaskError(
            "model_missing",
            "A model file of the draft engine is missing or damaged. Install the program again.",
            detail=f"{type(error).__name__}: {error}",
        ) from error
