"""Pictures and sounds that lie about themselves. All made here, byte by byte, all small."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from tests.media_samples import make

MIB = 1 << 20


def packed_zeros(size: int) -> bytes:
    """`size` zero bytes as zlib data, a thousandth of it, made without ever holding them."""
    press, out = zlib.compressobj(9), []
    for _ in range(size // MIB):
        out.append(press.compress(bytes(MIB)))
    return b"".join(out) + press.flush()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk (ISO/IEC 15948)."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png(
    width: int, height: int, *middle: bytes, pixels: bytes | None = None, depth: int = 8, colour: int = 0
) -> bytes:
    """A PNG that declares this size; `pixels` is its compressed data, by default a few rows of it."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(bytes(min(width, 100_000) + 1) * min(height, 8)) if pixels is None else pixels
    parts = (chunk(b"IHDR", header), *middle, chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _gif(width: int, height: int) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00;"


def _bmp(width: int, height: int) -> bytes:
    return (
        b"BM"
        + struct.pack("<IHHI", 70, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)
        + bytes(16)
    )


def _tiff(width: int, height: int, strip_bytes: int = 4) -> bytes:
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, strip_bytes)]
    data = packed_zeros(MIB)[:strip_bytes].ljust(strip_bytes, b"\0")
    directory = (
        struct.pack("<H", len(entries))
        + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        + bytes(4)
    )
    return b"II*\x00" + struct.pack("<I", 8 + len(data)) + data + directory


def _jpeg(width: int, height: int) -> bytes:
    frame = (
        b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\x01\x11\x00\x02\x11\x01\x03\x11\x01"
    )
    return (
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
        + frame
        + b"\xff\xda\x00\x0c\x03"
        + bytes(30)
    )


def _webp(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pictures() -> dict[str, bytes]:
    """Name to bytes. None of them may become a portrait."""
    text = chunk(b"zTXt", b"Comment\x00\x00" + packed_zeros(256 * MIB))
    profile = chunk(b"iCCP", b"profile\x00\x00" + packed_zeros(256 * MIB))
    whole = png(64, 64)
    return {
        "nothing": b"",
        "one byte": b"\x89",
        "a signature alone": b"\x89PNG\r\n\x1a\n",
        "a picture cut in half": png(300, 300)[:60],
        "one pixel high": png(60_000, 1),
        "one pixel wide": png(1, 60_000),
        "no pixels": png(0, 0),
        "20000 square": png(20_000, 20_000),
        # With all its pixels, in a file of 170 kB: Pillow itself would only warn of it.
        "13000 square": png(13_000, 13_000, pixels=packed_zeros(13_001 * 13_000 + MIB)),
        "the largest PNG": png(2**31 - 1, 2**31 - 1),
        "a GIF of 65535 square": _gif(65_535, 65_535),
        "a BMP of 50000 square": _bmp(50_000, 50_000),
        "a BMP of negative size": _bmp(-5, -(2**31)),
        "a TIFF of 60000 square": _tiff(60_000, 60_000),
        "a JPEG of 65500 square": _jpeg(65_500, 65_500),
        "a WebP of 16384 square": _webp(16_384, 16_384),
        "a comment that unpacks to 256 MB": png(64, 64, text),
        "a colour profile that unpacks to 256 MB": png(64, 64, profile),
        "pixels that unpack to 256 MB": png(64, 64, pixels=packed_zeros(256 * MIB)),
        "64 small comments": png(64, 64, *[chunk(b"zTXt", b"C\x00\x00" + packed_zeros(4 * MIB))] * 64),
        "a chunk that claims 4 GB": b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR" + whole[16:],
        "a page behind a picture": whole + b"<script>alert(1)</script>",
        "an archive behind a picture": whole + b"PK\x03\x04" + bytes(100),
        "a sound under a picture's name": b"RIFF\x24\x00\x00\x00WAVEfmt ",
        "a HEIC whose boxes end nowhere": struct.pack(">I", 24)
        + b"ftypheic\0\0\0\0mif1heic\xff\xff\xff\xffmeta",
        "an AVIF whose boxes end nowhere": struct.pack(">I", 24)
        + b"ftypavif\0\0\0\0mif1avif"
        + b"\0\0\0\1mdat"
        + b"\xff" * 8,
    }


def wav(
    *,
    rate: int = 24_000,
    channels: int = 1,
    bits: int = 16,
    claims: int | None = None,
    data: bytes = bytes(4800),
) -> bytes:
    """A WAV whose header says what it likes; `claims` is the length that it gives for its data."""
    length = len(data) if claims is None else claims
    align = max(1, channels * bits // 8) & 0xFFFF
    head = struct.pack("<HHIIHH", 1, channels, rate, (rate * align) & 0xFFFFFFFF, align, bits)
    size = min(length + 36, 0xFFFFFFFF)
    return (
        b"RIFF"
        + struct.pack("<I", size)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + head
        + b"data"
        + struct.pack("<I", length)
        + data
    )


def _boxes(duration: int) -> bytes:
    """An MP4 without tracks that claims to last `duration` s."""
    movie = struct.pack(">IIIIIII", 0, 0, 0, 1, duration, 0x10000, 0x01000000) + bytes(76)
    inner = struct.pack(">I", len(movie) + 8) + b"mvhd" + movie
    return (
        struct.pack(">I", 20) + b"ftypisom\0\0\2\0isom" + struct.pack(">I", len(inner) + 8) + b"moov" + inner
    )


def sounds(folder: Path) -> dict[str, bytes]:
    """Name to bytes. None of them is a voice: they hold no speech, or nothing at all."""
    make("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=36000", "-c:a", "flac", str(folder / "long.flac"))
    make("-f", "lavfi", "-i", "sine=f=300:r=192000:d=4", str(folder / "fast.wav"))
    make("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=2", "-c:a", "libmp3lame", str(folder / "short.mp3"))
    flac = bytearray((folder / "long.flac").read_bytes()[:9000])
    flac[21] |= 0x0F
    flac[22:26] = b"\xff" * 4  # the total number of samples
    return {
        "nothing": b"",
        "a RIFF head alone": b"RIFF\xff\xff\xff\xffWAVE",
        "a data chunk that claims 4 GB": wav(claims=0xFFFFFFFF),
        "ten hours claimed, a tenth of a second there": wav(claims=24_000 * 2 * 36_000),
        "ten real hours of silence in a small file": (folder / "long.flac").read_bytes(),
        "more samples claimed than ever were": bytes(flac),
        "no sample rate": wav(rate=0),
        "four billion samples a second": wav(rate=0xFFFFFFFF),
        "192 kHz": (folder / "fast.wav").read_bytes(),
        "64 channels": wav(channels=64, data=bytes(64 * 2 * 24_000)),
        "65535 channels": wav(channels=0xFFFF),
        "no channels": wav(channels=0),
        "no bits": wav(bits=0),
        "65528 bits": wav(bits=65_528),
        "a tag that claims 256 MB": b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + (folder / "short.mp3").read_bytes(),
        "an MP3 cut inside a frame": (folder / "short.mp3").read_bytes()[:5000],
        "a movie of a hundred years without a track": _boxes(3_200_000_000),
        "a movie whose box claims everything": struct.pack(">I", 20)
        + b"ftypisom\0\0\2\0isom\0\0\0\1moov"
        + b"\xff" * 8,
        "a Matroska of endless elements": b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska"
        + b"\x18\x53\x80\x67\x01"
        + b"\xff" * 7,
        "a picture": png(64, 64),
        "a page behind a sound": wav() + b"<script>alert(1)</script>",
    }
