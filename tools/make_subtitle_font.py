"""Make assets/fonts/AllInOneSubtitles-Regular.otf: a renamed subset of Noto Sans CJK SC Regular.

    python -m pip install fonttools==4.68.0 jieba==0.42.1     # on Debian: apt-get install fonts-noto-cjk
    python tools/make_subtitle_font.py /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc

Run by a developer, never by the product. Characters: GB 2312, JIS X 0208, Big5 level 1, every
character of jieba's dictionary (names and rarer words), Latin with diacritics, punctuation, kana.
The Japanese forms of JIS level 1 are kept behind the `locl` feature, so `Language: ja` draws Japanese shapes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jieba
from fontTools import subset
from fontTools.ttLib import TTCollection, TTFont

FACE_INDEX = 2  # Noto Sans CJK SC in the collection
FAMILY = "All-in-one Subtitles"
FILE_NAME = "AllInOneSubtitles-Regular"
OUTPUT = Path(__file__).resolve().parent.parent / "assets" / "fonts" / f"{FILE_NAME}.otf"
# A fixed date makes the same bytes every time (seconds since 1904, as the `head` table counts).
MODIFIED = 3_849_984_000

_RANGES = (
    (0x0020, 0x007F),  # ASCII
    (0x00A0, 0x0250),  # Latin with diacritics, pinyin with tones
    (0x2000, 0x2070),  # punctuation
    (0x20A0, 0x20C0),  # currencies
    (0x2100, 0x2200),  # letter-like, number forms, arrows
    (0x2460, 0x2500),  # enclosed numbers
    (0x3000, 0x3100),  # CJK punctuation, hiragana, katakana
    (0xFF00, 0xFFF0),  # full-width and half-width forms
)


def characters() -> set[int]:
    """The code points of the subset (those that the source font lacks are skipped later)."""
    chosen = {code for first, last in _RANGES for code in range(first, last)}
    for codec, first, last in (("gb2312", 0xA1, 0xF8), ("euc_jp", 0xA1, 0xF5), ("big5", 0xA4, 0xC7)):
        chosen |= _decoded(codec, first, last)
    words = (Path(jieba.__file__).parent / "dict.txt").read_text(encoding="utf-8")
    chosen.update(ord(char) for char in words if not char.isspace())
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("collection", type=Path, help="NotoSansCJK-Regular.ttc")
    source = parser.parse_args().collection

    font = TTCollection(source, lazy=True).fonts[FACE_INDEX]
    options = subset.Options()
    options.hinting = False  # burnt into video: drawn without hints anyway
    options.layout_features = ["ccmp", "kern", "locl", "mark", "mkmk"]
    options.layout_scripts = [f"{script}.{language}" for script in _SCRIPTS for language in ("dflt", "JAN")]
    options.notdef_outline = True
    options.name_IDs = ["*"]
    options.drop_tables += ["vhea", "vmtx", "VORG", "BASE"]  # horizontal only
    _keep_japanese_forms(font, _decoded("euc_jp", 0xA1, 0xD0))
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=sorted(characters()))
    subsetter.subset(font)
    _rename(font)
    font["head"].modified = MODIFIED
    font.recalcTimestamp = False
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    font.save(OUTPUT)
    print(f"{OUTPUT}: {OUTPUT.stat().st_size} bytes, {len(font.getGlyphOrder())} glyphs")  # noqa: T201 - a command for developers


def _decoded(codec: str, first: int, last: int) -> set[int]:
    """The code points of a double-byte code's rows `first` to `last` - 1."""
    return {
        ord(char)
        for row in range(first, last)
        for cell in range(0x40, 0xFF)
        for char in bytes([row, cell]).decode(codec, "ignore")
    }


def _keep_japanese_forms(font: TTFont, wanted: set[int]) -> None:
    """Of the thousands of regional variants keep those of `wanted`: the kanji that are in daily use."""
    names = {glyph for code, glyph in font.getBestCmap().items() if code in wanted}
    table = font["GSUB"].table
    lookups = {
        index
        for record in table.FeatureList.FeatureRecord
        if record.FeatureTag == "locl"
        for index in record.Feature.LookupListIndex
    }
    for index in lookups:
        for subtable in table.LookupList.Lookup[index].SubTable:
            subtable = getattr(subtable, "ExtSubTable", subtable)
            if hasattr(subtable, "mapping"):
                subtable.mapping = {key: value for key, value in subtable.mapping.items() if key in names}


_SCRIPTS = ("DFLT", "hani", "kana", "latn", "cyrl", "grek")


def _rename(font: TTFont) -> None:
    """A name of our own: the licence reserves names, and no installed font may be taken for ours."""
    names = font["name"]
    names.names = [record for record in names.names if record.nameID in (0, 5, 7, 8, 9, 10, 11, 13, 14)]
    for name_id, text in (
        (1, FAMILY),
        (2, "Regular"),
        (3, f"{FILE_NAME};subset of Noto Sans CJK SC 2.004"),
        (4, FAMILY),
        (6, FILE_NAME),
    ):
        names.setName(text, name_id, 3, 1, 0x409)
    cff = font["CFF "].cff
    cff.fontNames = [FILE_NAME]
    top = cff.topDictIndex[0]
    top.FullName, top.FamilyName = FAMILY, FAMILY


if __name__ == "__main__":
    main()
