"""Text to index terms, as Lucene's English analyser: word breaks, stop words, Porter stems.

Word breaks follow Unicode's UAX #29 as Lucene's StandardTokenizer applies it. Terms of pure ASCII
text take a short path; the tables for the rest of Unicode are built at the first text that needs
them (some 50 ms).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

from densegym.assets import text
from densegym.envs.shop.store.porter import stem

MAX_TOKEN = 255

_ASCII = re.compile(
    r"(?<!_)_*[A-Za-z0-9]\w*(?:(?:(?<=[A-Za-z])[.':](?=[A-Za-z])|(?<=[0-9])[.,;'](?=[0-9]))\w+)*",
    re.ASCII,
)
_FOREIGN = re.compile(r"((?<![^ \t\n\r])[^ \t\n\r\x80-\U0010ffff]*[\x80-\U0010ffff][^ \t\n\r]*)")
_POSSESSIVE = ("'s", "’s", "＇s", "'S", "’S", "＇S")  # noqa: RUF001 - the signs Lucene knows
_MID_LETTER = "'.:·․‘’︓︰﹒＇．："  # noqa: RUF001
_MID_NUMBER = "'.,;⁄‘’︐︔﹐﹔﹒＇，．；"  # noqa: RUF001
_HAN = "⺀-⿕々〇〡-〩〸-〻㐀-䶿一-鿿豈-龎\U00020000-\U0003fffd"
_HIRAGANA = "ぁ-ゖゝ-ゟ\U0001b001\U0001f200"
_KATAKANA = "〱-〵゛゜゠-ヺー-ヿㇰ-ㇿ㋐-㋾㌀-㍗ｦ-ﾝ"  # noqa: RUF001
_SOUTH_EAST_ASIAN = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0eae\u0eb0-\u0ecd\u0edc-\u0edf\u1000-\u103f"
_PICTURES = (
    "©®‼⁉™ℹ↔-↙↩↪⌚⌛⌨⎈⏏⏩-⏳⏸-⏺Ⓜ▪▫▶◀◻-◾☀-★☇-☒☔-⚅⚐-✅✈-✒✔✖✝✡✨✳✴❄❇❌❎❓-❕❗❣-❧➕-➗➡➰➿⤴⤵⬅-⬇⬛⬜"  # noqa: RUF001
    "⭐⭕〰〽㊗㊙\U0001f000-\U0001f0ff\U0001f10d-\U0001f10f\U0001f12f\U0001f16c-\U0001f171"
    "\U0001f17e\U0001f17f\U0001f18e\U0001f191-\U0001f19a\U0001f1ad-\U0001f1e5\U0001f201-\U0001f20f"
    "\U0001f21a\U0001f22f\U0001f232-\U0001f23a\U0001f23c-\U0001f23f\U0001f249-\U0001f3fa"
    "\U0001f400-\U0001f53d\U0001f546-\U0001f64f\U0001f680-\U0001f6ff\U0001f774-\U0001f77f"
    "\U0001f7d5-\U0001f7ff\U0001f80c-\U0001f80f\U0001f848-\U0001f84f\U0001f85a-\U0001f85f"
    "\U0001f888-\U0001f88f\U0001f8ae-\U0001f8ff\U0001f90c-\U0001f93a\U0001f93c-\U0001f945"
    "\U0001f947-\U0001fffd"
)
_SKIN = "\U0001f3fb-\U0001f3ff"
_FLAG = "\U0001f1e6-\U0001f1ff"


def terms(content: str) -> list[str]:
    """Return the index terms of a text, in order, repeats kept."""
    return list(filter(None, map(_term, tokens(content))))


def tokens(content: str) -> list[str]:
    """Return the words of a text, as written; very long ones are cut as Lucene cuts them."""
    if content.isascii():
        found = _ASCII.findall(content)
    else:
        found = []
        for i, part in enumerate(_FOREIGN.split(content)):
            found += (_unicode() if i % 2 else _ASCII).findall(part)
    if max(map(len, found), default=0) <= MAX_TOKEN:
        return found
    return [token[i : i + MAX_TOKEN] for token in found for i in range(0, len(token), MAX_TOKEN)]


@lru_cache(maxsize=1 << 17)
def _term(token: str) -> str:
    """Return the term of a word, or an empty string for a stop word."""
    if token.endswith(_POSSESSIVE):
        token = token[:-2]
    token = token.lower()
    return "" if token in _stop_words() else stem(token)


@cache
def _stop_words() -> frozenset[str]:
    return frozenset(text("shop/stop_words.txt").split())


@cache
def _unicode() -> re.Pattern[str]:
    """Return the word pattern for any text."""
    letters, digits, marks = _classes()
    inner = f"[{letters}{digits}{marks}_]"
    word = rf"(?<!_)_*[{letters}{digits}]{inner}*(?:"
    word += rf"(?:(?<=[{letters}{marks}])[{_MID_LETTER}](?=[{letters}])"
    word += rf"|(?<=[{digits}{marks}])[{_MID_NUMBER}](?=[{digits}])){inner}+)*"
    picture = rf"[{_PICTURES}][{_SKIN}{marks}]*(?:(?<=\u200d)[{_PICTURES}][{_SKIN}{marks}]*)*"
    others = (
        rf"[{_HAN}{_HIRAGANA}][{marks}]*",
        rf"[{_KATAKANA}][{_KATAKANA}{marks}]*",
        rf"[{_SOUTH_EAST_ASIAN}][{_SOUTH_EAST_ASIAN}{marks}]*",
        picture,
        rf"[{_FLAG}]{{2}}",
    )
    return re.compile("|".join((word, *others)))


def _classes() -> tuple[str, str, str]:
    """Return the insides of the character classes of letters, digits and marks."""
    ranges: dict[str, list[str]] = {"letter": [], "digit": [], "mark": [], "": []}
    start, last = 0, _kind("\0")
    for code in range(1, 0x20001):
        kind = _kind(chr(code))
        if kind != last:
            ranges[last].append(f"\\U{start:08x}-\\U{code - 1:08x}")
            start, last = code, kind
    return "".join(ranges["letter"]), "".join(ranges["digit"]), "".join(ranges["mark"])


def _kind(character: str) -> str:
    """Return ``letter``, ``digit``, ``mark`` or an empty string, near to UAX #29's classes."""
    category = unicodedata.category(character)
    if category == "Nd":
        return "digit"
    if category[0] == "M" or category == "Cf" or character in "\uff9e\uff9f":
        return "mark"
    letter = category[0] == "L" or category == "Nl" or "Ⓐ" <= character <= "ⓩ"
    return "letter" if letter and not _apart().match(character) else ""


@cache
def _apart() -> re.Pattern[str]:
    """Return the pattern of letters that do not join words."""
    return re.compile(f"[{_HAN}{_HIRAGANA}{_KATAKANA}{_SOUTH_EAST_ASIAN}{_PICTURES}]")
