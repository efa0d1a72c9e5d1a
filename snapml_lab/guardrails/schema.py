"""JSON Schema, the part that says what an answer must look like; a keyword that is not known here is refused, not passed over.

Source: JSON Schema draft 2020-12, Core and Validation. ``format`` only tells, as the draft has it by default.
"""

import json
import math
from collections.abc import Callable
from typing import Any

from snapml_lab.errors import InvalidInputError
from snapml_lab.guardrails.automaton import Automaton, Expression

_TELLS = frozenset({
    "$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "format", "deprecated",
    "readOnly", "writeOnly",
})  # fmt: skip
_NUMBERS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
    "multipleOf": lambda value, bound: math.isclose(value / bound, round(value / bound), rel_tol=0, abs_tol=1e-9),
}  # fmt: skip
_SIZES = {
    "minLength": (str, 1), "maxLength": (str, -1), "minItems": (list, 1), "maxItems": (list, -1), "minProperties": (dict, 1),
    "maxProperties": (dict, -1),
}  # fmt: skip
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_ONE = ("not", "items", "additionalProperties", "contains")
_NAMED = ("properties", "$defs", "definitions")
_DEEPEST = 64


class Schema:
    """A schema that is checked itself before anything is checked with it.

    Raises:
        InvalidInputError: it is none, or asks for what cannot be checked here.
    """

    def __init__(self, root: Any) -> None:
        self.root = root
        self._patterns: dict[str, Automaton] = {}
        self._look(root, "schema", 0)

    def passes(self, text: str) -> bool:
        """Say whether a text is JSON, and nothing but JSON, that fits."""
        try:
            value = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return False
        return self._fits(value, self.root, 0)

    def _look(self, schema: Any, where: str, depth: int) -> None:  # noqa: C901 - a branch a form of keyword
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict) or depth > _DEEPEST:
            raise InvalidInputError.of(where, schema, "a schema: an object, true or false")
        for word, value in schema.items():
            place = f"{where}.{word}"
            if word in _LISTS and isinstance(value, list):
                for part in value:
                    self._look(part, place, depth + 1)
            elif word in _NAMED and isinstance(value, dict):
                for name, part in value.items():
                    self._look(part, f"{place}.{name}", depth + 1)
            elif word in _ONE:
                self._look(value, place, depth + 1)
            elif word == "pattern" and isinstance(value, str):
                self._pattern(value)
            elif word == "$ref" and isinstance(value, str):
                self._referred(value)
            elif not _plain(word, value):
                raise InvalidInputError.of(
                    place, value, "a keyword that can be checked here, with a value that it takes",
                    "Leave it out, or say it in another way.",
                )  # fmt: skip

    def _pattern(self, source: str) -> None:
        """Have an expression; one between ^ and $ is of the whole, which is all that is taken."""
        if not (source.startswith("^") and source.endswith("$")):
            raise InvalidInputError.of(
                "pattern", source, "an expression between ^ and $", "Write ^.*WORD.*$ for one that may stand anywhere."
            )  # fmt: skip
        self._patterns[source] = Automaton([Expression(source[1:-1])])

    def _referred(self, reference: str) -> Any:
        found = self.root
        parts = reference.removeprefix("#").split("/")[1:]
        if not reference.startswith("#"):
            raise InvalidInputError.of("$ref", reference, "a place in the same schema: #/$defs/NAME")
        for part in parts:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                raise InvalidInputError.of("$ref", reference, "a place that is in the schema")
            found = found[name]
        return found

    def _fits(self, value: Any, schema: Any, depth: int) -> bool:
        if isinstance(schema, bool):
            return schema
        if depth > _DEEPEST:
            return False  # a reference that goes round, or an answer deeper than anybody reads
        return all(self._fits_word(value, word, asked, schema, depth + 1) for word, asked in schema.items())

    def _fits_word(self, value: Any, word: str, asked: Any, schema: dict[str, Any], depth: int) -> bool:  # noqa: C901 - a branch a keyword
        match word:
            case "type":
                return any(_is(value, kind) for kind in ([asked] if isinstance(asked, str) else asked))
            case "enum":
                return any(_same(value, item) for item in asked)
            case "const":
                return _same(value, asked)
            case "$ref":
                return self._fits(value, self._referred(asked), depth)
            case "allOf":
                return all(self._fits(value, part, depth) for part in asked)
            case "anyOf":
                return any(self._fits(value, part, depth) for part in asked)
            case "oneOf":
                return sum(self._fits(value, part, depth) for part in asked) == 1
            case "not":
                return not self._fits(value, asked, depth)
            case "pattern":
                return not isinstance(value, str) or self._whole(value, asked)
        if word in _NUMBERS:
            return (
                isinstance(value, bool) or not isinstance(value, int | float) or _NUMBERS[word](value, asked)
            )
        if word in _SIZES:
            kind, sign = _SIZES[word]
            return not isinstance(value, kind) or (len(value) - asked) * sign >= 0
        if isinstance(value, dict):
            return self._fits_object(value, word, asked, schema, depth)
        return not isinstance(value, list) or self._fits_array(value, word, asked, schema, depth)

    def _fits_object(
        self, value: dict[str, Any], word: str, asked: Any, schema: dict[str, Any], depth: int
    ) -> bool:
        match word:
            case "required":
                return all(name in value for name in asked)
            case "properties":
                return all(
                    self._fits(value[name], part, depth) for name, part in asked.items() if name in value
                )
            case "additionalProperties":
                known = schema.get("properties", {})
                return all(
                    self._fits(item, asked, depth) for name, item in value.items() if name not in known
                )
        return True

    def _fits_array(
        self, value: list[Any], word: str, asked: Any, schema: dict[str, Any], depth: int
    ) -> bool:
        match word:
            case "prefixItems":
                return all(self._fits(item, part, depth) for item, part in zip(value, asked, strict=False))
            case "items":
                rest = value[len(schema.get("prefixItems", [])) :]
                return all(self._fits(item, asked, depth) for item in rest)
            case "contains":
                return any(self._fits(item, asked, depth) for item in value)
            case "uniqueItems":
                texts = [json.dumps(item, sort_keys=True) for item in value]
                return not asked or len(set(texts)) == len(texts)
        return True

    def _whole(self, value: str, source: str) -> bool:
        automaton = self._patterns[source]
        state = automaton.begin("")
        for character in value:
            state, _ = automaton.step(state, character)
        return automaton.ends(state)


def _plain(word: str, value: Any) -> bool:
    """Say whether a keyword without schemas in it has a value that it takes."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match word:
        case "type":
            return (
                value in _TYPES
                if isinstance(value, str)
                else isinstance(value, list) and set(value) <= set(_TYPES)
            )
        case "enum":
            return isinstance(value, list)
        case "const":
            return True
        case "required":
            return isinstance(value, list) and all(isinstance(name, str) for name in value)
        case "uniqueItems":
            return isinstance(value, bool)
        case "multipleOf":
            return number and value > 0
    return (
        word in _TELLS
        or (word in _NUMBERS and number)
        or (word in _SIZES and type(value) is int and value >= 0)
    )


def _is(value: Any, kind: str) -> bool:
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return whole and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
    return isinstance(value, dict)


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True) or (
        _is(one, "number") and _is(other, "number") and bool(one == other)
    )


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
