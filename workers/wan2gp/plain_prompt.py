"""A person's words as a prompt that upstream takes for words. Runs in the wan2gp worker; no side effects.

Upstream reads prompts as templates: a line that begins with `!` defines variables, one with `#` is dropped, `{name}`
is a variable and `[/...]` a command for one sliding window. A stray brace makes it refuse the whole job, so what would
be markup is replaced by what a reader takes for the same. Line breaks stay; every submission says with
`multi_prompts_gen_type` "FG" that all lines are one prompt.
"""

from __future__ import annotations

import re

_MARKUP_AT_LINE_START = re.compile(r"^[\s#!]+")
_COMMAND = re.compile(r"\[\s*/[\s/]*")
_BRACES = str.maketrans({"{": "(", "}": ")"})


def plain_prompt(text: str) -> str:
    """`text` without upstream's markup; idempotent. Nothing but white space and markup becomes ""."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    cleaned = [_plain_line(line) for line in lines]
    return "\n".join(line for line in cleaned if line)


def _plain_line(line: str) -> str:
    without_commands = _COMMAND.sub("[", line.translate(_BRACES))
    return _MARKUP_AT_LINE_START.sub("", without_commands).rstrip()
