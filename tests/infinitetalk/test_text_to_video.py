"""Task `text_to_video` with tiny random networks: a script and its speech in, scenes out."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from safetensors.torch import save_file

from tests.infinitetalk.tiny_worker import FFMPEG, Bench, Recorder, make_speech
from workers.handler import Task, TaskCancelled, TaskError, WorkerSetup
from workers.infinitetalk import machine, memory
from workers.infinitetalk.handler import InfiniteTalkHandler, create_handler
from workers.infinitetalk.models import GuestCodec
from workers.infinitetalk.text_video import Shot, TextToVideo
from workers.infinitetalk.tiny_model import make_models
from workers.infinitetalk.weights.mapping import base_names
from workers.infinitetalk.weights.text_video import load_text_video
from workers.wan2gp.media import probe_video

SIDE, STEPS, LAYERS = 32, 2, 2
# Four seconds at 16 frames a second, in scenes of 49 frames at most: two.
SECONDS, FRAMES, SCENES = 4.0, 64, 2
ASSETS = Path(__file__).parents[2] / "assets"
CPU = torch.device("cpu")


def _network() -> WanTransformer3DModel:
    torch.manual_seed(3)
    return WanTransformer3DModel(
        num_attention_heads=1, attention_head_dim=128, text_dim=32, freq_dim=32, ffn_dim=64, num_layers=LAYERS
    ).eval()


def _official(network: WanTransformer3DModel) -> dict[str, torch.Tensor]:
    """The same weights under the publisher's names."""
    names = [name for name in base_names(LAYERS) if "img" not in name]
    table = convert_wan_transformer_to_diffusers({name: name for name in names})
    own = network.state_dict()
    assert set(own) == set(table)
    return {published: own[name].clone() for name, published in table.items()}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models and a table of small pictures."""
    root = tmp_path_factory.mktemp("studio")
    folder = make_models(root / "models")
    network = _network()
    network.save_pretrained(folder / "t2v_1_3b" / "transformer")
    (folder / "t2v_14b").mkdir()
    prefixed = {f"model.diffusion_model.{key}": value for key, value in _official(network).items()}
    save_file(prefixed, folder / "t2v_14b" / "wan_t2v.safetensors")
    table = json.loads((ASSETS / "wan2gp" / "models.json").read_text(encoding="utf-8"))
    for size in table["sizes"].values():
        size.update({"pixels": SIDE * SIDE, "1:1": [SIDE, SIDE], "16:9": [64, SIDE], "9:16": [SIDE, 64]})
    for model in table["video"]:
        if model["drive"] == "text":
            model["frames_max_part"] = 49
            model["rungs"][1]["frames_max_part"] = 33
            model["rungs"][2]["scale"] = 0.5
    (root / "assets" / "wan2gp").mkdir(parents=True)
    (root / "assets" / "wan2gp" / "models.json").write_text(json.dumps(table), encoding="utf-8")
    return root


def handler(studio: Path, models: Path | None = None) -> InfiniteTalkHandler:
    made = create_handler()
    options = {"ffmpeg": FFMPEG, "device": "cpu", "assets_dir": str(studio / "assets")}
    folder = models or studio / "models"
    setup = WorkerSetup("infinitetalk", None, studio, folder, studio, None, options)
    assert "Wan t2v 1.3B" in made.load(setup)["models"]
    return made


def task(root: Path, attempt: int = 1, **params: Any) -> Task:
    wanted = {
        "model": "Wan t2v 1.3B",
        "resolution": "512p",
        "aspect": "1:1",
        "prompt": "",
        "script": "a person speaks. a person sings.",
        "steps": STEPS,
        "rung": 0,
        "checkpoint_dir": str(root / "kept"),
        **params,
    }
    output = root / f"attempt-{attempt}"
    output.mkdir(exist_ok=True)
    speech = make_speech(root / "speech.wav", SECONDS)
    return Task("job", attempt, "text_to_video", wanted["model"], {"audio": speech}, wanted, output, 11)


def pictures(path: Path) -> bytes:
    """Every pixel of a film."""
    argv = [FFMPEG, "-loglevel", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
    return subprocess.run(argv, check=True, capture_output=True).stdout


def test_a_script_becomes_scenes_as_long_as_its_speech(studio: Path, tmp_path: Path) -> None:
    context = Recorder()
    result = handler(studio).run(task(tmp_path), context)
    (artifact,) = context.artifacts
    film = probe_video(artifact["path"], ffmpeg=FFMPEG, check=context.raise_if_cancelled)
    assert (film.width, film.height, film.fps, film.frames) == (SIDE, SIDE, 16.0, FRAMES)
    assert (artifact["role"], artifact["duration_s"]) == ("video", SECONDS)
    assert (result["model"], result["backend"], result["parts"], result["parts_reused"]) == (
        "Wan t2v 1.3B",
        "diffusers",
        SCENES,
        0,
    )
    assert (result["rung"], result["changes"], result["seed"]) == (0, [], 11)
    assert f"info: {result['plan']['sentence']}" in context.logged
    fractions = [told["fraction"] for told in context.progressed]
    assert fractions == sorted(fractions)
    steps = [told["message"] for told in context.progressed if told.get("steps")]
    assert steps == [
        f"Scene {scene} of {SCENES} · step {step} of {STEPS}"
        for scene in range(1, SCENES + 1)
        for step in range(1, STEPS + 1)
    ]
    assert (tmp_path / "attempt-1" / "preview.jpg").is_file()


@pytest.mark.parametrize(("scene", "step", "finished"), [(1, 1, 0), (2, 1, 1)])
def test_a_cancelled_film_keeps_its_finished_scenes(
    studio: Path, tmp_path: Path, scene: int, step: int, finished: int
) -> None:
    def on_progress(context: Recorder, told: dict[str, Any]) -> None:
        if told["message"] == f"Scene {scene} of {SCENES} · step {step} of {STEPS}":
            context.cancelled = True

    worker = handler(studio)
    with pytest.raises(TaskCancelled):
        worker.run(task(tmp_path), Recorder(on_progress))
    context, whole = Recorder(), Recorder()
    assert worker.run(task(tmp_path, 2), context)["parts_reused"] == finished
    worker.run(task(tmp_path, 3, checkpoint_dir=None), whole)
    assert pictures(context.artifacts[0]["path"]) == pictures(whole.artifacts[0]["path"])
    # Without a place of its own nothing but what belongs there is left.
    left = sorted(path.name for path in (tmp_path / "attempt-3").iterdir())
    assert left == ["parts", "preview.jpg", "video.mp4"]


def test_on_a_full_card_one_step_down_keeps_what_is_drawn(
    studio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, calls = GuestCodec.decode, []

    def full(self: GuestCodec, latents: torch.Tensor) -> torch.Tensor:
        calls.append(latents.shape)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return decode(self, latents)

    monkeypatch.setattr(machine, "free_vram", lambda _device: 64 * memory.GIB)
    monkeypatch.setattr(GuestCodec, "decode", full)
    with pytest.raises(TaskError) as caught:
        handler(studio).run(task(tmp_path), Recorder())
    assert (caught.value.code, caught.value.poisons_worker) == ("gpu_oom", True)
    result = handler(studio).run(task(tmp_path, 2, rung=1), Recorder())
    assert (result["parts_reused"], result["plan"]["placement"]) == (1, "streamed")
    assert result["changes"] == ["weights streamed to the GPU block by block, video decoded in tiles"]
    # Then shorter scenes, then smaller ones.
    assert handler(studio).run(task(tmp_path, 3, rung=2), Recorder())["parts"] == 3
    smaller = handler(studio).run(task(tmp_path, 4, rung=3), Recorder())
    assert (smaller["width"], smaller["height"]) == (SIDE // 2, SIDE // 2)


@pytest.mark.parametrize("storage", ["full", "fp8"])
def test_every_published_form_of_the_weights_is_the_same_network(studio: Path, storage: Any) -> None:
    from workers.infinitetalk.weights.stream import LoadPlan

    root = studio / "models" / "infinitetalk"
    forms = [root / "t2v_1_3b", root / "t2v_14b"]
    loaded = [load_text_video(path, torch.float32, CPU, LoadPlan(storage)) for path in forms]
    inputs = {
        "hidden_states": torch.randn(1, 16, 2, 4, 4),
        "timestep": torch.tensor([500.0]),
        "encoder_hidden_states": torch.randn(1, 512, 32),
    }
    with torch.no_grad():
        expected = _network()(**inputs).sample
        first, second = (network(**inputs).sample for network in loaded)
    assert torch.equal(first, second)
    if storage == "full":
        assert torch.equal(first, expected)
    else:
        assert (first - expected).abs().mean() < 0.1 * expected.abs().mean()


def test_a_scene_is_what_the_pipeline_itself_draws(studio: Path) -> None:
    """The whole of diffusers' pipeline, with its VAE inside, from the same seed."""
    from diffusers import AutoencoderKLWan

    from workers.infinitetalk.encoders import VaeCodec

    torch.manual_seed(5)
    vae = AutoencoderKLWan(base_dim=4, num_res_blocks=1).eval()
    text, null = torch.randn(1, 512, 32), torch.randn(1, 512, 32)
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=5.0
    )
    whole = WanPipeline(None, None, vae, scheduler, _network())
    whole.set_progress_bar_config(disable=True)
    expected = whole(
        prompt_embeds=text,
        negative_prompt_embeds=null,
        height=SIDE,
        width=64,
        num_frames=9,
        num_inference_steps=3,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(4),
    ).frames[0]
    shot = Shot(text, null, SIDE, 64, 9, 3, 5.0, 5.0, 4)
    done: list[int] = []
    found = TextToVideo(_network(), VaeCodec(vae)).draw(shot, lambda step, _latents: done.append(step))
    assert found.shape == (9, SIDE, 64, 3)
    assert (found.double() / 255 - torch.from_numpy(expected).double()).abs().max() <= 0.5 / 255 + 1e-5
    assert done == [1, 2, 3]


