"""Commands about capture: keeping a sample of requests and answers, redacted, for data sets and evaluation."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from snapml_lab import clock
from snapml_lab.commands.core import command
from snapml_lab.commands.guardrails import Many
from snapml_lab.commands.types import Completes, Limit
from snapml_lab.engines import tensors
from snapml_lab.errors import InvalidInputError, NotFoundError, SnapmlError
from snapml_lab.finetune import records
from snapml_lab.governance.roles import Effect
from snapml_lab.guardrails import capture
from snapml_lab.registry import deployments, versions
from snapml_lab.registry.signature import Signature
from snapml_lab.store.files import replace
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

CapturedName = Annotated[str, Completes("captures"), Field(min_length=1, description="a deployment's name")]
_SHOWN = 200


class CaptureView(View):
    """What is kept of a deployment, and how much is there."""

    deployment: str
    on: bool
    share: float
    redact: list[str]
    days: int
    kept: int

    @classmethod
    def of(cls, ws: Workspace, settings: capture.Settings) -> "CaptureView":
        """Read settings."""
        fields = {**vars(settings), "redact": list(settings.redact)}
        return cls(**fields, kept=capture.count(ws, settings.deployment))

    def text(self) -> str:
        """One line."""
        what = f"{self.share:.0%} of the requests" if self.on else "off"
        masked = f"{', '.join(self.redact)} masked" if self.redact else "nothing masked"
        return f"{self.deployment}: {what}, {masked}, {self.days} days; {self.kept} kept"

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        what = f"{self.share:.0%}" if self.on else "off"
        return [self.deployment, what, ", ".join(self.redact) or "nothing", str(self.days), str(self.kept)]


class CaptureList(View):
    """What is kept of which deployments."""

    captures: list[CaptureView]

    def text(self) -> str:
        """A table."""
        if not self.captures:
            return "Nothing is captured. Begin: snapml capture on DEPLOYMENT"
        return text_table(_HEADER, [item.row() for item in self.captures], right=_RIGHT)

    def html(self) -> str:
        """A table."""
        if not self.captures:
            return super().html()
        return framed(html_table(_HEADER, [item.row() for item in self.captures], right=_RIGHT))


_HEADER = ["deployment", "captured", "masked", "days", "kept"]
_RIGHT = frozenset({3, 4})


@command("capture on", effect=Effect.ADMIN)
def turn_on(
    ws: Workspace, deployment: Annotated[str, Completes("deployments"), Field(min_length=1)], *,
    share: Annotated[float, Field(gt=0, le=1)] = 1.0, redact: Many | None = None, days: Annotated[int, Field(ge=1, le=3650)] = 30,
) -> CaptureView:  # fmt: skip
    """Keep a sample of a deployment's requests and answers from now on, with secrets and personal data masked.

    Args:
        deployment: its name.
        share: of the requests, above 0 to 1.
        redact: detectors whose finds are masked before anything is written; default: secrets,pii. none masks nothing.
        days: how long to keep them.
    """
    name = deployments.get(ws, deployment).name
    masked = [
        part.strip() for value in redact or capture.REDACTED for part in value.split(",") if part.strip()
    ]
    masked = [] if masked == ["none"] else masked
    settings = capture.Settings(name, share, tuple(dict.fromkeys(masked)), days)
    return CaptureView.of(ws, capture.declare(ws, settings))


@command("capture off", effect=Effect.ADMIN)
def turn_off(ws: Workspace, deployment: CapturedName) -> CaptureView:
    """Keep nothing more of a deployment; what there is stays for its days.

    Args:
        deployment: its name.
    """
    return CaptureView.of(ws, capture.stop(ws, deployment))


@command("capture list", effect=Effect.READ)
def list_captures(ws: Workspace) -> CaptureList:
    """List what is kept of which deployments."""
    return CaptureList(captures=[CaptureView.of(ws, settings) for settings in capture.every(ws)])


class CapturedView(View):
    """One request and its answer as they were kept."""

    id: str
    at: str
    asked: str
    answered: str
    masked: int


class CapturedList(View):
    """What was kept of a deployment, newest first."""

    deployment: str
    captured: list[CapturedView]

    def text(self) -> str:
        """A table."""
        return (
            text_table(_CAPTURED, self._cells())
            if self.captured
            else f"Nothing is kept of {self.deployment}."
        )

    def html(self) -> str:
        """A table."""
        return framed(html_table(_CAPTURED, self._cells())) if self.captured else super().html()

    def _cells(self) -> list[list[str]]:
        return [
            [item.at[:19], item.asked, item.answered, str(item.masked)]  # noqa: PD008 - a time, no table
            for item in self.captured
        ]


_CAPTURED = ["at", "asked", "answered", "masked"]


@command("capture show", effect=Effect.READ)
def show(ws: Workspace, deployment: CapturedName, *, limit: Limit = 20) -> CapturedList:
    """Show the newest requests and answers that were kept of a deployment.

    Args:
        deployment: its name.
        limit: how many.
    """
    _known(ws, deployment)
    return CapturedList(
        deployment=deployment, captured=[_view(item) for item in capture.read(ws, deployment, limit=limit)]
    )


class ExportView(View):
    """A file of chat records, or of rows of a classic model.

    ``left_out``: requests that are no conversation of text alone, as fine-tuning takes it, or hold no rows that can be read.
    """

    deployment: str
    path: str
    records: int
    left_out: int

    def text(self) -> str:
        """One line."""
        left = (
            f", {self.left_out} left out (neither a conversation of text alone nor rows)"
            if self.left_out
            else ""
        )
        return f"{self.records} records of {self.deployment} in {self.path}{left}"


@command("capture export", effect=Effect.WRITE, heavy=True)
def export(
    ws: Workspace, deployment: CapturedName, out: Annotated[str, Field(min_length=1, description="a file")]
) -> ExportView:
    """Write what was kept of a deployment, oldest first: chat records, in the form that fine-tuning and evaluation take.

    Of a classic model it is a table (CSV) of the rows that were asked about: ``at``, what was asked, and what was answered in
    columns that begin with ``predicted_``.

    Args:
        deployment: its name.
        out: the file, relative to the project; one that is there is replaced.
    """
    _known(ws, deployment)
    path = ws.project / out
    if not path.parent.is_dir():
        raise InvalidInputError.of("out", out, "a file in a folder that is there")
    kept = list(reversed(capture.read(ws, deployment)))
    if any("inputs" in item.request for item in kept):
        frames = [frame for item in kept if (frame := _rows(item, _columns(ws, deployment))) is not None]
        _write_table(path, frames)
        return ExportView(
            deployment=deployment,
            path=ws.relative(path),
            records=sum(map(len, frames)),
            left_out=len(kept) - len(frames),
        )
    lines = [line for item in kept if (line := _record(item)) is not None]
    replace(path, "".join(f"{line}\n" for line in lines).encode())
    return ExportView(
        deployment=deployment, path=ws.relative(path), records=len(lines), left_out=len(kept) - len(lines)
    )


def _known(ws: Workspace, deployment: str) -> None:
    if capture.get(ws, deployment) is None:
        raise NotFoundError(
            f"Nothing is captured of {deployment!r}.", fix=f"Begin: snapml capture on {deployment}"
        )


def _columns(ws: Workspace, deployment: str) -> list[str]:
    """Return the columns that a deployment's model reads, for requests that do not name them."""
    try:
        found = versions.find(ws.ledger, deployments.get(ws, deployment).model)
    except NotFoundError:
        return []
    return Signature(**found.signature).columns if found.signature else []


