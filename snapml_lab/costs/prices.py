"""Prices: what the catalog declares first, then genai-prices for providers' models; each with its source and date.

A price that is not known is unknown, never 0. Amounts are whole pico-dollars, computed with integers.
"""

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from snapml_lab import clock
from snapml_lab.costs.usage import Usage
from snapml_lab.errors import InvalidInputError, NotFoundError
from snapml_lab.jobs import gpus as devices
from snapml_lab.jobs.leases import capacity
from snapml_lab.workspace import Workspace

COMPUTE = "compute"
"""The catalog's price of this machine: dollars an hour while it is at work."""
BUCKETS = ("input", "cached", "cache_write", "output", "reasoning")
"""What tokens are counted in; each has a price, or that of the one it falls back to."""
_LISTED = {
    "input": "input_mtok", "cached": "cache_read_mtok", "cache_write": "cache_write_mtok", "output": "output_mtok",
    "reasoning": "output_reasoning_mtok",
}  # fmt: skip
_SCALE = 10**18
"""A token's price is a whole number of 10^-24 dollars: exact for prices of up to 18 digits after the point a million."""
_PICO = 10**12
_MOST_PICO = 2**63 - 1
"""The greatest amount that the ledger can hold: some 9 million dollars."""


@dataclass(frozen=True)
class Priced:
    """An amount in pico-dollars (None: not known), and where the price comes from, or why there is none."""

    pico: int | None
    source: str


@dataclass(frozen=True)
class Steps:
    """A price a token in 10^-24 dollars; from each of ``above`` (tokens read, price) on it is another one for all tokens."""

    base: int
    above: tuple[tuple[int, int], ...] = ()

    def at(self, tokens: int) -> int:
        """Return the price where so many tokens are read."""
        found = self.base
        for start, price in self.above:
            if tokens > start:
                found = price
        return found

    def most(self, tokens: int) -> int:
        """Return the greatest price where at most so many tokens are read."""
        return max([self.base, *(price for start, price in self.above if tokens > start)])


