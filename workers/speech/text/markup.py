"""Tags of pasted web text, silent in every language. Runs in the speech worker.

Flow: `<b>bold</b>` -> the words between the tags; "a<b" is no tag and stays a comparison.
"""

from __future__ import annotations

import re

from workers.speech.text.rules import Rule

_NAMES = (
    "a|abbr|b|blockquote|body|br|break|button|center|cite|code|dd|del|div|dl|dt|em|font|footer|form|h[1-6]|head|header|hr|"
    "html|i|iframe|img|input|ins|label|li|link|main|mark|meta|nav|ol|option|p|pre|q|s|script|section|small|span|"
    "speak|strong|style|sub|sup|table|tbody|td|th|thead|title|tr|u|ul|video"
)
# Attributes are bounded so that a script full of "<" costs no more than its length.
_PATTERN = re.compile(rf"<(/?)({_NAMES})((?:\s[^<>]{{0,300}}=[^<>]{{0,300}})?)\s?(/?)>", re.IGNORECASE)


def _speak(match: re.Match[str]) -> str | None:
    """Nothing for a tag. A single letter is a tag only when its partner is there: x<b>y compares."""
    closing, name, attributes, empty = match.groups()
    if len(name) == 1 and not attributes and not empty:
        partner = f"<{name}" if closing else f"</{name}>"
        around = match.string[: match.start()] if closing else match.string[match.end() :]
        if partner.lower() not in around.lower() and name.lower() != "p":
            return None
    return " "


TAG = Rule(_PATTERN, _speak)
