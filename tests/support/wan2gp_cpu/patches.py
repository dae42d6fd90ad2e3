"""Puts the stand-in under upstream from outside: the queries of a GPU, the loading of models, the speech embeddings.

Modules of upstream are changed when upstream itself imports them, by a finder before Python's own.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support.wan2gp_cpu.orders import Orders

Change = Callable[[ModuleType], None]
_CARD_BYTES = 24 * 1024**3


def install() -> None:
    """Call before upstream is imported. Imports torch."""
    changes: dict[str, Change] = {
        "wgp": _change_wgp,
        "models.wan.multitalk.multitalk": _change_multitalk,
        "models.wan.fantasytalking.infer": _change_fantasy,
    }
    sys.meta_path.insert(0, _Finder(changes))
    _pretend_a_gpu()


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that are to be changed as Python would, and changes them once they have run."""

    def __init__(self, changes: dict[str, Change]) -> None:
        self._changes = changes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        change = self._changes.get(fullname)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path) if change is not None else None
        if spec is None or spec.loader is None or change is None:
            return None
        spec.loader = _Loader(spec.loader, change)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, inner: Any, change: Change) -> None:
        self._inner = inner
        self._change = change

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        self._change(module)


def _pretend_a_gpu() -> None:
    """Answers to what upstream asks of CUDA while it is imported and between drawings; nothing runs there."""
    import torch

    class Card:
        name = "Stand-in GPU"
        major, minor = 8, 6
        total_memory = _CARD_BYTES
        multi_processor_count = 1
        gcnArchName = ""  # noqa: N815  the name that torch gives it

    answers: dict[str, Callable[..., Any]] = {
        "get_device_capability": lambda device=None: (Card.major, Card.minor),
        "get_device_properties": lambda device=None: Card(),
        "get_device_name": lambda device=None: Card.name,
        "current_device": lambda: 0,
        "empty_cache": lambda: None,
        "manual_seed_all": lambda seed: None,
    }
    for name, answer in answers.items():
        setattr(torch.cuda, name, answer)
    # A torchvision that was built for CUDA registers operators that a torch for the CPU does not have.
    real = torch.library.register_fake

    @functools.wraps(real)
    def tolerant(operator: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(operator, str) and operator.startswith("torchvision::"):
            return lambda function=None: function
        return real(operator, *arguments, **options)

    torch.library.register_fake = tolerant


def _change_wgp(wgp: ModuleType) -> None:
    from tests.support.wan2gp_cpu.drawing import StandIn

    orders = Orders.of_environment()
    real_load = wgp.load_models
    real_generate = wgp.generate_media

    def load_models(
        model_type: str,
        override_profile: int = -1,
        output_type: str = "video",
        config_id: Any = None,
        **more: Any,
    ) -> Any:
        orders.note("load", model_type=model_type, override_profile=override_profile)
        how = orders.get("load", "ok")
        if how == "real":
            return real_load(
                model_type, override_profile, output_type=output_type, config_id=config_id, **more
            )
        loaded = StandIn(model_type, wgp, orders).load(how)
        wgp.transformer_type = model_type
        wgp.loaded_profile = wgp.compute_profile(override_profile, output_type)
        wgp.loaded_config = config_id or ""
        return loaded

    @functools.wraps(real_generate)  # upstream reads the signature
    def generate_media(*arguments: Any, **settings: Any) -> Any:
        plain = {name: value for name, value in settings.items() if name not in {"state", "plugin_data"}}
        orders.note("settings", settings=plain)
        if orders.get("attention", ""):
            wgp.attention_mode = orders.get("attention", "")
        return real_generate(*arguments, **settings)

    wgp.load_models = load_models
    wgp.generate_media = generate_media
    wgp.offload.unload_loras_from_model = lambda model: None
    wgp.offload.load_loras_into_model = lambda *arguments, **options: None


def _change_multitalk(module: ModuleType) -> None:
    """Speech becomes silence of the right length: the real one needs weights."""
    import torch

    def embeddings(
        audio_guide1: Any = None,
        audio_guide2: Any = None,
        combination_type: str = "add",
        num_frames: int = 0,
        fps: float = 25,
        sr: int = 16000,
        padded_frames_for_embeddings: int = 0,
        min_audio_duration: float = 0,
        return_sum_only: bool = False,
    ) -> Any:
        first, _, both, is_longer = module.audio_prepare_multi(
            audio_guide1,
            audio_guide2,
            combination_type,
            duration=num_frames / fps,
            pad=int(padded_frames_for_embeddings / fps * sr),
            min_audio_duration=min_audio_duration,
        )
        frames = int(len(first) / sr * fps)
        speakers = 1 if audio_guide2 is None else 2
        Orders.of_environment().note("speech", speakers=speakers, frames=frames, way=combination_type)
        if audio_guide2 is None and not is_longer:
            both = None
        return (None if return_sum_only else [torch.zeros(frames, 12, 8) for _ in range(speakers)]), both

    module.get_full_audio_embeddings = embeddings


def _change_fantasy(module: ModuleType) -> None:
    """As above, for the model that has an encoder of its own."""
    import torch

    def parse_audio(
        audio_path: str, start_frame: int, num_frames: int, fps: float = 23, device: str = "cuda"
    ) -> Any:
        if not Path(audio_path).is_file():
            raise FileNotFoundError(audio_path)
        Orders.of_environment().note("speech", speakers=1, frames=num_frames, way="fantasy")
        latents = (num_frames - 1) // 4 + 1
        return torch.zeros(1, latents, 17, 8), [17] * latents

    module.parse_audio = parse_audio
