"""Training: a job's payload. LoRA through PEFT, AdamW, checkpoints that an interrupted training goes on from exactly."""

import json
import math
import os
import random
import shutil
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from snapml_lab.errors import ConflictError, InvalidInputError
from snapml_lab.finetune.base import SAFELY, loading
from snapml_lab.finetune.packing import collate, disagreement, loss_sum, pack
from snapml_lab.finetune.records import Record, read
from snapml_lab.finetune.tokens import Tokens, encode, pieces
from snapml_lab.jobs import gpus
from snapml_lab.jobs.events import ATTEMPT, Reporter
from snapml_lab.jobs.queue import payload_folder

PREVIEW = "preview"
"""The parameter that holds a record in pieces: ``[[learnt, text], …]``."""
_REPORT_STEPS = 5
_KEPT = 2
_MOST_DISAGREEMENT = 0.02
"""More than 16-bit arithmetic makes."""


@dataclass(frozen=True)
class Settings:
    """What a training is told.

    Attributes:
        base: folder or hub id of the model to start from.
        data: JSONL file of chat records.
        name: what the adapter is called.
        epochs: passes over the records.
        rank: of the LoRA matrices; alpha is twice that. Hu et al., "LoRA", 2021 (arXiv:2106.09685).
        lr: peak learning rate of AdamW; warm-up over a twentieth of the steps, then linear to a twentieth of it.
        max_length: tokens of a packed row, and of a record at most.
        rows: packed rows a step.
        held_out: share of the records that are not learnt from and measure the loss.
        checkpoint_steps: steps between checkpoints.
        seed: of the adapter's start and the order of records.
    """

    base: str
    data: str
    name: str
    epochs: float = 3.0
    rank: int = 16
    lr: float = 2e-4
    max_length: int = 1024
    rows: int = 4
    held_out: float = 0.1
    checkpoint_steps: int = 25
    seed: int = 0

    @classmethod
    def of(cls, spec: dict[str, Any]) -> "Settings":
        """Read a job's spec."""
        return cls(**{field.name: spec[field.name] for field in fields(cls) if field.name in spec})


@dataclass
class Progress:
    """How far a training is; what a checkpoint keeps beside the tensors."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Train and leave the adapter; the spec is :class:`Settings`, and ``resume``: a folder of checkpoints, or None."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    settings = Settings.of(spec)
    gpus.hold_torch_to_lease()
    report.progress(0.0, "loading the base model")
    torch.manual_seed(settings.seed)
    with loading(settings.base):
        tokenizer = AutoTokenizer.from_pretrained(settings.base, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            settings.base,
            dtype=torch.float32 if not torch.cuda.is_available() else "auto",
            attn_implementation="sdpa",  # the one that takes packing's mask of booleans
            **SAFELY,
        )
    if tokenizer.chat_template is None:
        raise InvalidInputError.of("model", settings.base, "a model with a chat template")
    longest = min(
        settings.max_length, int(getattr(model.config, "max_position_embeddings", settings.max_length))
    )
    train, held = _split(read(Path(settings.data)), settings)
    learn = [encode(record, tokenizer, longest) for record in train]
    check = [encode(record, tokenizer, longest) for record in held]
    report.param(PREVIEW, json.dumps(pieces(learn[0], tokenizer)))
    adapted = _adapt(model, settings)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    adapted.to(device)
    _check_loss(adapted.get_base_model(), settings.base, learn[0], _pad(tokenizer))
    steps = _steps(learn, settings, longest)
    for name, value in {**asdict(settings), "records": len(learn), "held_out_records": len(check), "steps": steps,
                        "trainable_parameters": sum(p.numel() for p in adapted.parameters() if p.requires_grad),
                        "parameters": sum(p.numel() for p in adapted.parameters())}.items():  # fmt: skip
        report.param(name, value)
    final = _train(adapted, tokenizer, learn, check, settings, steps, longest, _checkpoints(spec), report)

    report.progress(0.98, "keeping the adapter")
    folder = payload_folder()
    target = folder.artifacts / "adapter"
    adapted.save_pretrained(target)
    # Engines ask the folder which architecture it is for.
    adapted.get_base_model().config.save_pretrained(target)
    tokenizer.save_pretrained(target)
    evidence = {
        "metric": "held_out_loss",
        "held_out_loss": final,
        "records": len(learn),
        "steps": steps,
        "base": settings.base,
    }
    report.model(
        str(Path("artifacts") / "adapter"), name=settings.name, format="peft", task="chat",
        signature={"base": settings.base, "rank": settings.rank}, evidence=evidence,
    )  # fmt: skip
    return evidence


def _pad(tokenizer: Any) -> int:
    return int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id)


def _check_loss(model: Any, named: str, record: Tokens, pad: int) -> None:
    """Refuse a model that would be trained on a loss that is not its own.

    Raises:
        ConflictError: with by how much they differ.
    """
    share = disagreement(model, record, pad)
    if share > _MOST_DISAGREEMENT:
        raise ConflictError(
            f"{named} has a loss of its own, which packed records do not give: they differ by {share:.0%}.",
            fix="It scales or caps its logits (as Gemma 2 and Granite do). Choose a model that does not.",
        )


def _checkpoints(spec: dict[str, Any]) -> str | None:
    """Return the folder of checkpoints to go on from: a retry's own, else the one named."""
    own = payload_folder().artifacts / "checkpoints"
    if int(os.environ.get(ATTEMPT, "1")) > 1 and any(own.glob("step-*")):
        return str(own)
    return spec.get("resume")


