"""The project's dictionary: how names and rare words are read. Runs in the service process.

In: a term and a reading as people write them. Out: rows, checked, which every later script is spoken with.
"""

from __future__ import annotations

import re
import unicodedata

from backend.models.codes import ErrorCode
from backend.models.dictionary import (
    MAX_READING_CHARS,
    MAX_TERM_CHARS,
    DictionaryEntryView,
    DictionaryList,
    DictionaryPut,
    SpokenLanguage,
)
from backend.models.errors import FieldError, RequestError
from backend.storage.dictionary import DictionaryEntry, DictionaryRepository
from backend.utils.clock import iso_from_ms

# The syllables of pinyin by their parts; whether a syllable exists the speech worker knows.
_SYLLABLE = (
    r"(?:(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?(?:iang|iong|uang|ang|eng|ing|ong|ian|iao|uai|uan|üan|van|ai|ei|ao|ou|an|en|in|un|"
    r"ün|vn|ia|ie|iu|ua|uo|ui|üe|ue|ve|a|o|e|i|u|ü|v)|er|ng?|m)"
)
_WITH_DIGITS = re.compile(rf"(?:{_SYLLABLE}[0-9][\s'-]*)+", re.IGNORECASE)
_TONELESS = re.compile(rf"{_SYLLABLE}(?:[\s'-]+{_SYLLABLE})*", re.IGNORECASE)
_BAD_DIGIT = re.compile(r"[a-zü][6-9]")
_TONE_MARKS = frozenset("\u0300\u0301\u0304\u030c")


class DictionaryService:
    """List, set, forget."""

    def __init__(self, entries: DictionaryRepository) -> None:
        self._entries = entries

    async def all(self) -> DictionaryList:
        """All entries, newest first."""
        return DictionaryList(data=[_view(entry) for entry in await self._entries.list_all()])

    async def put(self, term: str, request: DictionaryPut) -> DictionaryEntryView:
        """Add a term or change its reading. Raises `validation_failed`, `rate_limited`."""
        term, reading = _cleaned(term), _cleaned(request.reading)
        _check_term(term)
        _check_reading(term, reading)
        return _view(await self._entries.put(term, reading, request.language or _language(term)))

    async def delete(self, term: str) -> None:
        """Forget a term. Raises `UnknownId`."""
        await self._entries.delete(_cleaned(term))


def _cleaned(text: str) -> str:
    """One spelling for what looks the same, so that it is found again."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _check_term(term: str) -> None:
    if not any(char.isalnum() for char in term):
        raise _refused(
            "term", "The term holds no letter or digit.", "Write the word as it stands in the script."
        )
    if len(term) > MAX_TERM_CHARS:
        raise _refused("term", f"The term has more than {MAX_TERM_CHARS} characters.", "Use a shorter one.")
    if any(char in "[]" or not char.isprintable() for char in term) or _is_broken(term):
        raise _refused(
            "term",
            "The term holds a character that cannot stand in a script.",
            "Leave out brackets and controls.",
        )


def _check_reading(term: str, reading: str) -> None:
    if not any(char.isalnum() for char in reading) or len(reading) > MAX_READING_CHARS or _is_broken(reading):
        raise _refused(
            "reading", "The reading holds nothing that can be said.", "Write pinyin with tones, or words."
        )
    if any(not char.isprintable() for char in reading):
        raise _refused(
            "reading", "The reading holds a control character.", "Write pinyin with tones, or words."
        )
    if not _is_han(term):
        return
    if _BAD_DIGIT.search(reading.lower()):
        raise _refused("reading", "A tone is a digit from 1 to 5.", "For example chong2 qing4.")
    marked = any(char in _TONE_MARKS for char in unicodedata.normalize("NFD", reading))
    if not marked and _TONELESS.fullmatch(reading):
        raise _refused(
            "reading",
            "The pinyin has no tones.",
            "Write them as digits or marks: chong2 qing4, or chóng qìng.",
        )
    syllables = len(re.findall(r"[0-9]", reading))
    if _WITH_DIGITS.fullmatch(reading) and syllables != len(term):
        raise _refused(
            "reading",
            f"The term has {len(term)} characters, the reading {syllables} syllables.",
            "Write one syllable for each character.",
        )


def _is_han(text: str) -> bool:
    return all("\u3400" <= char <= "\u9fff" for char in text)


def _is_broken(text: str) -> bool:
    return any(0xD800 <= ord(char) <= 0xDFFF for char in text)


def _language(term: str) -> SpokenLanguage:
    if any("\u3041" <= char <= "\u30fa" for char in term):
        return "ja"
    return "zh" if any("\u3400" <= char <= "\u9fff" for char in term) else "en"


def _refused(field: str, detail: str, hint: str) -> RequestError:
    return RequestError(ErrorCode.VALIDATION_FAILED, detail, hint=hint, fields=(FieldError(field, detail),))


def _view(entry: DictionaryEntry) -> DictionaryEntryView:
    return DictionaryEntryView.model_validate(
        {
            "term": entry.term,
            "reading": entry.reading,
            "language": entry.language,
            "created_at": iso_from_ms(entry.created_at),
        }
    )
