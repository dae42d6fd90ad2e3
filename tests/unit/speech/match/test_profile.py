"""The file of a matched voice: what is kept comes back, damage is named, and what is heard names it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from workers.handler import TaskError
from workers.speech.cache import Utterance
from workers.speech.match import natives, profile
from workers.speech.match.timbres import TimbreSpace
from workers.speech.voices import VoiceLibrary

ASSETS = Path(__file__).resolve().parents[4] / "assets"


@pytest.fixture(scope="module")
def space() -> TimbreSpace:
    return TimbreSpace(ASSETS)


@pytest.fixture(scope="module")
def library() -> VoiceLibrary:
    return VoiceLibrary(ASSETS / "voices")


def made(**changes: object) -> profile.Profile:
    random = np.random.default_rng(1)
    kept = profile.Profile(
        timbre=random.normal(0, 0.2, 128).astype(np.float32),
        correction_db=random.uniform(-5, 5, 513).astype(np.float32),
        pitch_hz=118.0,
        pitch_trim=0.97,
        formant=1.03,
        gain_db=2.5,
        score=0.71,
        trials=0,
    )
    return replace(kept, **changes)  # type: ignore[arg-type]


def test_what_is_kept_comes_back_and_is_the_same_file_each_time(tmp_path: Path) -> None:
    kept = made()
    profile.save(kept, tmp_path / "a.npz")
    profile.save(kept, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    found = profile.load(tmp_path / "a.npz")
    assert np.array_equal(found.timbre, kept.timbre)
    assert np.array_equal(found.correction_db, kept.correction_db)
    assert found.fingerprint() == kept.fingerprint()
    assert (found.score, found.trials, found.stage) == (0.71, 0, "fast")
    assert made(trials=5).stage == "refined"


def test_damage_is_named_and_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    profile.save(made(), path)
    whole = path.read_bytes()
    broken = [b"", whole[:200], whole[: len(whole) // 2], b"x" * 500, bytes(profile.MAX_BYTES + 1)]
    for raw in broken:
        path.write_bytes(raw)
        _refused(path)
    values = {
        "kind": profile.KIND,
        "version": profile.VERSION,
        **{name: getattr(made(), name) for name in made().__dataclass_fields__},
    }
    wrong = {
        "kind": "something",
        "version": 99,
        "formant": 3.0,
        "gain_db": float("nan"),
        "pitch_hz": np.array(["x"]),
        "timbre": np.full(128, np.inf, np.float32),
        "correction_db": np.zeros(12, np.float32),
        "score": np.array([{}], dtype=object),
    }
    np.savez(path, **values)
    assert profile.load(path).score == 0.71
    for name, value in wrong.items():
        np.savez(path, **{**values, name: value})
        _refused(path)
    np.savez(path, **{name: value for name, value in values.items() if name != "timbre"})
    _refused(path)
    _refused(tmp_path / "missing.npz")


def _refused(path: Path) -> None:
    with pytest.raises(TaskError) as caught:
        profile.load(path)
    assert caught.value.code == "voice_not_found"
    assert "npz" not in caught.value.message


def test_everything_that_is_heard_changes_the_name_of_a_kept_sentence(
    space: TimbreSpace, library: VoiceLibrary
) -> None:
    def key(kept: profile.Profile, hint: str = "") -> str:
        return Utterance("abc", kept.voice("en", library, space, hint), 1.0, "m").key()

    keys = {
        key(made()),
        key(made(formant=1.04)),
        key(made(gain_db=2.6)),
        key(made(pitch_hz=119.0)),
        key(made(pitch_trim=0.98)),
        key(made(timbre=np.zeros(128, np.float32))),
        key(made(correction_db=np.zeros(513, np.float32))),
        key(made(), hint="af_heart"),
    }
    assert len(keys) == 8
    assert key(made(score=0.1, trials=9)) == key(made())


@pytest.mark.parametrize(
    ("language", "hz", "native"),
    [
        ("en", 105.0, "am_michael"),
        ("en", 190.0, "af_heart"),
        ("zh", 120.0, "zm_yunjian"),
        ("zh", 240.0, "zf_xiaoxiao"),
        ("ja", 250.0, "jf_alpha"),
        ("ja", 100.0, "jm_kumo"),
    ],
)
def test_rhythm_and_tones_come_from_a_native_voice_of_the_nearest_pitch(
    library: VoiceLibrary, language: str, hz: float, native: str
) -> None:
    assert natives.choose(library, language, hz) == native


def test_a_hint_counts_only_in_its_own_language(library: VoiceLibrary, space: TimbreSpace) -> None:
    assert natives.choose(library, "zh", 110.0, "zm_yunyang") == "zm_yunyang"
    assert natives.choose(library, "en", 110.0, "zm_yunyang") == "am_michael"
    spoken = made().voice("zh", library, space, "zm_yunyang")
    assert np.array_equal(spoken.style[:, 128:], library.get("zm_yunyang").style[:, 128:])


def test_the_pitch_of_any_voice_stays_where_the_model_can_speak(
    library: VoiceLibrary, space: TimbreSpace
) -> None:
    for hz in (45.0, 60.0, 110.0, 220.0, 440.0, 590.0):
        for language in ("en", "zh", "ja"):
            gain = made(pitch_hz=hz).voice(language, library, space).f0_gain
            assert profile.MIN_GAIN <= gain <= profile.MAX_GAIN
    exact = made(pitch_hz=120.0, pitch_trim=1.0).voice("en", library, space)
    assert exact.f0_gain == pytest.approx(120.0 / natives.pitch_hz("am_fenrir"))


def test_every_offered_voice_has_a_measured_pitch(library: VoiceLibrary) -> None:
    for preset in library.presets:
        assert preset.name in natives._PITCH_HZ
