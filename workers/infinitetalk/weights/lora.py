"""LoRAs of the Wan family on the transformer: lightx2v (4 steps), FusionX (8 steps) and others like them.

Runs in the InfiniteTalk worker. A file changes a layer's weight W (out, in) and bias b (out,):

    W + s · (alpha / rank) · up · down        down (rank, in), up (out, rank); without alpha the factor is 1
    W + s · diff                              `.diff`, whole weights: norms, the head
    b + s · diff_b                            `.diff_b`

with s the strength. Keys: `diffusion_model.blocks.0.self_attn.q.lora_down.weight` (also `lora_A`), in the
published names. diffusers and PEFT carry the low-rank part beside the layer, so nothing of W is touched
and it works on quantised weights; they drop the norms' `.diff`, so those, biases and other whole
differences are added here, and the numbers before are kept: `remove` restores every bit.

`merging` is the other way: added in fp32 while the model is loaded (`stream.load_transformer(change=...)`),
no extra work in each pass, but only a new load takes it out again.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workers.handler import TaskError
from workers.infinitetalk.weights import problems
from workers.infinitetalk.weights.mapping import names_to_ours, strip_prefix
from workers.infinitetalk.weights.placing import Change, parent
from workers.infinitetalk.weights.tensor_file import SafetensorsFile

_KEY = re.compile(r"^(?P<layer>.+)\.(?P<part>lora_(?:down|up|A|B)(?:\.default)?\.weight|alpha|diff|diff_b)$")
_DOWN = ("lora_down", "lora_A")
_PLAIN = (torch.float32, torch.bfloat16, torch.float16)
_UP = ("lora_up", "lora_B")


@dataclass
class LayerChange:
    """What a LoRA does to one layer; shapes as in the module's text."""

    down: Any = None
    up: Any = None
    alpha: float | None = None
    diff: Any = None
    diff_b: Any = None

    @property
    def factor(self) -> float:
        """alpha / rank; 1 without alpha."""
        return 1.0 if self.alpha is None else self.alpha / int(self.down.shape[0])

    def low_rank(self) -> Any:
        """(out, in) fp32: up · down · alpha / rank."""
        return (self.up.to(torch.float32) @ self.down.to(torch.float32)) * self.factor


@dataclass(frozen=True)
class LoraFile:
    """A LoRA by our layers' names, e.g. `blocks.0.attn1.to_q`. Its tensors lie on the host."""

    path: Path
    layers: dict[str, LayerChange] = field(default_factory=dict)


def read_lora(path: Path) -> LoraFile:
    """Raises `TaskError(model_missing)` when the file is damaged or no LoRA of a Wan 14B model."""
    source = SafetensorsFile(path)
    parts: dict[str, dict[str, str]] = {}
    strangers = []
    for key in source.entries:
        match = _KEY.match(strip_prefix(key))
        if match is None:
            strangers.append(key)
            continue
        part = match["part"]
        parts.setdefault(match["layer"], {})[part.removesuffix(".weight").removesuffix(".default")] = key
    if strangers or not parts:
        raise problems.unsupported(path, f"keys of no LoRA of Wan: {problems.some(strangers)}")
    # Every layer has a weight, so that one's name tells the layer's name in our model.
    names = names_to_ours(_weight_of(layer) for layer in parts)
    layers = {}
    for layer, keys in parts.items():
        layers[names[_weight_of(layer)].removesuffix(".weight")] = _layer(source, layer, keys)
    return LoraFile(path, layers)


def _weight_of(layer: str) -> str:
    """The published name of what `.diff` changes: modulation tables are bare parameters."""
    return layer if layer.endswith("modulation") else f"{layer}.weight"


def _layer(source: SafetensorsFile, layer: str, keys: dict[str, str]) -> LayerChange:
    def read(*kinds: str) -> Any:
        key = next((keys[kind] for kind in kinds if kind in keys), None)
        return None if key is None else source.read(key)

    alpha = read("alpha")
    change = LayerChange(
        down=read(*_DOWN),
        up=read(*_UP),
        alpha=None if alpha is None else float(alpha),
        diff=read("diff"),
        diff_b=read("diff_b"),
    )
    if (change.down is None) != (change.up is None):
        raise problems.damaged(source.path, f"{layer}: one half of a low-rank pair is missing")
    if change.down is not None and change.down.shape[0] != change.up.shape[1]:
        raise problems.damaged(source.path, f"{layer}: the halves have different ranks")
    return change


@dataclass
class LoraAdapter:
    """A LoRA that lies on a model. Made by `apply_lora`; `skipped` names what did not fit its shapes."""

    model: Any
    name: str
    file: LoraFile
    strength: float
    skipped: tuple[str, ...]
    # Parameter -> (what it was before, what is added at strength 1), both on the host.
    _whole: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    _low_rank: bool = False

    def set_strength(self, strength: float) -> None:
        """Another strength; 0 is the model without it."""
        self.strength = strength
        if self._low_rank:
            self.model.set_adapters([self.name], [strength])
        for name, (before, diff) in self._whole.items():
            changed = before if strength == 0.0 else before.to(torch.float32) + strength * diff
            _write(self.model, name, changed)

    def remove(self) -> None:
        """The model as it was before, every bit of it."""
        for name, (before, _) in self._whole.items():
            _write(self.model, name, before)
        if self._low_rank:
            self.model.delete_adapters(self.name)
            if not getattr(self.model, "peft_config", None):
                self.model.unload_lora()
        self._whole.clear()
        self._low_rank = False


