"""Leases in the ledger: what was granted, what is held, and when it is free again. Standard library only.

A lease of a GPU ends when the GPU says so, not when its job does: as long as NVML names a process of the job, the lease is
*dirty*, and that process is told.
"""

import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from snapml_lab import clock
from snapml_lab.jobs import gpus, holders, leases
from snapml_lab.jobs.gpus import Device
from snapml_lab.jobs.holders import Holder
from snapml_lab.jobs.model import LIVE, Job
from snapml_lab.store.ledger import bump
from snapml_lab.workspace import Workspace


class Lease(NamedTuple):
    """A GPU lease that is not free yet. Memory in MiB; ``held_by``: the process of an ended job that keeps it."""

    job: str
    name: str
    kind: str
    device: str
    memory: int
    whole: bool
    peak: int
    held_by: int | None
    live: bool
    gives_way: bool
    seen: tuple[int, ...]


class Use(NamedTuple):
    """A process on a GPU: how much it holds (MiB), and whose it is."""

    device: str
    memory: int
    holder: Holder


class Gpus(NamedTuple):
    """All that is known of this machine's GPUs at one moment; ``unseen``: why they cannot be seen."""

    devices: tuple[Device, ...]
    leases: tuple[Lease, ...]
    uses: tuple[Use, ...]
    unseen: str | None


def look(ws: Workspace) -> Gpus:
    """Ask NVML and the ledger."""
    try:
        devices, unseen = tuple(gpus.devices()), None
    except gpus.Unseen as error:
        devices, unseen = (), str(error)
    known: dict[int, Holder] = {}
    uses = []
    for device in devices:
        for held in device.held:
            found = known.setdefault(held.pid, holders.holder(held.pid))
            uses.append(Use(device.uuid, held.memory, found))
    return Gpus(devices, tuple(_open(ws)), tuple(uses), unseen)


def has_open(ws: Workspace) -> bool:
    """Say whether a lease is not free yet."""
    return ws.ledger.row("SELECT 1 FROM leases WHERE released_at IS NULL LIMIT 1") is not None


def grant(connection: sqlite3.Connection, job: Job, devices: Iterable[Device]) -> None:
    """Write the leases of a job that is about to start."""
    now = clock.now()
    for device in devices:
        connection.execute(
            "INSERT INTO leases (job, device, memory, whole, granted_at) VALUES (?, ?, ?, ?, ?)",
            (job.id, device.uuid, job.gpu_memory or device.total, job.gpu_memory is None, now),
        )


def refresh(ws: Workspace, found: Gpus) -> Gpus:
    """Note what leases use, and free those whose job has ended and whose memory is; return what is left."""
    if found.unseen is not None or not found.leases:
        return found
    present = {device.uuid for device in found.devices}
    changes: list[tuple[str, tuple[object, ...]]] = []
    values: tuple[object, ...]
    for lease in found.leases:
        mine = [use for use in found.uses if use.device == lease.device and is_of(use, lease)]
        where = (lease.job, lease.device)
        if lease.live and lease.device in present:
            peak, seen = sum(use.memory for use in mine), {*lease.seen, *(use.holder.pid for use in mine)}
            if peak > lease.peak or seen != set(lease.seen):
                values = (max(peak, lease.peak), json.dumps(sorted(seen)), *where)
                changes.append(("peak_memory = ?, seen = ?", values))
        elif mine:
            if lease.held_by != mine[0].holder.pid:
                changes.append(("held_by = ?", (mine[0].holder.pid, *where)))
        else:
            changes.append(("released_at = ?", (clock.now(), *where)))
    if not changes:
        return found
    with ws.ledger.write() as connection:
        revision = bump(connection)
        for assignment, values in changes:
            connection.execute(
                f"UPDATE leases SET {assignment} WHERE job = ? AND device = ? AND released_at IS NULL", values
            )
        connection.execute(
            "UPDATE jobs SET revision = ?, gpu_peak = nullif((SELECT max(peak_memory) FROM leases WHERE job = jobs.id), 0)"
            " WHERE id IN (SELECT job FROM leases WHERE released_at IS NULL)",
            (revision,),
        )
    return found._replace(leases=tuple(_open(ws)))


def room(live: Iterable[Job], processors: leases.Processors, found: Gpus | None) -> leases.Room:
    """Return what there is for new work beside ``live`` jobs; ``found``: None where no job wants a GPU."""
    live = list(live)
    machine = leases.Room(
        cpus=leases.capacity(), memory=leases.memory_capacity(),
        cpus_held=processors.held, memory_held=sum(job.memory or 0 for job in live),
    )  # fmt: skip
    if found is None:
        return machine
    return machine._replace(gpus=tuple(_gpu(device, found) for device in found.devices), unseen=found.unseen)


def processors(live: Iterable[Job]) -> leases.Processors:
    """Return who of the live jobs holds processors."""
    return leases.Processors([leases.Share(job.id, job.cpus, job.parent) for job in live])


def _gpu(device: Device, found: Gpus) -> leases.Gpu:
    here = [lease for lease in found.leases if lease.device == device.uuid]
    uses = [use for use in found.uses if use.device == device.uuid]
    promised, tenants = 0, []
    for lease in here:
        used = sum(use.memory for use in uses if is_of(use, lease))
        promised += max(lease.memory - used, 0)
        name = lease.name if lease.live else f"{lease.name} (ended; process {lease.held_by})"
        memory = max(lease.memory, used)
        tenants.append(leases.Tenant(name, memory, lease.job, lease.live and lease.gives_way))
    others: dict[str, int] = defaultdict(int)
    for use in uses:
        if not any(is_of(use, lease) for lease in here):
            others[words(use.holder)] += use.memory
    tenants += [leases.Tenant(name, memory) for name, memory in others.items()]
    return leases.Gpu(device.uuid, device.number, device.total - device.used - promised, tuple(tenants))


def words(holder: Holder) -> str:
    """Name a process as a person would: its notebook, its job, or its program."""
    if holder.kind == "kernel":
        return f"notebook {os.path.basename(holder.notebook or '') or holder.kernel}"
    if holder.kind == "job":
        return f"job {(holder.job or '')[-6:]}"
    program = holder.command.split()[0] if holder.command.split() else "a process"
    return f"{os.path.basename(program)} (process {holder.pid})"


def is_of(use: Use, lease: Lease) -> bool:
    """Say whether a process is of a lease's job: by its environment, or, where that cannot be read, by having been seen."""
    return use.holder.job == lease.job or (use.holder.job is None and use.holder.pid in lease.seen)


def _open(ws: Workspace) -> list[Lease]:
    rows = ws.ledger.rows(
        "SELECT leases.*, jobs.name, jobs.kind, jobs.state, jobs.gives_way FROM leases JOIN jobs ON jobs.id = leases.job"
        " WHERE leases.released_at IS NULL ORDER BY granted_at"
    )
    return [
        Lease(
            job=row["job"], name=row["name"], kind=row["kind"], device=row["device"], memory=row["memory"],
            whole=bool(row["whole"]), peak=row["peak_memory"], held_by=row["held_by"], live=row["state"] in LIVE,
            gives_way=bool(row["gives_way"]) and row["state"] != "stopping", seen=tuple(json.loads(row["seen"])),
        )
        for row in rows
    ]  # fmt: skip
