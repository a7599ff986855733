"""An excerpt of a text that is too long: what was said first, and how it ended."""

from __future__ import annotations

_GAP = " … "


def excerpt(text: str, most: int) -> str:
    """Return a text, or its beginning and its end if it has more than `most` characters; at least 8."""
    if len(text) <= most:
        return text
    end = (most - len(_GAP)) // 3
    return f"{text[: most - len(_GAP) - end]}{_GAP}{text[-end:]}"
