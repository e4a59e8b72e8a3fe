"""The operator's text of the newsletter: paragraphs, `# headings`, `- items`, bare links; numbers as `$orders`.

It is neither a program nor HTML, so that a typing error cannot break the e-mail.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Literal

_LINK = re.compile(r"https?://[^\s<>\"]*[^\s<>\".,;:!?)\]]")
_SUBJECT = re.compile(r"\A\s*Subject:[ \t]*(?P<subject>[^\n]*)\n?", re.IGNORECASE)


@dataclass(frozen=True)
class TextSpan:
    """Plain text, or a link."""

    text: str
    link: bool = False


@dataclass(frozen=True)
class Block:
    """A heading or paragraph of one line of spans, or a list of several lines."""

    kind: Literal["heading", "paragraph", "items"]
    lines: tuple[tuple[TextSpan, ...], ...]


def split_subject(text: str) -> tuple[str | None, str]:
    """Return the subject, if the first line is `Subject: …`, and the rest of the text."""
    match = _SUBJECT.match(text)
    if match is None:
        return None, text
    return " ".join(match["subject"].split()) or None, text[match.end() :]


def parse(text: str, values: Mapping[str, str]) -> list[Block]:
    """Return the blocks of a text, each `$name` replaced by its value; an unknown `$name` stays as it is."""
    filled = Template(text.replace("\r\n", "\n")).safe_substitute(values)
    return [block for chunk in re.split(r"\n[ \t]*\n", filled) for block in _blocks(chunk.split("\n"))]


def _blocks(lines: Sequence[str]) -> list[Block]:
    blocks: list[Block] = []
    prose: list[str] = []
    items: list[tuple[TextSpan, ...]] = []

    def close() -> None:
        if prose:
            blocks.append(Block("paragraph", (_spans(" ".join(prose)),)))
        if items:
            blocks.append(Block("items", tuple(items)))
        prose.clear()
        items.clear()

    for line in map(str.strip, lines):
        if line.startswith("# "):
            close()
            blocks.append(Block("heading", (_spans(line[2:].strip()),)))
        elif line.startswith("- "):
            if prose:
                close()
            items.append(_spans(line[2:].strip()))
        elif line:
            if items:
                close()
            prose.append(line)
    close()
    return blocks


def _spans(line: str) -> tuple[TextSpan, ...]:
    spans: list[TextSpan] = []
    end = 0
    for match in _LINK.finditer(line):
        spans += [TextSpan(line[end : match.start()])] if match.start() > end else []
        spans.append(TextSpan(match.group(), link=True))
        end = match.end()
    return (*spans, TextSpan(line[end:])) if end < len(line) else tuple(spans)
