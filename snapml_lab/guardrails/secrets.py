"""Secrets by the shapes their makers publish, and by the disorder of what stands after ``key =``.

The measure of disorder is Shannon's entropy of the characters, in bits each (Bell System Technical Journal 27, 1948): words
and names have 2 to 3, random Base64 of 20 characters and more has 3.5 and up.
"""

import math
from collections import Counter

from snapml_lab.guardrails.shapes import Shape

_LEAST_BITS = 3.0
_PLACEHOLDERS = (
    "your",
    "example",
    "changeme",
    "xxxx",
    "placeholder",
    "redacted",
    "dummy",
    "<",
    "${",
    "{{",
    "os.environ",
    "getenv",
)
_B = r"(?<![A-Za-z0-9_])"
_E = r"(?![A-Za-z0-9_])"


def entropy(text: str) -> float:
    """Return the bits a character of a text has, by how often each occurs in it; 0 for none."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts) if text else 0.0


def _disordered(text: str, start: int, end: int) -> tuple[int, int] | None:
    value = text[start:end]
    lower = value.lower()
    kinds = sum((any(map(str.isdecimal, value)), any(map(str.isupper, value)), any(map(str.islower, value))))
    if any(word in lower for word in _PLACEHOLDERS) or kinds < 2 or entropy(value) < _LEAST_BITS:
        return None
    return start, end


_TOKENS = (
    Shape("secret", rf"{_B}(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{{16}}{_E}", 22, needs=("AKIA", "ASIA", "ABIA", "ACCA")),
    Shape("secret", rf"{_B}gh[pousr]_[A-Za-z0-9]{{36,251}}{_E}", 262, needs=("gh",)),
    Shape("secret", rf"{_B}github_pat_[A-Za-z0-9_]{{60,250}}", 270, needs=("github_pat_",)),
    Shape("secret", rf"{_B}xox[abeoprs]-[A-Za-z0-9-]{{10,250}}", 262, needs=("xox",)),
    Shape(
        "secret", r"hooks\.slack\.com/(?:services|workflows)/(?P<v>[A-Za-z0-9/+]{20,120})", 160, needs=("hooks.slack.com",)
    ),
    Shape("secret", rf"{_B}sk-(?:ant|proj|svcacct|admin|or|snapml)-[A-Za-z0-9_-]{{20,250}}", 270, needs=("sk-",)),
    Shape("secret", rf"{_B}sk-[A-Za-z0-9]{{32,250}}{_E}", 262, needs=("sk-",)),
    Shape("secret", rf"{_B}AIza[A-Za-z0-9_-]{{35}}(?![A-Za-z0-9_-])", 42, needs=("AIza",)),
    Shape("secret", rf"{_B}ya29\.[A-Za-z0-9_-]{{20,250}}", 262, needs=("ya29.",)),
    Shape("secret", rf"{_B}hf_[A-Za-z0-9]{{30,60}}{_E}", 70, needs=("hf_",)),
    Shape("secret", rf"{_B}(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{{20,120}}{_E}", 140, needs=("k_live_", "k_test_")),
    Shape(
        "secret",
        rf"{_B}eyJ[A-Za-z0-9_-]{{8,1024}}\.eyJ[A-Za-z0-9_-]{{8,2048}}\.[A-Za-z0-9_-]{{16,1024}}",
        4120,
        needs=("eyJ",),
    ),
    Shape(
        "secret",
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s,:\\-]{0,8000}",
        8100,
        needs=("-----BEGIN",),
    ),
)  # fmt: skip

_ASSIGNED = Shape(
    "secret",
    r"(?<![A-Za-z])(?:api[_ -]?key|apikey|access[_ -]?key|secret[_ -]?key|secret|auth[_ -]?token|token|passwd|password|passphrase|pwd|credential|private[_ -]?key|client[_ -]?secret)"
    r"[\"']?[ \t]{0,4}(?::=|=>|=|:)[ \t]{0,4}[\"'`]?(?P<v>[^\s\"'`,;<>(){}]{12,250})",
    300,
    check=_disordered,
    any_case=True,
)

DETECTORS: dict[str, tuple[Shape, ...]] = {"token": _TOKENS, "entropy": (_ASSIGNED,)}
