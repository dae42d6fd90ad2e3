"""What a file really is, from its first bytes: never from its name or a header somebody sent.

Runs in the service process, on uploads, on fetched pictures and before every ffmpeg call, because
the demuxer is forced from this answer. Playlists (m3u8, ffconcat, dash), SVG, HTML and every other
text format have no entry here: a file that can name other files is never opened as media.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["image", "audio", "video"]

# Enough for two MPEG audio frames (at most 1441 bytes each) and for an EBML header with its doctype.
HEAD_BYTES = 4096


@dataclass(frozen=True)
class Sniffed:
    """A recognised format. `extension` has no dot; `demuxer` is ffmpeg's name for `-f`."""

    kind: Kind
    media_type: str
    extension: str
    demuxer: str


_PNG = Sniffed("image", "image/png", "png", "png_pipe")
_JPEG = Sniffed("image", "image/jpeg", "jpg", "jpeg_pipe")
_WEBP = Sniffed("image", "image/webp", "webp", "webp_pipe")
_GIF = Sniffed("image", "image/gif", "gif", "gif")
_BMP = Sniffed("image", "image/bmp", "bmp", "bmp_pipe")
_TIFF = Sniffed("image", "image/tiff", "tiff", "tiff_pipe")
_HEIC = Sniffed("image", "image/heic", "heic", "mov")
_AVIF = Sniffed("image", "image/avif", "avif", "mov")
_WAV = Sniffed("audio", "audio/wav", "wav", "wav")
_MP3 = Sniffed("audio", "audio/mpeg", "mp3", "mp3")
_AAC = Sniffed("audio", "audio/aac", "aac", "aac")
_FLAC = Sniffed("audio", "audio/flac", "flac", "flac")
_OGG = Sniffed("audio", "audio/ogg", "ogg", "ogg")
_AMR = Sniffed("audio", "audio/amr", "amr", "amr")
_WMA = Sniffed("audio", "audio/x-ms-wma", "wma", "asf")
_AIFF = Sniffed("audio", "audio/aiff", "aiff", "aiff")
_CAF = Sniffed("audio", "audio/x-caf", "caf", "caf")
_M4A = Sniffed("audio", "audio/mp4", "m4a", "mov")
_MP4 = Sniffed("video", "video/mp4", "mp4", "mov")
_MOV = Sniffed("video", "video/quicktime", "mov", "mov")
_3GP = Sniffed("video", "video/3gpp", "3gp", "mov")
_WEBM = Sniffed("video", "video/webm", "webm", "matroska")
_MKV = Sniffed("video", "video/x-matroska", "mkv", "matroska")

# Signatures that stand at offset 0 and need nothing else.
_PREFIXES: tuple[tuple[bytes, Sniffed], ...] = (
    (b"\x89PNG\r\n\x1a\n", _PNG),
    (b"\xff\xd8\xff", _JPEG),
    (b"GIF87a", _GIF),
    (b"GIF89a", _GIF),
    (b"II*\x00", _TIFF),
    (b"MM\x00*", _TIFF),
    (b"fLaC", _FLAC),
    (b"OggS\x00", _OGG),
    (b"caff\x00\x01", _CAF),
    (b"#!AMR\n", _AMR),
    (b"#!AMR-WB\n", _AMR),
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), _WMA),
)

