"""No file that a user uploads makes ffmpeg read another one (CVE-2016-1897, CVE-2023-49096 and kin)."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.models.errors import InputError
from backend.utils.media.ffmpeg import file_url, input_arguments
from backend.utils.media.probe import probe
from backend.utils.sniff import Sniffed, sniff_file
from tests.media_samples import FFMPEG, make_speech, make_video

WAV = Sniffed("audio", "audio/wav", "wav", "wav")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return make_speech(tmp_path / "secret.wav", 1.0)


def _playlists(secret: Path) -> dict[str, str]:
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "hls, sibling": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{secret.name}\n#EXT-X-ENDLIST\n",
        "hls, network": "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile {secret.name}\n",
        "concat protocol": f"concat:{secret}",
        "dash": f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{secret}</BaseURL></MPD>',
        "smil": f'<smil><body><audio src="{secret}"/></body></smil>',
        "pls": f"[playlist]\nFile1={secret}\n",
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{secret}"/></svg>',
        "asx": f'<ASX><ENTRY><REF HREF="{secret}"/></ENTRY></ASX>',
    }


@pytest.mark.parametrize("kind", sorted(_playlists(Path("x"))))
@pytest.mark.parametrize("extension", ["wav", "mp4", "m3u8"])
def test_a_list_of_other_files_is_refused_under_every_name(
    tmp_path: Path, secret: Path, kind: str, extension: str
) -> None:
    upload = tmp_path / f"file_abcdefgh.{extension}"
    upload.write_text(_playlists(secret)[kind], encoding="utf-8")
    assert sniff_file(upload) is None
    with pytest.raises(InputError):
        probe(FFMPEG, upload)


@pytest.mark.parametrize("kind", sorted(_playlists(Path("x"))))
def test_even_a_wrong_guess_of_the_format_opens_no_other_file(
    tmp_path: Path, secret: Path, kind: str
) -> None:
    upload, leak = tmp_path / "upload.wav", tmp_path / "leak.wav"
    upload.write_text(_playlists(secret)[kind], encoding="utf-8")
    done = FFMPEG.run([*input_arguments(upload, WAV), file_url(leak)], deadline_s=20)
    assert done.returncode != 0
    assert not leak.exists() or leak.stat().st_size == 0


def test_without_the_forced_format_the_corpus_does_leak(tmp_path: Path, secret: Path) -> None:
    """The attack is real with this binary: the tests above would notice if the guard were gone."""
    upload, leak = tmp_path / "upload.wav", tmp_path / "leak.wav"
    upload.write_text(_playlists(secret)["concat"], encoding="utf-8")
    bare = ["-protocol_whitelist", "file,pipe", "-i", str(upload), str(leak)]
    assert FFMPEG.run(bare, deadline_s=20).returncode == 0
    assert leak.stat().st_size > 1000


def test_only_the_sniffed_format_may_be_opened(tmp_path: Path) -> None:
    video = make_video(tmp_path / "v.mp4", 0.2)
    done = FFMPEG.run([*input_arguments(video, WAV), "-f", "null", "-"], deadline_s=20)
    assert done.returncode != 0


@pytest.mark.parametrize(
    "name",
    [
        "-i.wav",
        "--help",
        "a|b.wav",
        "%d.wav",
        "frame%03d.wav",
        "concat:a.wav",
        "http:evil.wav",
        "pipe:0",
        "two\nlines.wav",
        "'quoted' \"twice\".wav",
        "数字人 声音.wav",
        "[0:v];movie=x.wav",
        "x.wav|start_frame=5",
    ],
)
def test_an_odd_name_is_only_a_name(tmp_path: Path, secret: Path, name: str) -> None:
    odd = tmp_path / name
    odd.write_bytes(secret.read_bytes())
    assert probe(FFMPEG, odd).duration_s == pytest.approx(1.0, abs=0.01)


def test_a_relative_name_that_starts_with_a_dash_is_only_a_name(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-version").write_bytes(secret.read_bytes())
    assert probe(FFMPEG, Path("-version")).duration_s == pytest.approx(1.0, abs=0.01)


def test_what_a_movie_refers_to_outside_itself_is_not_read(tmp_path: Path, secret: Path) -> None:
    """A QuickTime data reference (`dref` with an `alis` or `url ` entry) may name another file."""
    movie = make_video(tmp_path / "v.mp4", 0.5)
    data = bytearray(movie.read_bytes())
    at = data.index(b"url \x00\x00\x00\x01")
    data[at : at + 8] = b"url \x00\x00\x00\x00"  # no longer "in this file"
    movie.write_bytes(data)
    leak = tmp_path / "leak.wav"
    sniffed = sniff_file(movie)
    assert sniffed is not None
    FFMPEG.run([*input_arguments(movie, sniffed), "-map", "0:a", file_url(leak)], deadline_s=20)
    assert not leak.exists() or leak.stat().st_size == 0
