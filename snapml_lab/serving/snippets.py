"""What a person pastes to ask a deployment: curl, the openai client, and Python without a package."""

import json
from typing import Any

VARIABLE = "SNAPML_KEY"
"""Where the snippets look for the API key: a key belongs into no notebook."""


def chat(url: str, name: str) -> dict[str, str]:
    """Return ways to ask a language model, by their names."""
    body = {"model": name, "messages": [{"role": "user", "content": "Hello"}]}
    return {
        "openai": (
            "import os\n"
            "from openai import OpenAI\n\n"
            f'client = OpenAI(base_url="{url}/v1", api_key=os.environ["{VARIABLE}"])\n'
            f'answer = client.chat.completions.create(model="{name}", messages=[{{"role": "user", "content": "Hello"}}])\n'
            "print(answer.choices[0].message.content)"
        ),
        "curl": _curl(f"{url}/v1/chat/completions", body),
        "python": _python(f"{url}/v1/chat/completions", body, '["choices"][0]["message"]["content"]'),
    }


def infer(url: str, name: str, inputs: list[dict[str, Any]]) -> dict[str, str]:
    """Return ways to ask a model of rows.

    Args:
        url: the gateway's.
        name: the deployment's.
        inputs: what it takes, as the protocol describes tensors (``name``, ``datatype``).
    """
    tensors = [
        {"name": item["name"], "shape": [1], "datatype": item["datatype"], "data": [_value(item["datatype"])]}
        for item in inputs
    ]
    address = f"{url}/v2/models/{name}/infer"
    body = {"inputs": tensors}
    return {"curl": _curl(address, body), "python": _python(address, body, '["outputs"]')}


def _curl(address: str, body: dict[str, Any]) -> str:
    text = json.dumps(body).replace("'", "'\\''")
    return (
        f'curl {address} -H "Authorization: Bearer ${VARIABLE}" -H "Content-Type: application/json" \\\n'
        f"  -d '{text}'"
    )


def _python(address: str, body: dict[str, Any], part: str) -> str:
    return (
        "import json, os, urllib.request\n\n"
        f"body = {body!r}\n"
        f'headers = {{"Authorization": "Bearer " + os.environ["{VARIABLE}"], "Content-Type": "application/json"}}\n'
        f'request = urllib.request.Request("{address}", json.dumps(body).encode(), headers)\n'
        f"print(json.load(urllib.request.urlopen(request)){part})"
    )


def _value(datatype: str) -> Any:
    """Return a value that is valid, if meaningless."""
    return {"BYTES": "text", "BOOL": True}.get(datatype, 1.0 if datatype.startswith("FP") else 1)