_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_MP4_BRANDS = frozenset(
    {b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9"}
    | {b"mp41", b"mp42", b"avc1", b"dash", b"M4V ", b"M4VH", b"M4VP", b"MSNV", b"f4v ", b"F4V "}
)

# ISO/IEC 11172-3 and 13818-3: bit rates in kbit/s by (MPEG-1?, layer); index 0 (free) and 15 are refused.
_MPEG1_LAYER3 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_LAYER3 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_ADTS_RATES = 13  # indices 13..15 are reserved or escape


def sniff_bytes(head: bytes) -> Sniffed | None:
    """The format that starts with `head` (the file's first `HEAD_BYTES` or all of it), or None."""
    for prefix, found in _PREFIXES:
        if head.startswith(prefix):
            return found
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _WAV
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _AIFF
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP" and head[12:15] == b"VP8":
        return _WEBP
    if head[:2] == b"BM" and _is_bmp(head):
        return _BMP
    if head[4:8] == b"ftyp":
        return _sniff_iso_media(head)
    if head[4:8] == b"wide" and head[12:16] in (b"mdat", b"moov"):
        return _MOV  # QuickTime files older than the ftyp box
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _sniff_ebml(head)
    return _sniff_mpeg_audio(head)


def sniff_file(path: Path) -> Sniffed | None:
    """Like `sniff_bytes`, and looks behind an ID3 tag, which may hold megabytes of cover art.

    Raises OSError when the file cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
        tag_bytes = _id3_length(head)
        if tag_bytes is None:
            return sniff_bytes(head)
        stream.seek(tag_bytes)
        return sniff_tagged(stream.read(HEAD_BYTES))


def sniff_tagged(body: bytes) -> Sniffed | None:
    """What follows an ID3v2 tag: MP3, AAC or FLAC; some writers leave zero padding first."""
    body = body.lstrip(b"\x00")
    found = sniff_bytes(body)
    return found if found in (_MP3, _AAC, _FLAC) else None


def _id3_length(head: bytes) -> int | None:
    """Length of a leading ID3v2 tag in bytes, header included, or None without one."""
    if head[:3] != b"ID3" or len(head) < 10 or head[3] == 0xFF or any(byte & 0x80 for byte in head[6:10]):
        return None
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    footer = 10 if head[5] & 0x10 else 0
    return 10 + size + footer


def _is_bmp(head: bytes) -> bool:
    """`BM` alone is two letters of text; the two reserved words and the info header size settle it."""
    return head[6:10] == b"\x00\x00\x00\x00" and head[14:18] in (
        b"\x0c\x00\x00\x00",
        b"\x28\x00\x00\x00",
        b"\x6c\x00\x00\x00",
        b"\x7c\x00\x00\x00",
    )


def _sniff_iso_media(head: bytes) -> Sniffed | None:
    """ISO base media: the major brand decides; the compatible brands help when it is generic."""
    size = int.from_bytes(head[:4], "big")
    brands = [head[8:12]] + [head[at : at + 4] for at in range(16, min(size, len(head), 256) - 3, 4)]
    for brand in brands:
        if brand in _AVIF_BRANDS:
            return _AVIF
        if brand in _HEIC_BRANDS:
            # AVIF files may name mif1 first and avif later.
            return _AVIF if _AVIF_BRANDS.intersection(brands) else _HEIC
        if brand in (b"M4A ", b"M4B "):
            return _M4A
        if brand == b"qt  ":
            return _MOV
        if brand[:3] in (b"3gp", b"3g2"):
            return _3GP
        if brand in _MP4_BRANDS:
            return _MP4
    return None


def _sniff_ebml(head: bytes) -> Sniffed | None:
    """Matroska and WebM: the DocType element (id 0x4282) stands in the short EBML header."""
    at = head.find(b"\x42\x82", 4, 64)
    if at < 0:
        return None
    length = head[at + 2] & 0x7F if at + 2 < len(head) else 0
    doctype = head[at + 3 : at + 3 + length].rstrip(b"\x00")
    return {b"webm": _WEBM, b"matroska": _MKV}.get(doctype)


def _sniff_mpeg_audio(head: bytes) -> Sniffed | None:
    """Raw MPEG audio has only a 11-bit sync word: a valid header and a second frame are required."""
    first = _mpeg_frame(head)
    if first is None:
        return None
    length, found = first
    if length >= len(head):
        return None
    second = _mpeg_frame(head[length:])
    return found if second is not None and second[1] is found else None


def _mpeg_frame(data: bytes) -> tuple[int, Sniffed] | None:
    """Length in bytes and format of the MP3 or ADTS frame at the start of `data`."""
    if len(data) < 7 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return None
    if data[1] & 0xF6 == 0xF0:
        length = (data[3] & 0x03) << 11 | data[4] << 3 | data[5] >> 5
        return (length, _AAC) if length > 7 and (data[2] >> 2 & 0x0F) < _ADTS_RATES else None
    version, layer = data[1] >> 3 & 0x03, data[1] >> 1 & 0x03
    rate_index, hertz_index = data[2] >> 4, data[2] >> 2 & 0x03
    if version == 1 or layer != 1 or rate_index in (0, 15) or hertz_index == 3:
        return None
    kilobits = (_MPEG1_LAYER3 if version == 3 else _MPEG2_LAYER3)[rate_index]
    samples_per_byte = 144 if version == 3 else 72
    length = samples_per_byte * kilobits * 1000 // _SAMPLE_RATES[version][hertz_index] + (data[2] >> 1 & 1)
    return length, _MP3
