"""Personal data by shape and check digit: payment cards, IBANs, US social security numbers, e-mail, telephone, IP addresses.

Sources: ISO/IEC 7812-1 (Luhn), the issuers' published ranges, ISO 13616 and its registry (IBAN), SSA's rules (no area 000, 666
or 900 and up, no group 00, no serial 0000), RFC 5321 (lengths of an address), E.164 and the NANP (telephone).
"""

import ipaddress

from snapml_lab.guardrails.shapes import Shape

_CARDS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (4, 4, (13, 16, 19)),  # Visa
    (51, 55, (16,)), (2221, 2720, (16,)),  # Mastercard
    (34, 34, (15,)), (37, 37, (15,)),  # American Express
    (6011, 6011, (16, 19)), (644, 649, (16, 19)), (65, 65, (16, 19)),  # Discover
    (300, 305, (14,)), (36, 36, (14, 16)), (38, 39, (14, 16)),  # Diners Club
    (3528, 3589, (16, 19)),  # JCB
    (62, 62, (16, 17, 18, 19)),  # UnionPay
    (50, 50, (12, 13, 14, 15, 16, 17, 18, 19)), (56, 58, (12, 13, 14, 15, 16, 17, 18, 19)),
    (6304, 6304, (12, 13, 14, 15, 16, 17, 18, 19)), (6759, 6763, (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
)  # fmt: skip
"""First and last prefix of a range, and the lengths its numbers have."""

_IBANS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24,
    "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29,
    "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24,
    "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip


def luhn(digits: str) -> bool:
    """Say whether a number's last digit is right by ISO/IEC 7812-1."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_card(digits: str) -> bool:
    """Say whether digits are a payment card's: an issuer's range, its length, and the check digit."""
    return (
        any(
            len(digits) in lengths and low <= int(digits[: len(str(low))]) <= high
            for low, high, lengths in _CARDS
        )
        and len(set(digits)) > 1
        and luhn(digits)
    )


def is_iban(text: str) -> bool:
    """Say whether letters and digits are an IBAN: a country's length, and 1 modulo 97 (ISO 7064)."""
    if _IBANS.get(text[:2]) != len(text):
        return False
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def _whole(text: str, at: int) -> bool:
    """Say whether a number, or word, does not go on at a place."""
    return at >= len(text) or not text[at].isalnum()


def _card(text: str, start: int, end: int) -> tuple[int, int] | None:
    for stop in range(end, start + 11, -1):
        if text[stop - 1].isdecimal() and _whole(text, stop):
            digits = "".join(c for c in text[start:stop] if c.isdecimal())
            if len(digits) >= 12 and is_card(digits):
                return start, stop
    return None


def _iban(text: str, start: int, end: int) -> tuple[int, int] | None:
    length = _IBANS.get(text[start : start + 2].upper(), 99)
    for stop in range(end, start + 14, -1):
        found = text[start:stop].replace(" ", "").replace("-", "").upper()
        if len(found) == length and _whole(text, stop) and text[stop - 1].isalnum() and is_iban(found):
            return start, stop
    return None


def _ssn(text: str, start: int, end: int) -> tuple[int, int] | None:
    digits = "".join(c for c in text[start:end] if c.isdecimal())
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    right = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return (start, end) if right else None


def _phone(text: str, start: int, end: int) -> tuple[int, int] | None:
    digits = sum(c.isdecimal() for c in text[start:end])
    return (start, end) if 8 <= digits <= 15 else None


def _address(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Pass what is an address of one machine: not this one's own, not a mask of a network."""
    try:
        found = ipaddress.ip_address(text[start:end])
    except ValueError:
        return None
    special = found.is_loopback or found.is_unspecified or text[start:end].startswith(("255.", "0."))
    return None if special else (start, end)


_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"

CARD = Shape("card", r"(?<![\w])[1-9](?:[ -]?[0-9]){11,18}(?![0-9A-Za-z_])", 40, check=_card)
IBAN = Shape(
    "iban", r"(?<!\w)[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,28}", 70, check=_iban
)  # fmt: skip
SSN = Shape("ssn", r"(?<![\w-])[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}(?![\w-])", 13, check=_ssn)
SSN_SAID = Shape(
    "ssn", r"(?<!\w)(?:ssn|social security (?:number|no\.?))(?: is)?[ :#]{0,4}(?P<v>[0-9]{9})(?!\w)", 48,
    needs=("ssn", "SSN", "Ssn", "ecurity", "ECURITY"), check=_ssn, any_case=True,
)  # fmt: skip
EMAIL = Shape(
    "email",
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9_%+-](?:[A-Za-z0-9._%+-]{0,63})@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,5}[A-Za-z]{2,24}(?![A-Za-z0-9_-])",
    420,
    needs=("@",),
)
PHONE = Shape(
    "phone", r"(?<![\w+.-])\+[1-9][0-9]{0,2}(?:[ ./-]?\(?[0-9]{1,4}\)?){2,7}(?!\w)", 60, needs=("+",), check=_phone
)  # fmt: skip
PHONE_US = Shape(
    "phone",
    r"(?<![\w+.-])(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-. ])[2-9][0-9]{2}[-. ][0-9]{4}(?![\w-])",
    20,
)
PHONE_TRUNK = Shape(
    "phone",
    r"(?<![\w+./-])0[1-9][0-9]{1,3}[ /-][0-9]{3,4}(?:[ -]?[0-9]{2,4}){1,2}(?![\w-])",
    28,
    check=_phone,
)
IPV4 = Shape(
    "ip", rf"(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?:\.[0-9])?(?!\w)", 19, needs=(".",), check=_address
)  # fmt: skip
IPV6 = Shape(
    "ip", r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])", 46, needs=(":",), check=_address
)

DETECTORS: dict[str, tuple[Shape, ...]] = {
    "card": (CARD,),
    "iban": (IBAN,),
    "ssn": (SSN, SSN_SAID),
    "email": (EMAIL,),
    "phone": (PHONE, PHONE_US, PHONE_TRUNK),
    "ip": (IPV4, IPV6),
}
