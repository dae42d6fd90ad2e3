"""What a matched voice says while it is being matched: fixed sentences as symbols of the model.

They need no front end, whose tables would take a second to load. Each lasts about two seconds and holds most vowels
of its language.
"""

from __future__ import annotations

# "We often walk along the river before dark." "Please call me back when you have a moment." "The old house stood near
# a quiet garden."
_ENGLISH = (
    "wi ˈɔfᵊn wˈɔk əlˈɔŋ ðə ɹˈɪvəɹ bəfˈɔɹ dˈɑɹk.",
    "plˈiz kˈɔl mˌi bˈæk wˌɛn ju hæv ɐ mˈOmᵊnt.",
    "ði ˈOld hˈWs stˈʊd nˌɪɹ ɐ kwˈIət ɡˈɑɹdən.",
)
# 请上传一张清晰的照片和一段录音。 这个周末天气晴朗，适合去公园散步。 如果您有任何问题，请随时联系我们。
_CHINESE = (
    "ʨʰi↓ŋ ʂa↘ŋꭧʰwa↗n i↘ꭧa→ŋ ʨʰi→ŋɕi→ tɤ ꭧau↘pʰjɛ→n xɤ↗ i↗twa↘n lu↘i→n.",
    "ꭧɤ↘kɤ ꭧou→mwo↘ tʰjɛ→nʨʰi↘ʨʰi↗ŋla↓ŋ, ʂɨ↘xɤ↗ ʨʰy↘ kʊ→ŋɥɛ↗n sa↘npu↘.",
    "ɻu↗kwo↓ ni↗n jou↓ ɻə↘nxɤ↗ wə↘ntʰi↗, ʨʰi↓ŋ swei↗ʂɨ↗ ljɛ↗nɕi↘ wo↓mən.",
)
# 写真と音声をアップロードしてください。 週末は天気が良いので、散歩しましょう。
_JAPANESE = (
    "ɕaɕinto oɴseio aʔpɯ ɾoːdo ɕitekɯdasai.",
    "ɕɨːmaʦɨβa teŋkʲiɡa joinode, sampo ɕimaɕoɯ.",
)
SENTENCES: dict[str, tuple[str, ...]] = {"en": _ENGLISH, "zh": _CHINESE, "ja": _JAPANESE}
# The language of a recording that nobody named: both, since both will be spoken.
_UNKNOWN = (("en", 0), ("zh", 0), ("en", 1))


def calibration(language: str | None) -> tuple[tuple[str, str], ...]:
    """(language, symbols) of the sentences that a voice of this language is matched on."""
    if language is None:
        return tuple((spoken, SENTENCES[spoken][index]) for spoken, index in _UNKNOWN)
    return tuple((language, symbols) for symbols in SENTENCES[language])