@dataclass(frozen=True)
class Tokens:
    """What a model's tokens cost, a bucket each; None where there is no price. ``request``: for each one, in 10^-24 dollars."""

    input: Steps | None
    cached: Steps | None
    cache_write: Steps | None
    output: Steps | None
    reasoning: Steps | None
    request: int = 0

    def cost(self, usage: Usage) -> int | None:
        """Return the cost in pico-dollars; None where a count or the price of one is missing."""
        read = usage.read
        if read is None or usage.output is None:
            return None
        total = self.request
        for bucket in BUCKETS:
            if count := getattr(usage, bucket) or 0:
                steps: Steps | None = getattr(self, bucket)
                if steps is None:
                    return None
                total += count * steps.at(read)
        return _even(total, _PICO)

    def worst(self, usage: Usage) -> int | None:
        """Return the most that use within a bound can cost, however it falls into the buckets."""
        if usage.read is None or usage.written is None:
            return None
        total = self.request
        for count, buckets in ((usage.read, BUCKETS[:3]), (usage.written, BUCKETS[3:])):
            if count:
                steps = [getattr(self, bucket) for bucket in buckets]
                if None in steps:
                    return None
                total += count * max(item.most(usage.read) for item in steps)
        return -(-total // _PICO)


@dataclass(frozen=True)
class Rate:
    """What requests to one model cost from now on: by tokens, or by machine time.

    Ask for a new one every minute: a provider's price may depend on the time of day, a GPU's draw on its load.

    Attributes:
        tokens: prices of tokens; None where machine time is what it costs.
        hour: dollars an hour of machine time; None where tokens have a price, or where none is known.
        worst_hour: the most an hour of machine time can cost.
        source: where the price comes from, with its date; or why there is none.
    """

    tokens: Tokens | None
    hour: Fraction | None
    worst_hour: Fraction | None
    source: str

    def cost(self, usage: Usage, machine_seconds: float) -> Priced:
        """Price what a request used."""
        if self.tokens is not None:
            pico = self.tokens.cost(usage)
            if pico is None:
                known = usage.read is not None and usage.output is not None
                return Priced(None, f"{self.source}: no price for all of it" if known else "tokens unknown")
            return _held(pico, self.source)
        if self.hour is None:
            return Priced(None, self.source)
        seconds = Fraction(max(machine_seconds, 0.0))
        pico = round(self.hour * seconds * _PICO / 3600)
        return _held(pico, f"{machine_seconds:.3f} s of {self.source}")

    def worst(self, usage: Usage, seconds: float) -> int | None:
        """Return pico-dollars that no use within the bound exceeds; None where that is not known."""
        if self.tokens is not None:
            found = self.tokens.worst(usage)
        elif self.worst_hour is None:
            return None
        else:
            found = -int(-self.worst_hour * Fraction(max(seconds, 0.0)) * _PICO // 3600)
        return None if found is None or found > _MOST_PICO else found


def rate(
    ws: Workspace,
    deployment: str,
    provider_model: str | None,
    local: bool,
    gpus: int,
    *,
    api: str | None = None,
) -> Rate:
    """Return what requests to a deployment cost: by its own declared price, its model's, the machine's, or the list's.

    Args:
        ws: the workspace, for declared prices.
        deployment: its name.
        provider_model: the name of the model at its provider; None for one of ours.
        local: whether the engine runs here, so that machine time is what it costs.
        gpus: how many GPUs its engine holds.
        api: the provider's base URL, which tells providers of one model apart.
    """
    for name in (deployment, provider_model):
        fields = None if name is None or name == COMPUTE else ws.catalog.find("prices", name)
        if fields is not None:
            return Rate(_declared(fields), None, None, f"{fields.get('source', 'declared')} {fields['date']}")
    if local:
        return machine(ws).rate(gpus)
    if provider_model is None:
        return Rate(None, None, None, "no price is declared")
    return _listed(provider_model, api)


@dataclass(frozen=True)
class Machine:
    """What this machine costs: an hour of it (energy with it), an hour of a GPU, and how many processors share the former.

    Attributes:
        hour: dollars an hour of the machine at work, None where it is not known; ``gpu_hour`` and its greatest likewise.
        lacks: why there is no price; "" where there is one.
    """

    hour: Fraction | None
    gpu_hour: Fraction | None
    gpu_worst: Fraction | None
    processors: float
    date: str
    lacks: str = ""

    def rate(self, gpus: int) -> Rate:
        """Return what an engine costs while it answers: its GPUs' hours, or without any the whole machine's."""
        if gpus and self.gpu_hour is not None and self.gpu_worst is not None:
            word = f"{gpus} GPU{'' if gpus == 1 else 's'}, declared {self.date}"
            return Rate(None, self.gpu_hour * gpus, self.gpu_worst * gpus, word)
        if self.hour is None:
            return Rate(None, None, None, self.lacks or "no price of this machine is declared")
        return Rate(None, self.hour, self.hour, f"this machine, declared {self.date}")

    def work(self, cpu_hours: float, gpu_hours: float, hours: float) -> int | None:
        """Price a job in pico-dollars: CPU hours at the machine's hour over its processors, and GPU hours.

        Where GPUs have no price of their own, a job with one costs the whole machine's hours.
        """
        if gpu_hours and self.gpu_hour is None:
            return None if self.hour is None else round(self.hour * Fraction(hours) * _PICO)
        total = Fraction(gpu_hours) * (self.gpu_hour or 0)
        if cpu_hours and self.hour is not None:
            total += self.hour * Fraction(cpu_hours) / Fraction(self.processors)
        elif not gpu_hours and self.hour is None:
            return None
        return round(total * _PICO)


def machine(ws: Workspace) -> Machine:
    """Return what this machine costs, as declared; GPUs' energy by what NVML reads now."""
    fields = ws.catalog.find("prices", COMPUTE)
    if fields is None:
        return Machine(None, None, None, capacity(), "", "no price of this machine is declared")
    hour, gpu_hour, gpu_worst = (
        _fraction(fields, "dollars_per_hour"),
        _fraction(fields, "dollars_per_gpu_hour"),
        None,
    )
    kwh, watts = _fraction(fields, "dollars_per_kwh"), _fraction(fields, "watts")
    lacks = ""
    if kwh is not None:
        if watts is not None:
            hour = (hour or 0) + kwh * watts / 1000
        drawn = devices.power()
        if drawn:
            now = sum((Fraction(item.now) for item in drawn), Fraction(0)) / len(drawn)
            most = max(Fraction(item.most) for item in drawn)
            gpu_hour, gpu_worst = (gpu_hour or 0) + kwh * now / 1000, (gpu_hour or 0) + kwh * most / 1000
        elif watts is None:
            hour = gpu_hour = None
            lacks = "energy has a price, but nothing tells this machine's power"
    gpu_worst = gpu_hour if gpu_worst is None else gpu_worst
    return Machine(hour, gpu_hour, gpu_worst, capacity(), str(fields.get("date", "")), lacks)


def set_compute(
    ws: Workspace,
    per_hour: Decimal | None = None,
    *,
    gpu_hour: Decimal | None = None,
    kwh: Decimal | None = None,
    watts: Decimal | None = None,
    source: str = "declared",
    on: date | None = None,
) -> None:
    """Declare what an hour of this machine costs, in dollars; what is left out keeps what was declared before.

    Raises:
        InvalidInputError: nothing is said, or energy has a price where nothing tells the power.
    """
    told = {
        "dollars_per_hour": per_hour,
        "dollars_per_gpu_hour": gpu_hour,
        "dollars_per_kwh": kwh,
        "watts": watts,
    }
    fields = {name: str(value) for name, value in told.items() if value is not None}
    if not fields:
        raise InvalidInputError.of("dollars", None, "a price: an hour of the machine, of a GPU, or a kWh")

    def changed(before: Mapping[str, Any] | None) -> dict[str, Any]:
        after = {**(before or {}), **fields, "source": source, "date": _day(on)}
        if "dollars_per_kwh" in after and "watts" not in after and not devices.power():
            raise InvalidInputError.of("watts", None, "the machine's draw at work, as no GPU tells it")
        return after

    ws.catalog.change("prices", COMPUTE, changed)


def set_tokens(
    ws: Workspace,
    model: str,
    prices: Mapping[str, Decimal | None],
    *,
    source: str = "declared",
    on: date | None = None,
) -> None:
    """Declare what a deployment's or a provider's model's tokens cost, in dollars a million of each of :data:`BUCKETS`.

    A bucket without a price has that of what it is part of: reads from and writes to a cache cost as input, reasoning as
    output.

    Raises:
        InvalidInputError: the model's name is that of the machine's price, or a price has too many digits.
    """
    if model == COMPUTE:
        raise InvalidInputError.of("model", model, "another name: this one is of the machine's price")
    fields = {}
    for bucket, price in prices.items():
        if price is not None:
            if price * _SCALE != int(price * _SCALE):
                raise InvalidInputError.of(bucket, str(price), "at most 18 digits after the point")
            fields[f"dollars_per_million_{bucket}"] = str(price)
    ws.catalog.change("prices", model, lambda _: {**fields, "source": source, "date": _day(on)})


def remove(ws: Workspace, name: str) -> dict[str, Any]:
    """Take a declared price back, and return it.

    Raises:
        NotFoundError: none is declared under that name.
    """
    if ws.catalog.find("prices", name) is None:
        raise NotFoundError(f"No price of {name} is declared.", fix="See `prices list`.")
    return ws.catalog.remove("prices", name)


def _declared(fields: Mapping[str, Any]) -> Tokens:
    found = {bucket: fields.get(f"dollars_per_million_{bucket}") for bucket in BUCKETS}
    return _tokens(
        {name: Steps(_scaled(Decimal(value))) for name, value in found.items() if value is not None}
    )


def _tokens(found: Mapping[str, Steps], request: int = 0) -> Tokens:
    """Fill in what falls back."""
    given, said = found.get("input"), found.get("output")
    return Tokens(
        given,
        found.get("cached", given),
        found.get("cache_write", given),
        said,
        found.get("reasoning", said),
        request,
    )


def _listed(model: str, api: str | None) -> Rate:
    """Look a provider's model up in genai-prices' own list; nothing is fetched."""
    if importlib.util.find_spec("genai_prices") is None:
        return Rate(None, None, None, "genai-prices is not installed")
    import genai_prices
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    for reference, provider, url in _references(model, api):
        try:
            maker, found = snapshot.find_provider_model(reference, None, provider, url)
        except LookupError:
            continue
        listed = found.get_prices(datetime.now(UTC)).__dict__
        steps = {
            bucket: _steps(listed[key]) for bucket, key in _LISTED.items() if listed.get(key) is not None
        }
        if steps:
            each = listed.get("requests_kcount")
            request = 0 if each is None else _steps(each).base * 1000
            return Rate(
                _tokens(steps, request), None, None, f"genai-prices {genai_prices.__version__}, {maker.name}"
            )
    return Rate(None, None, None, "no listed price")


def _references(model: str, api: str | None) -> Iterable[tuple[str, str | None, str | None]]:
    """Return ways to name a model, the surest first: at its provider's address, else ``provider/model``, else by itself.

    A server at another address may call anything by a provider's name: it has no listed price.
    """
    if api is not None:
        yield model, None, api
        return
    provider, slash, rest = model.partition("/")
    if slash:
        yield rest, provider, None
    yield model, None, None


def _steps(price: Any) -> Steps:
    """Read a listed price: one for all, or one for each tier of tokens read."""
    if isinstance(price, Decimal):
        return Steps(_scaled(price))
    return Steps(_scaled(price.base), tuple((tier.start, _scaled(tier.price)) for tier in price.tiers))


def _scaled(per_million: Decimal) -> int:
    """Return a price in dollars a million tokens as 10^-24 dollars a token."""
    return round(Fraction(per_million) * _SCALE)


def per_million(price: int) -> str:
    """Write a price of a token (10^-24 dollars) as dollars a million."""
    return f"{(Decimal(price) / _SCALE).normalize():f}"


def _fraction(fields: Mapping[str, Any], name: str) -> Fraction | None:
    return Fraction(fields[name]) if name in fields else None


def _even(value: int, unit: int) -> int:
    """Divide, halves to even."""
    return round(Fraction(value, unit))


def _held(pico: int, source: str) -> Priced:
    """Refuse an amount that the ledger cannot hold; it is nonsense in any case."""
    return (
        Priced(pico, source) if pico <= _MOST_PICO else Priced(None, f"{source}: more than can be recorded")
    )


def _day(on: date | None) -> str:
    return clock.iso(clock.now())[:10] if on is None else on.isoformat()