def test_eight_bits_on_a_small_card_draw_too(
    studio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = memory.Plan(
        "streamed", "fp8", encoders_at_home=False, vae_tiling=True, vram_bytes=0, ram_bytes=0
    )
    monkeypatch.setattr(memory, "plan", lambda _facts: chosen)
    result = handler(studio).run(task(tmp_path), Recorder())
    assert (result["parts"], result["plan"]["storage"]) == (SCENES, "fp8")


def test_both_tasks_live_in_one_worker(studio: Path, tmp_path: Path) -> None:
    """Each drops the other's transformer and finds its own place."""
    worker = handler(studio)
    talking = Bench(tmp_path, studio / "models").task(checkpoint_dir=None)
    scenes = task(tmp_path, 2, model="Wan t2v 14B", checkpoint_dir=None)
    films = []
    for one in (talking, scenes, talking, scenes):
        context = Recorder()
        worker.run(one, context)
        films.append(pictures(context.artifacts[0]["path"]))
    assert films[:2] == films[2:]
    assert films[0] != films[1]


def test_missing_and_foreign_weights_are_said(studio: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    root = models / "infinitetalk"
    (root / "t2v_14b").mkdir(parents=True)
    with pytest.raises(TaskError, match=r"missing: infinitetalk-t2v-1\.3b\.") as caught:
        handler(studio, models).run(task(tmp_path), Recorder())
    assert caught.value.code == "model_missing"
    source = studio / "models" / "infinitetalk"
    for role in ("text_encoder", "vae"):
        shutil.copytree(source / role, root / role)
    weights = _official(_network())
    weights["patch_embedding.weight"] = torch.zeros(128, 36, 1, 2, 2)
    save_file(weights, root / "t2v_14b" / "i2v.safetensors")
    with pytest.raises(TaskError, match="made for pictures") as caught:
        handler(studio, models).run(task(tmp_path, 2, model="Wan t2v 14B"), Recorder())
    assert caught.value.code == "model_missing"


@pytest.mark.parametrize(
    "params",
    [
        {"model": "Wan Multitalk"},
        {"model": None},
        {"prompt": "", "script": ""},
        {"rung": 4},
        {"steps": 0},
        {"resolution": "4k"},
        {"checkpoint_dir": "relative"},
    ],
)
def test_wrong_values_are_found_before_anything_is_loaded(
    studio: Path, tmp_path: Path, params: dict[str, Any]
) -> None:
    with pytest.raises(TaskError) as caught:
        handler(studio).run(task(tmp_path, **params), Recorder())
    assert caught.value.code == "validation_failed"