def apply_lora(model: Any, file: LoraFile, *, strength: float = 1.0, name: str = "lora") -> LoraAdapter:
    """Lay a LoRA on a model; before group offloading and before the model is compiled.

    A whole difference of another shape (a text-to-video LoRA's patch embedding has 16 channels, ours 36) or
    of a quantised weight is left out and named; a low-rank pair of another shape means the LoRA is for another model.
    """
    state: dict[str, Any] = {}
    whole: dict[str, Any] = {}
    skipped = []
    for layer, change in file.layers.items():
        if change.down is not None:
            target: Any = model.get_submodule(layer)
            _must_fit(file.path, layer, target, change)
            dtype = _numbers_type(model)
            # The factor goes into the smaller half, before anything is rounded.
            state[f"{layer}.lora_A.weight"] = (change.down.to(torch.float32) * change.factor).to(dtype)
            state[f"{layer}.lora_B.weight"] = change.up.to(dtype)
        table = layer.endswith("scale_shift_table")
        for leaf, diff in (("" if table else ".weight", change.diff), (".bias", change.diff_b)):
            if diff is None:
                continue
            if _takes(model, layer + leaf, diff):
                whole[layer + leaf] = diff.to(torch.float32)
            else:
                skipped.append(layer + leaf)
    adapter = LoraAdapter(model, name, file, strength, tuple(skipped))
    for parameter, diff in whole.items():
        module, leaf = parent(model, parameter)
        adapter._whole[parameter] = (getattr(module, leaf).detach().to("cpu", copy=True), diff)
    if state:
        _lay_beside(model, state, name)
        adapter._low_rank = True
    # PEFT has moved the layers it wraps one level down; the names of whole differences follow.
    adapter._whole = {_wrapped(model, key): value for key, value in adapter._whole.items()}
    adapter.set_strength(strength)
    return adapter


def _lay_beside(model: Any, state: dict[str, Any], name: str) -> None:
    with warnings.catch_warnings():
        # PEFT warns that torchao's weights cannot be merged; nothing here merges them.
        warnings.filterwarnings("ignore", message="TorchaoLoraLinear was instantiated", category=UserWarning)
        model.load_lora_adapter(state, prefix=None, adapter_name=name, low_cpu_mem_usage=True)
    for key, numbers in state.items():
        layer, half, _ = key.rsplit(".", 2)
        wrapped = model.get_submodule(layer)
        # PEFT gives its halves the type of the layer's weight, which may be fp8; these need theirs.
        kept = nn.Parameter(numbers.to(wrapped.get_base_layer().weight.device), requires_grad=False)
        getattr(wrapped, half)[name].weight = kept


def merging(loras: Sequence[tuple[LoraFile, float]]) -> Change:
    """A `change` for `stream.load_transformer` that adds these LoRAs in fp32 at their strengths."""

    def change(name: str, numbers: Any) -> Any:
        layer, _, leaf = name.rpartition(".")
        changed = None
        for file, strength in loras:
            own = file.layers.get(name if leaf == "scale_shift_table" else layer)
            for delta in () if own is None else _deltas(own, leaf):
                if tuple(delta.shape) == tuple(numbers.shape):
                    changed = numbers.add_(delta, alpha=strength)
        return changed

    return change


def _deltas(change: LayerChange, leaf: str) -> list[Any]:
    if leaf == "bias":
        return [] if change.diff_b is None else [change.diff_b.to(torch.float32)]
    deltas = [] if change.diff is None else [change.diff.to(torch.float32)]
    return deltas if change.down is None else [*deltas, change.low_rank()]


def _must_fit(path: Path, layer: str, target: Any, change: LayerChange) -> None:
    if not isinstance(target, nn.Linear):
        raise problems.unsupported(path, f"a low-rank change of {layer}, which is no linear layer")
    found = (int(change.up.shape[0]), int(change.down.shape[1]))
    wanted = (int(target.out_features), int(target.in_features))
    if found != wanted:
        raise TaskError(
            "model_missing",
            f"The LoRA {path.name} belongs to a model of another size. It must be one for Wan2.1 14B.",
            detail=f"{path}: {layer} is {found}, the model has {wanted}",
        )


def _takes(model: Any, parameter: str, diff: Any) -> bool:
    """Whether the parameter is there, is plain numbers, and has this shape."""
    module, leaf = parent(model, parameter)
    current: Any = getattr(module, leaf, None)
    plain = current is not None and type(current.data) is torch.Tensor and current.dtype in _PLAIN
    return bool(plain and tuple(current.shape) == tuple(diff.shape))


def _numbers_type(model: Any) -> Any:
    """The type in which the model computes: that of the patch embedding, which is never quantised."""
    return model.patch_embedding.weight.dtype


def _wrapped(model: Any, parameter: str) -> str:
    layer, _, leaf = parameter.rpartition(".")
    module = model.get_submodule(layer)
    return f"{layer}.base_layer.{leaf}" if "base_layer" in module._modules else parameter


def _write(model: Any, name: str, numbers: Any) -> None:
    module, leaf = parent(model, name)
    with torch.no_grad():
        getattr(module, leaf).copy_(numbers)
