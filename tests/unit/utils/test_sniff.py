"""A file is what its first bytes say, whatever its name says."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from backend.utils.sniff import HEAD_BYTES, sniff_bytes, sniff_file
from tests.media_samples import make_speech, make_video


@pytest.mark.parametrize(
    ("pillow_format", "media_type", "extension"),
    [
        ("PNG", "image/png", "png"),
        ("JPEG", "image/jpeg", "jpg"),
        ("WEBP", "image/webp", "webp"),
        ("GIF", "image/gif", "gif"),
        ("BMP", "image/bmp", "bmp"),
        ("TIFF", "image/tiff", "tiff"),
    ],
)
def test_pictures_are_known_by_their_bytes(pillow_format: str, media_type: str, extension: str) -> None:
    stream = BytesIO()
    Image.new("RGB", (8, 8)).save(stream, pillow_format)
    found = sniff_bytes(stream.getvalue()[:HEAD_BYTES])
    assert found is not None
    assert (found.kind, found.media_type, found.extension) == ("image", media_type, extension)


@pytest.mark.parametrize(
    ("extension", "options", "media_type", "demuxer"),
    [
        ("wav", (), "audio/wav", "wav"),
        ("mp3", (), "audio/mpeg", "mp3"),
        ("mp3", ("-id3v2_version", "0", "-write_xing", "0"), "audio/mpeg", "mp3"),
        ("mp3", ("-metadata", f"comment={'x' * 9000}"), "audio/mpeg", "mp3"),
        ("flac", (), "audio/flac", "flac"),
        ("ogg", ("-c:a", "libvorbis"), "audio/ogg", "ogg"),
        ("m4a", (), "audio/mp4", "mov"),
        ("aac", (), "audio/aac", "aac"),
        ("amr", ("-ar", "8000"), "audio/amr", "amr"),
        ("wma", (), "audio/x-ms-wma", "asf"),
        ("aiff", (), "audio/aiff", "aiff"),
        ("caf", (), "audio/x-caf", "caf"),
    ],
)
def test_sounds_are_known_by_their_bytes(
    tmp_path: Path, extension: str, options: tuple[str, ...], media_type: str, demuxer: str
) -> None:
    made = make_speech(tmp_path / f"tone.{extension}", 0.5, *options)
    misnamed = made.rename(tmp_path / "tone.txt")
    found = sniff_file(misnamed)
    assert found is not None
    assert (found.kind, found.media_type, found.demuxer) == ("audio", media_type, demuxer)


@pytest.mark.parametrize(
    ("extension", "codec", "media_type", "demuxer"),
    [
        ("mp4", "libx264", "video/mp4", "mov"),
        ("mov", "libx264", "video/quicktime", "mov"),
        ("3gp", "libx264", "video/3gpp", "mov"),
        ("mkv", "libx264", "video/x-matroska", "matroska"),
        ("webm", "libvpx", "video/webm", "matroska"),
    ],
)
def test_videos_are_known_by_their_bytes(
    tmp_path: Path, extension: str, codec: str, media_type: str, demuxer: str
) -> None:
    found = sniff_file(make_video(tmp_path / f"v.{extension}", 0.2, "-c:v", codec, "-pix_fmt", "yuv420p"))
    assert found is not None
    assert (found.kind, found.media_type, found.demuxer) == ("video", media_type, demuxer)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "image/heic"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", "image/heic"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avifmiaf", "image/avif"),
        (b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00mif1avif", "image/avif"),
        (b"\x00\x00\x00\x18ftypXXXX\x00\x00\x00\x00isommp42", "video/mp4"),
    ],
)
def test_iso_files_are_told_apart_by_their_brands(head: bytes, media_type: str) -> None:
    found = sniff_bytes(head)
    assert found is not None
    assert found.media_type == media_type


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x00" * 64,
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile secret.wav\n",
        b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<svg onload=alert(1)>",
        b"<!doctype html><script>",
        b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">',
        b"BM is how this sentence starts, it is no picture",
        b"RIFF\x10\x00\x00\x00AVI LIST",
        b"\xff\xfb\x90\x00 one frame header and then prose".ljust(600, b"."),
        b"\xff\xf1\x50\x80\x02\x1f\xfc" + b"prose" * 100,
        b"ID3\x04\x00\x00\x00\x00\x00\x05hello#EXTM3U\n",
        b"\x00\x00\x00\x18ftypevil\x00\x00\x00\x00evilevil",
        b"\x1a\x45\xdf\xa3\x8f\x42\x82\x84evil",
        b"OggS",
        b"\x89PNG",
    ],
)
def test_playlists_pages_and_look_alikes_are_nothing(head: bytes) -> None:
    assert sniff_bytes(head) is None


def test_what_follows_an_id3_tag_decides(tmp_path: Path) -> None:
    tagged = tmp_path / "song.mp3"
    tagged.write_bytes(b"ID3\x04\x00\x00\x00\x00\x00\x05hello#EXTM3U\nfile:///etc/passwd\n")
    assert sniff_file(tagged) is None
    tagged.write_bytes(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f")
    assert sniff_file(tagged) is None
