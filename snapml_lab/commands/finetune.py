"""Commands about fine-tuning."""

import importlib.util
from typing import Annotated, Any

from pydantic import Field

from snapml_lab.commands.core import Call, command
from snapml_lab.commands.types import FilePath, GpuMemory, JobId, ModelRef
from snapml_lab.data.tables import find_file
from snapml_lab.errors import ConflictError, InvalidInputError, MissingExtraError
from snapml_lab.finetune import base, records
from snapml_lab.finetune.picture import Training, picture
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs import gpus as devices
from snapml_lab.jobs import queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Work
from snapml_lab.jobs.view import JobView
from snapml_lab.registry import footprint, versions
from snapml_lab.store.files import read_json
from snapml_lab.tracking import provenance
from snapml_lab.workspace import Workspace

_QUIET = {"TOKENIZERS_PARALLELISM": "false"}


@command("sample llm", effect=Effect.EXECUTE, picture=picture)
def sample_llm(
    ws: Workspace, *, steps: Annotated[int, Field(ge=1, le=100_000)] = 500, again: bool = False, call: Call
) -> JobView:
    """Make a small base model on this machine, from text that is on it, for where there is no hub.

    It is a Llama of about a million parameters with its own tokenizer and chat template, kept in the user's cache.

    Args:
        steps: steps of 2,560 tokens; 500 take about two minutes on two processors.
        again: make it anew where it is in the cache.
    """
    _need_torch()
    work = Work(
        "sample",
        "sample-llm",
        queue.python("snapml_lab.finetune.sample:run"),
        {"steps": steps, "again": again},
        env=_QUIET,
    )
    return JobView.of(queue.submit(ws, work, actor=call.actor, origin=provenance.complete(ws, call.origin)))


@command("finetune", effect=Effect.EXECUTE, picture=picture)
def finetune(
    ws: Workspace, model: ModelRef | None = None, data: FilePath | None = None, *, name: str | None = None,
    epochs: Annotated[float, Field(gt=0, le=1000)] = 3.0, rank: Annotated[int, Field(ge=1, le=512)] = 16,
    lr: Annotated[float, Field(gt=0, le=1)] = 2e-4, max_length: Annotated[int, Field(ge=16, le=131_072)] = 1024,
    rows: Annotated[int, Field(ge=1, le=1024)] = 4, held_out: Annotated[float, Field(gt=0, lt=0.9)] = 0.1,
    checkpoint_steps: Annotated[int, Field(ge=1)] = 25, seed: int = 0, resume: JobId | None = None,
    gpus: Annotated[int, Field(ge=0, le=1)] | None = None, gpu_memory: GpuMemory | None = None,
    retries: Annotated[int, Field(ge=0, le=100)] = 0, call: Call,
) -> JobView:  # fmt: skip
    """Fine-tune a chat model with LoRA, the loss on answers only; the adapter becomes a model version.

    What is learnt is shown underlined before training. --resume goes on from the last checkpoint of a job.

    Args:
        model: sample, a folder, a hub's id, or a whole model version.
        data: JSONL file of chat records.
        name: what to call the adapter; default: the file's name.
        epochs: passes over the records.
        rank: rank of the LoRA matrices; alpha is twice that.
        lr: peak learning rate.
        max_length: tokens of a packed row, and of a record at most.
        rows: packed rows a step.
        held_out: share of the records that only measure.
        checkpoint_steps: steps between checkpoints.
        seed: of the start and the order.
        resume: a job to go on from; model, data and settings are that job's.
        gpus: GPUs it waits for; default: one where there is one.
        gpu_memory: MiB of it, as 8000 or 8GiB; default: as predicted, the whole device where that cannot be.
        retries: how often it is started again, from its last checkpoint, after it failed or was lost.
    """
    _need_torch()
    if resume is not None:
        spec = _resumed(ws, resume)
    else:
        if model is None or data is None:
            raise InvalidInputError.of("model", model, "MODEL and DATA, or --resume JOB")
        path = find_file(ws, data)
        records.read(path)
        called, start = versions.check_name(name or path.stem), base.resolve(ws, model)
        sha256, _ = ws.blobs.put(path)
        spec = {
            "base": start, "data": str(ws.blobs.path(sha256)), "dataset": sha256, "name": called, "epochs": epochs, "rank": rank, "lr": lr,
            "max_length": max_length, "rows": rows, "held_out": held_out, "checkpoint_steps": checkpoint_steps, "seed": seed,
        }  # fmt: skip
    need = footprint.lora_training(
        spec["base"], rank=spec["rank"], rows=spec["rows"], max_length=spec["max_length"]
    )
    count = int(devices.present()) if gpus is None else gpus
    work = Work(
        "finetune", spec["name"], queue.python("snapml_lab.finetune.train:run"), spec, env=_QUIET, gpus=count,
        gpu_memory=(gpu_memory or need) if count else None, retries=retries,
    )  # fmt: skip
    origin = provenance.complete(ws, call.origin, spec["dataset"])
    return JobView.of(queue.submit(ws, work, actor=call.actor, origin=origin))


@command("training", effect=Effect.READ)
def training(ws: Workspace, job: JobId = "last") -> Training:
    """Show a training: its loss, its speed and what it learns; while it runs or after.

    Args:
        job: its id, the end of it, its name, or last.
    """
    return picture(ws, queue.latest_of(ws, job, "finetune"))


@command("models merge", effect=Effect.EXECUTE, picture=picture)
def merge(ws: Workspace, model: ModelRef, *, name: str | None = None, call: Call) -> JobView:
    """Merge an adapter into its base, as a whole model version.

    Args:
        model: an adapter: NAME or NAME@VERSION.
        name: what to call the model; default: the adapter's name with -merged.
    """
    _need_torch()
    found = versions.find(ws.ledger, model)
    if found.format != "peft":
        raise ConflictError(f"{found.reference} is a {found.format} model.", fix="Name an adapter.")
    spec = {
        "adapter": str(base.laid_out(ws, found)), "base": found.signature["base"], "version": found.reference,
        "name": versions.check_name(name or f"{found.name}-merged"),
    }  # fmt: skip
    work = Work("merge", spec["name"], queue.python("snapml_lab.finetune.merge:run"), spec, env=_QUIET)
    return JobView.of(queue.submit(ws, work, actor=call.actor, origin=provenance.complete(ws, call.origin)))


def _resumed(ws: Workspace, reference: str) -> dict[str, Any]:
    job = queue.get(ws, reference)
    if job.kind != "finetune":
        raise InvalidInputError.of("resume", reference, f"a finetune job; {job.id[-6:]} is a {job.kind}")
    if not job.ended:
        raise ConflictError(
            f"Job {job.id} is {job.state}.", fix=f"Stop it first: snapml jobs cancel {job.id[-6:]}"
        )
    folder = JobFolder(ws.jobs / job.id)
    spec = read_json(folder.spec)
    checkpoints = folder.artifacts / "checkpoints"
    if not isinstance(spec, dict) or not any(checkpoints.glob("step-*")):
        raise ConflictError(f"Job {job.id} left no checkpoint.", fix="Start anew, without --resume.")
    return {**spec, "resume": str(checkpoints)}


def _need_torch() -> None:
    for module in ("torch", "transformers", "peft"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError.of(module, "train")
