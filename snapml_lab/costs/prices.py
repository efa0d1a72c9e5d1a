"""Prices: overrides in the catalog first, then genai-prices for providers' models; each with its source and date."""

import importlib.util
from dataclasses import dataclass
from decimal import Decimal

from snapml_lab import clock, money
from snapml_lab.errors import InvalidInputError
from snapml_lab.workspace import Workspace

COMPUTE = "compute"
"""The catalog's price of this machine: dollars an hour while a request is being answered."""


@dataclass(frozen=True)
class Priced:
    """An amount in pico-dollars (None: not known), and where the price comes from."""

    pico: int | None
    source: str


def set_compute(ws: Workspace, per_hour: Decimal) -> None:
    """Declare what an hour of this machine costs, in dollars."""
    fields = {"dollars_per_hour": str(per_hour), "source": "declared", "date": clock.iso(clock.now())[:10]}
    ws.catalog.change("prices", COMPUTE, lambda _: fields)


def set_tokens(ws: Workspace, model: str, input_price: Decimal, output_price: Decimal) -> None:
    """Declare what a model's tokens cost, in dollars a million.

    Raises:
        InvalidInputError: the model's name is that of the machine's price.
    """
    if model == COMPUTE:
        raise InvalidInputError.of("model", model, "another name: this one is of the machine's price")
    fields = {
        "dollars_per_million_input": str(input_price), "dollars_per_million_output": str(output_price),
        "source": "declared", "date": clock.iso(clock.now())[:10],
    }  # fmt: skip
    ws.catalog.change("prices", model, lambda _: fields)


def price(
    ws: Workspace,
    model: str,
    *,
    input_tokens: int | None,
    output_tokens: int | None,
    seconds: float,
    local: bool,
) -> Priced:
    """Price one request.

    Args:
        ws: the workspace, for declared prices.
        model: the deployment's name, or a provider's model.
        input_tokens: tokens read; None if not known.
        output_tokens: tokens written; None if not known.
        seconds: time the engine was at work for it.
        local: whether the engine runs here, so that machine time is what it costs.
    """
    declared = ws.catalog.find("prices", model)
    if declared and "dollars_per_million_input" in declared:
        if input_tokens is None or output_tokens is None:
            return Priced(None, "tokens unknown")
        pico = money.tokens_cost(input_tokens, Decimal(declared["dollars_per_million_input"]))
        pico += money.tokens_cost(output_tokens, Decimal(declared["dollars_per_million_output"]))
        return Priced(pico, f"declared {declared['date']}")
    if local:
        compute = ws.catalog.find("prices", COMPUTE)
        if compute is None:
            return Priced(None, "no price of this machine is declared")
        pico = money.seconds_cost(seconds, Decimal(compute["dollars_per_hour"]))
        return Priced(pico, f"{seconds:.3f} s of this machine, declared {compute['date']}")
    return _listed(model, input_tokens, output_tokens)


def _listed(model: str, input_tokens: int | None, output_tokens: int | None) -> Priced:
    """Look a provider's model up in genai-prices' own list; nothing is fetched."""
    if input_tokens is None or output_tokens is None:
        return Priced(None, "tokens unknown")
    if importlib.util.find_spec("genai_prices") is None:
        return Priced(None, "genai-prices is not installed")
    import genai_prices

    try:
        usage = genai_prices.Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        found = genai_prices.calc_price(usage, model_ref=model)
    except LookupError:
        return Priced(None, "no listed price")
    return Priced(money.to_pico(found.total_price), f"genai-prices, {found.provider.name}")