def _split(records: list[Record], settings: Settings) -> tuple[list[Record], list[Record]]:
    """Set records aside; the same seed sets the same aside."""
    order = list(records)
    random.Random(settings.seed).shuffle(order)
    count = max(1, round(len(order) * settings.held_out))
    return order[count:], order[:count]


def _adapt(model: Any, settings: Settings) -> Any:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=2 * settings.rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def _epoch(records: list[Tokens], settings: Settings, longest: int, epoch: int) -> list[list[list[Tokens]]]:
    """Return an epoch's steps, each a list of packed rows, in an order of its own."""
    order = list(records)
    random.Random(settings.seed * 1_000_003 + epoch).shuffle(order)
    rows = pack(order, longest)
    return [rows[start : start + settings.rows] for start in range(0, len(rows), settings.rows)]


def _steps(records: list[Tokens], settings: Settings, longest: int) -> int:
    whole = int(settings.epochs)
    count = sum(len(_epoch(records, settings, longest, epoch)) for epoch in range(whole))
    if part := settings.epochs - whole:
        count += math.ceil(part * len(_epoch(records, settings, longest, whole)))
    return max(count, 1)


def _train(
    model: Any, tokenizer: Any, learn: list[Tokens], check: list[Tokens], settings: Settings, steps: int, longest: int,
    resume: str | None, report: Reporter,
) -> float:  # fmt: skip
    """Run all steps from the last checkpoint on; return the held-out loss at the end (nats a token)."""
    import torch

    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=settings.lr, betas=(0.9, 0.999), weight_decay=0.0)
    kept = payload_folder().artifacts / "checkpoints"
    kept.mkdir(exist_ok=True)
    progress = _resumed(model, optimizer, resume, report) if resume else Progress()
    pad = _pad(tokenizer)
    begun = time.monotonic() - progress.seconds
    last_time, last_tokens = time.monotonic(), progress.tokens
    base = model.get_base_model()
    held = math.nan
    if progress.step == 0:
        held = _held_out(base, check, settings, longest, pad)
        report.metric("held_out_loss", held, step=0)
    position = 0
    for epoch in range(math.ceil(settings.epochs)):
        for rows in _epoch(learn, settings, longest, epoch):
            position += 1
            if position <= progress.step or position > steps:
                continue
            batch = collate(rows, pad).on(next(iter(trainable)).device)
            rate = _rate(position, steps) * settings.lr
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = loss_sum(base, batch) / max(batch.learnt, 1)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(trainable, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            progress.step = position
            progress.tokens += int(batch.positions.shape[0] * batch.positions.shape[1])
            progress.seconds = time.monotonic() - begun
            report.metric("loss", float(loss.detach()), step=position)
            now = time.monotonic()
            if position % _REPORT_STEPS == 0 or position == steps:
                speed = (progress.tokens - last_tokens) / max(now - last_time, 1e-9)
                last_time, last_tokens = now, progress.tokens
                report.metric("tokens_per_second", speed, step=position)
                report.metric("learning_rate", rate, step=position)
                against = "" if math.isnan(held) else f", held out {held:.3f}"
                told = f"step {position} of {steps}, loss {float(loss.detach()):.3f}{against}, {speed:,.0f} tokens/s"
                report.progress(0.95 * position / steps, told)
                print(told, flush=True)
            if position % settings.checkpoint_steps == 0 or position == steps:
                held = _held_out(base, check, settings, longest, pad)
                report.metric("held_out_loss", held, step=position)
                _keep(model, optimizer, progress, kept)
                last_time = time.monotonic()
    return _held_out(base, check, settings, longest, pad) if math.isnan(held) else held


def _rate(step: int, steps: int) -> float:
    """Return the share of the peak learning rate at a step (from 1)."""
    warm = max(1, steps // 20)
    return min(step / warm, 1.0) * (0.05 + 0.95 * (1 - (step - 1) / steps))


def _held_out(base: Any, check: list[Tokens], settings: Settings, longest: int, pad: int) -> float:
    import torch

    rows = pack(check, longest)
    total, count = 0.0, 0
    device = next(base.parameters()).device
    with torch.no_grad():
        for start in range(0, len(rows), settings.rows):
            batch = collate(rows[start : start + settings.rows], pad).on(device)
            total += float(loss_sum(base, batch))
            count += batch.learnt
    return total / max(count, 1)


def _keep(model: Any, optimizer: Any, progress: Progress, kept: Path) -> None:
    """Write a checkpoint, whole or not at all, and drop the oldest."""
    from safetensors.torch import save_file

    place = kept / f"step-{progress.step:08d}"
    temporary = kept / f".{place.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    named = {
        name: value.detach().contiguous() for name, value in model.named_parameters() if value.requires_grad
    }
    save_file(named, temporary / "adapter.safetensors")
    state = optimizer.state_dict()["state"]
    save_file(
        {
            f"{index}.{key}": value.contiguous()
            for index, entry in state.items()
            for key, value in entry.items()
        },
        temporary / "optimizer.safetensors",
    )
    (temporary / "progress.json").write_text(json.dumps(asdict(progress)), "utf-8")
    for path in temporary.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    temporary.rename(place)
    for old in sorted(kept.glob("step-*"))[:-_KEPT]:
        shutil.rmtree(old)


def _resumed(model: Any, optimizer: Any, resume: str, report: Reporter) -> Progress:
    """Load the last whole checkpoint of an earlier job.

    Raises:
        ConflictError: it left none, or one of another model.
    """
    import torch
    from safetensors.torch import load_file

    found = sorted(Path(resume).glob("step-*"))
    if not found:
        raise ConflictError("The job to resume left no checkpoint.", fix="Start anew, without --resume.")
    place = found[-1]
    tensors = load_file(place / "adapter.safetensors")
    own = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if {name: value.shape for name, value in own.items()} != {
        name: value.shape for name, value in tensors.items()
    }:
        raise ConflictError(
            "The checkpoint is of another model or rank.", fix="Resume with the same model and --rank."
        )
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(tensors[name])
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in load_file(place / "optimizer.safetensors").items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    progress = Progress(**json.loads((place / "progress.json").read_text("utf-8")))
    report.param("resumed_at_step", progress.step)
    print(f"resumed at step {progress.step}", flush=True)
    return progress
