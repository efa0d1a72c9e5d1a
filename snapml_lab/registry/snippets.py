"""Ready lines to ask a deployment with: the ``openai`` client, ``curl``, and Python alone. Pure but for :func:`of`.

Names come from people and hubs: each is written as the language writes a text, never pasted into it.
"""

import contextlib
import json
import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.registry import versions
from snapml_lab.registry.deployments import Deployment
from snapml_lab.registry.signature import Signature
from snapml_lab.workspace import Workspace

KEY = "SNAPML_API_KEY"
"""The environment variable a key is read from: it stands in no notebook."""


class Snippet(NamedTuple):
    """Lines to copy; ``name`` says with what, ``language`` how they are coloured."""

    name: str
    language: str
    text: str


def of(ws: Workspace, deployment: Deployment, url: str) -> list[Snippet]:
    """Return how to ask a deployment behind the gateway at ``url``; a model whose version is gone, without its columns."""
    if deployment.task == "chat":
        return chat(url, deployment.name)
    columns: list[tuple[str, str]] = []
    with contextlib.suppress(NotFoundError, InvalidInputError, TypeError):
        signature = Signature(**versions.find(ws.ledger, deployment.model).signature)
        columns = [(name, signature.datatype(name)) for name in signature.columns]
    return classic(url, deployment.name, columns)


def chat(url: str, name: str) -> list[Snippet]:
    """Return how to ask a chat model behind the gateway at ``url``."""
    messages = [{"role": "user", "content": "Hello"}]
    body = {"model": name, "messages": messages}
    place = f"{url}/v1/chat/completions"
    client = (
        "import os\n\n"
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url={_text(url + "/v1")}, api_key=os.environ["{KEY}"])\n'
        "answer = client.chat.completions.create(\n"
        f"    model={_text(name)},\n"
        f"    messages={_text(messages)},\n"
        ")\n"
        "print(answer.choices[0].message.content)"
    )
    said = 'print(answer["choices"][0]["message"]["content"])'
    return [
        Snippet("openai", "python", client),
        Snippet("curl", "shell", _curl(place, body)),
        Snippet("Python", "python", _python(place, body, said)),
    ]


def classic(url: str, name: str, columns: Sequence[tuple[str, str]]) -> list[Snippet]:
    """Return how to ask a classic model for one row.

    Args:
        url: the gateway's.
        name: the deployment's.
        columns: those the model reads, each with its V2 datatype: a value stands in for what the caller has.
    """
    inputs = [
        {"name": column, "shape": [1], "datatype": kind, "data": ["text" if kind == "BYTES" else 0.0]}
        for column, kind in columns
    ]
    place = f"{url}/v2/models/{quote(name, safe='')}/infer"
    body = {"inputs": inputs}
    return [
        Snippet("curl", "shell", _curl(place, body)),
        Snippet("Python", "python", _python(place, body, 'print(answer["outputs"])')),
    ]


def _curl(place: str, body: Any) -> str:
    return (
        f"curl {shlex.quote(place)} \\\n"
        f'  -H "Authorization: Bearer ${KEY}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(_text(body))}"
    )


def _python(place: str, body: Any, said: str) -> str:
    return (
        "import json\nimport os\nimport urllib.request\n\n"
        f"body = {_text(body)}\n"
        "request = urllib.request.Request(\n"
        f"    {_text(place)},\n"
        "    data=json.dumps(body).encode(),\n"
        '    headers={"Authorization": "Bearer " + os.environ["'
        + KEY
        + '"], "Content-Type": "application/json"},\n'
        ")\n"
        "with urllib.request.urlopen(request) as reply:\n"
        "    answer = json.load(reply)\n"
        f"{said}"
    )


def _text(value: Any) -> str:
    """Write texts, numbers and lists of them as JSON, which is Python, too; what a terminal would obey is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value).replace("\x7f", "\\u007f")