def _rows(item: capture.Captured, columns: list[str]) -> "pd.DataFrame | None":
    """Return what one request asked and was answered as a table, if it can be read; what was redacted is there as such."""
    try:
        frame = tensors.table(item.request, columns)
    except SnapmlError:
        return None
    frame.insert(0, "at", clock.iso(item.at))
    outputs = item.answer.get("outputs") if isinstance(item.answer, dict) else None
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output.get("data"), list) and len(output["data"]) == len(frame):
            frame[f"predicted_{output.get('name')}"] = output["data"]
    return frame


def _write_table(path: Path, frames: "list[pd.DataFrame]") -> None:
    import pandas as pd

    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    replace(path, table.to_csv(index=False).encode("utf-8", "replace"))


def _record(item: capture.Captured) -> str | None:
    """Return a chat record's line, if fine-tuning would take it."""
    found = capture.chat(item)
    if found is None:
        return None
    line = json.dumps(found, ensure_ascii=False)
    try:
        records.parse(line, 1, item.id)
    except SnapmlError:
        return None
    return line


def _view(item: capture.Captured) -> CapturedView:
    found = capture.chat(item)
    asked = found["messages"][-2]["content"] if found else json.dumps(item.request, ensure_ascii=False)
    answered = found["messages"][-1]["content"] if found else json.dumps(item.answer, ensure_ascii=False)
    return CapturedView(
        id=item.id, at=clock.iso(item.at), asked=_cut(asked), answered=_cut(answered), masked=item.masked
    )


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
