"""The commands as one JSON Schema, from which the page's TypeScript types are made.

``python -m snapml_lab.commands.schema labextension/schema.json``
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from snapml_lab.commands.core import Surface, commands
from snapml_lab.commands.dispatch import parameters_model

_REF = "#/$defs/{model}"


def schema() -> dict[str, Any]:
    """Return a schema whose type ``Commands`` has, for each command REST has, its parameters and its result."""
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for command in commands().values():
        if Surface.REST not in command.surfaces:
            continue
        params = parameters_model(command)
        _, made = models_json_schema([(params, "validation")], ref_template=_REF)
        definitions |= made["$defs"]
        result = TypeAdapter(command.result).json_schema(mode="serialization", ref_template=_REF)
        definitions |= result.pop("$defs", {})
        if isinstance(command.result, type) and issubclass(command.result, BaseModel):
            definitions[command.result.__name__] = result
            result = {"$ref": _REF.format(model=command.result.__name__)}
        properties["/".join(command.words)] = {
            "type": "object",
            "properties": {"params": {"$ref": _REF.format(model=params.__name__)}, "result": result},
            "required": ["params", "result"],
            "additionalProperties": False,
            "description": command.summary,
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Commands",
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
        "$defs": {name: _untitled(body) for name, body in sorted(definitions.items())},
    }


def text() -> str:
    """Return the schema as it is committed."""
    return json.dumps(schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _untitled(body: Any) -> Any:
    """Drop the titles of fields, which would each become a TypeScript type of its own."""
    if isinstance(body, dict):
        return {
            key: {name: _untitled(value) for name, value in part.items()}
            if key == "properties"
            else _untitled(part)
            for key, part in body.items()
            if key != "title" or not isinstance(part, str)
        }
    return [_untitled(part) for part in body] if isinstance(body, list) else body


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), "utf-8")
