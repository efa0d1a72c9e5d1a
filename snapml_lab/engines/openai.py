"""The engine ``openai``: any provider that speaks OpenAI's protocol, at the address declared for it.

Nothing runs here; the gateway asks the provider. Fields are passed on as they came, for providers differ in what they take.
"""

from snapml_lab.engines.base import Body, Engine
from snapml_lab.registry.deployments import Target


def translate(_route: str, body: Body, target: Target) -> Body:
    """Return a request as a provider takes it: its own name of the model, and usage asked for where it streams."""
    asked = {**body, "model": target.source}
    if asked.get("stream") and "stream_options" not in target.options.get("without", ()):
        options = asked.get("stream_options")
        asked["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
    for name in target.options.get("without", ()):
        asked.pop(name, None)
    return asked


def _context(target: Target) -> int | None:
    found = target.options.get("context")
    return found if isinstance(found, int) else None


ENGINE = Engine("openai", local=False, translate=translate, context=_context)
