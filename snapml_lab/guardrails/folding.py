"""Text as detectors read it: compatibility forms folded, invisible characters dropped, look-alikes made Latin.

Each character is folded for itself (Unicode NFKC of one character, UAX #15), so that a text folds the same in whatever
pieces it comes; sequences that only compose together stay apart. Look-alikes are the common part of UTS #39's table.
"""

import unicodedata
from dataclasses import dataclass

_MOST = 20_000
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")
"""Letters by category, and invisible."""
_TAGS = range(0xE0020, 0xE007F)
"""Tag characters: invisible ASCII."""
_ALIKE = {
    like: letter
    for letter, likes in {
        "a": "αаɑᴀ", "b": "ВβʙᴃВ", "c": "сᴄ", "d": "ԁᴅ", "e": "εеᴇ", "f": "ғ", "g": "ɡɢ", "h": "НһʜհΗ", "i": "ιіıɪ", "j": "јᴊ",
        "k": "Ккκᴋ", "l": "ӏʟ", "m": "Ммᴍ", "n": "Νηոɴ", "o": "οоᴏօ", "p": "ρрᴘ", "q": "ԛ", "r": "гʀ", "s": "ѕ", "t": "Ттτᴛ",
        "u": "υսᴜ", "v": "νᴠ", "w": "ωԝᴡ", "x": "χх", "y": "уγʏ", "z": "Ζᴢ",
    }.items()
    for like in likes
}  # fmt: skip


class _Plain(dict[int, str]):
    """What each character reads as; "" for one that is not seen."""

    def __missing__(self, code: int) -> str:
        if len(self) > _MOST:
            self.clear()
        if code in _TAGS:
            self[code] = chr(code - 0xE0000)
        elif 0x1F170 <= code <= 0x1F189:  # squared letters, which have no compatibility form
            self[code] = chr(code - 0x1F170 + ord("A"))
        else:
            self[code] = "".join(c for c in unicodedata.normalize("NFKC", chr(code)) if _seen(c))
        return self[code]


class _Skeleton(dict[int, str]):
    """The lower-case Latin letter a character of the plain text looks like, or itself; always one character."""

    def __missing__(self, code: int) -> str:
        if len(self) > _MOST:
            self.clear()
        base = unicodedata.normalize("NFKD", chr(code))[0]
        base = _ALIKE.get(base, base).lower()[0]
        self[code] = _ALIKE.get(base, base)
        return self[code]


def _seen(character: str) -> bool:
    return character not in _FILLERS and unicodedata.category(character) not in ("Mn", "Me", "Cf")


_PLAIN, _SKELETON = _Plain(), _Skeleton()


@dataclass(frozen=True)
class Folded:
    """A folded text; ``origins`` says for each of its characters where it comes from (None: from the same place)."""

    text: str
    origins: list[int] | None


def fold(text: str) -> Folded:
    """Fold a text, keeping its case."""
    if text.isascii():
        return Folded(text, None)
    parts = [_PLAIN[ord(character)] for character in text]
    if all(len(part) == 1 for part in parts):
        return Folded("".join(parts), None)
    return Folded("".join(parts), [index for index, part in enumerate(parts) for _ in part])


def skeleton(text: str) -> str:
    """Return a folded text in lower case, without accents, look-alikes made Latin; of the same length."""
    return text.lower() if text.isascii() else text.translate(_SKELETON)
