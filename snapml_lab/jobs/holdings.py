"""What of this machine is held, by whom, and what is free: the view of leases."""

from html import escape

from snapml_lab.jobs import grants, leases
from snapml_lab.jobs.model import LIVE, Job
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace


class Meter(View):
    """Something there is only so much of: all of it, what is leased to jobs, and what is used by anybody (None: unknown)."""

    total: float
    leased: float
    used: float | None

    def text(self) -> str:
        """One line."""
        used = "" if self.used is None else f", {self.used:,g} used"
        return f"{self.leased:,g} of {self.total:,g} leased{used}"


class GpuHolder(View):
    """Who has memory (MiB) of a GPU.

    ``kind``: ``job``, ``endpoint``, ``kernel``, ``process``. ``leased``: what was asked for (None: no lease), beside
    ``used`` now and ``peak``. ``dirty``: its job has ended and process ``pid`` keeps the memory. ``pid`` is what
    ``leases free`` takes; None where nothing of it runs yet.
    """

    name: str
    kind: str
    job: str | None
    notebook: str | None
    kernel: str | None
    account: str | None
    pid: int | None
    leased: int | None
    whole: bool
    used: int
    peak: int
    dirty: bool


class GpuView(View):
    """One GPU; memory in MiB, ``load`` in percent (None: unknown), ``free``: neither used nor promised."""

    uuid: str
    number: int
    name: str
    total: int
    used: int
    free: int
    load: int | None
    holders: list[GpuHolder]

    def text(self) -> str:
        """A line, and one for each that has something of it."""
        load = "" if self.load is None else f", {self.load}% busy"
        lines = [
            f"GPU {self.number} {self.name}: {self.used:,} of {self.total:,} MiB used, {self.free:,} free{load}"
        ]
        if self.holders:
            lines += [f"  {line}" for line in text_table(_HEADER, self.rows()).split("\n")]
        return "\n".join(lines)

    def rows(self) -> list[list[str]]:
        """The cells of a line for each holder."""
        return [
            [
                item.name,
                f"{item.kind}, dirty" if item.dirty else item.kind,
                "whole" if item.whole else "" if item.leased is None else f"{item.leased:,}",
                f"{item.used:,}",
                f"{item.peak:,}" if item.peak else "",
                str(item.pid or ""),
                item.account or "",
            ]
            for item in self.holders
        ]


class LeasesView(View):
    """Processors, memory (MiB) and GPUs of this machine. ``unseen``: why the GPUs cannot be seen."""

    cpus: Meter
    memory: Meter
    gpus: list[GpuView]
    unseen: str | None

    def text(self) -> str:
        """A line for each, GPUs with their holders."""
        lines = [f"CPUs: {self.cpus.text()}", f"memory: {self.memory.text()} (MiB)"]
        lines += [gpu.text() for gpu in self.gpus]
        if self.unseen is not None:
            lines.append(f"GPUs cannot be seen: {self.unseen}")
        elif not self.gpus:
            lines.append("This machine has no GPU.")
        return "\n".join(lines)

    def html(self) -> str:
        """The same, with a table a GPU."""
        head = "".join(f"<div>{escape(line)}</div>" for line in self.text().split("\n")[:2])
        parts = [
            f"<div>{escape(gpu.text().partition(chr(10))[0])}</div>"
            + (html_table(_HEADER, gpu.rows()) if gpu.holders else "")
            for gpu in self.gpus
        ]
        note = "" if self.gpus else f"<div class=dim>{escape(self.text().split(chr(10))[-1])}</div>"
        return framed(head, *parts, note)


_HEADER = ["holder", "kind", "leased", "used", "peak", "process", "account"]


def holdings(ws: Workspace) -> LeasesView:
    """Look at this machine and the ledger."""
    found = grants.look(ws)
    marks = ",".join("?" * len(LIVE))
    live = [Job.of(row) for row in ws.ledger.rows(f"SELECT * FROM jobs WHERE state IN ({marks})", *LIVE)]
    room = grants.room(live, grants.processors(live), found)
    free = {gpu.uuid: gpu.free for gpu in room.gpus}
    names = {job.id: job for job in live}
    return LeasesView(
        cpus=Meter(total=room.cpus, leased=room.cpus_held, used=None),
        memory=Meter(total=room.memory, leased=room.memory_held, used=leases.memory_used()),
        gpus=[
            GpuView(
                uuid=device.uuid, number=device.number, name=device.name, total=device.total, used=device.used,
                free=max(free[device.uuid], 0), load=device.load, holders=_holders(device.uuid, found, names),
            )
            for device in found.devices
        ],
        unseen=found.unseen,
    )  # fmt: skip


def _holders(device: str, found: grants.Gpus, live: dict[str, Job]) -> list[GpuHolder]:
    uses = [use for use in found.uses if use.device == device]
    here = [lease for lease in found.leases if lease.device == device]
    holders = []
    for lease in here:
        mine = [use for use in uses if grants.is_of(use, lease)]
        uses = [use for use in uses if use not in mine]
        pid = lease.held_by or (mine[0].holder.pid if mine else None)
        holders.append(
            GpuHolder(
                name=lease.name, kind="endpoint" if lease.kind == "endpoint" else "job", job=lease.job, notebook=None,
                kernel=None, account=mine[0].holder.account if mine else None, pid=pid, leased=lease.memory,
                whole=lease.whole, used=sum(use.memory for use in mine), peak=lease.peak, dirty=not lease.live,
            )
        )  # fmt: skip
    for use in uses:
        who = use.holder
        job = live.get(who.job or "")
        name = job.name if job else grants.words(who)
        holders.append(
            GpuHolder(
                name=name, kind=who.kind, job=who.job, notebook=who.notebook, kernel=who.kernel, account=who.account,
                pid=who.pid, leased=None, whole=False, used=use.memory, peak=0, dirty=False,
            )
        )  # fmt: skip
    return holders
