"""Admission: which queued jobs may start beside the live ones. Pure, but for what this machine has.

A claim names processors, memory and GPUs; whatever it is refused for, it says so. Nobody overtakes: a claim that waits
for room keeps back what it needs of it, so that a large job is not starved by small ones.
"""

import heapq
import os
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_LITTLE = 1e-9


class Claim(NamedTuple):
    """A queued job's claim.

    Attributes:
        job: its id; ids sort by time.
        name: what a person sees; empty is the end of its id.
        cpus: processors; 0 for work that only waits.
        memory: MiB of this machine.
        gpus: how many GPUs.
        gpu_memory: MiB of each; None is the whole device.
        queue: its queue.
        priority: higher goes first.
        group: whose it is (a notebook, a person): groups take turns.
        last: it goes behind all others of its priority, and displaces nobody.
        held_back: what it waits for that is no matter of room (another job), or None.
    """

    job: str
    cpus: float = 1.0
    memory: int = 0
    gpus: int = 0
    gpu_memory: int | None = None
    queue: str = "default"
    priority: int = 0
    group: str = ""
    last: bool = False
    held_back: str | None = None
    name: str = ""

    @property
    def called(self) -> str:
        """What to call it in a sentence."""
        return self.name or self.job[-6:]


class Tenant(NamedTuple):
    """Who has memory of a GPU: a job with a lease (its id), or something else; ``gives_way``: it stops if asked."""

    name: str
    memory: int
    job: str | None = None
    gives_way: bool = False


class Gpu(NamedTuple):
    """One GPU as admission sees it; ``free`` (MiB) is what is neither used nor promised."""

    uuid: str
    number: int
    free: int
    tenants: tuple[Tenant, ...] = ()


class Room(NamedTuple):
    """What there is and what of it is held; memory in MiB. ``unseen``: why the GPUs cannot be seen."""

    cpus: float
    memory: int
    cpus_held: float = 0.0
    memory_held: int = 0
    gpus: tuple[Gpu, ...] = ()
    unseen: str | None = None


class Turn(NamedTuple):
    """What a group has had: how many of its jobs live, and when one was started last. The least goes first."""

    live: int = 0
    served_at: float = 0.0


class QueueState(NamedTuple):
    """A queue: how many of it may run at once (None: as many as there is room for), how many do, and whether it rests."""

    at_most: int | None = None
    paused: bool = False
    running: int = 0


class Decision(NamedTuple):
    """What a tick does with a queued job: start it on ``devices`` (``waiting_for`` None), or say what it waits for.

    ``displaces``: the services to be asked to give way to it.
    """

    job: str
    waiting_for: str | None
    devices: tuple[str, ...] = ()
    displaces: tuple[str, ...] = ()


class Share(NamedTuple):
    """A live job's part in the processors: how many it holds, and the job that submitted it, if that is a job."""

    job: str
    cpus: float
    parent: str | None = None


class Processors:
    """Who holds the processors. A job lends its own to those it submitted, for it mostly waits for them.

    Args:
        live: the jobs that live.

    Attributes:
        held: how many processors they hold in all.
    """

    def __init__(self, live: Sequence[Share]) -> None:
        self._own = {share.job: share.cpus for share in live}
        self._below = dict.fromkeys(self._own, 0.0)
        self.held = 0.0
        for share in sorted(
            live, key=lambda share: share.job, reverse=True
        ):  # ids sort by time: children come first
            whole = max(share.cpus, self._below[share.job])
            if share.parent in self._below:
                self._below[share.parent] += whole
            else:
                self.held += whole

    def lent(self, parent: str | None) -> float:
        """Return how many processors of a live job nobody it submitted holds: a new one of those needs so many fewer."""
        return max(self._own[parent] - self._below[parent], 0.0) if parent in self._own else 0.0


def capacity() -> float:
    """Return the processors this process may use."""
    return float(len(os.sched_getaffinity(0)))


def memory_capacity() -> int:
    """Return the memory (MiB) of this machine, or of the container this process is in, where that is less."""
    total = _meminfo()["MemTotal"]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(limit).read_text()) >> 20)
        except (OSError, ValueError):  # no such controller, or "max"
            continue
    return total


def memory_used() -> int:
    """Return the memory (MiB) of this machine that is not available to new work (``MemAvailable``, proc(5))."""
    read = _meminfo()
    return read["MemTotal"] - read["MemAvailable"]


def _meminfo() -> dict[str, int]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {name: int(rest.split()[0]) >> 10 for name, _, rest in (line.partition(":") for line in lines)}


def ordered(claims: Iterable[Claim], turns: Mapping[str, Turn]) -> Iterator[Claim]:
    """Put claims into the order in which they are served.

    Higher priority first, services that give way last; within that, groups take turns (``turns``: what each has had), and
    a group's own jobs go first come, first served.
    """
    classes: dict[tuple[int, bool], dict[str, deque[Claim]]] = defaultdict(lambda: defaultdict(deque))
    for claim in sorted(claims, key=lambda claim: claim.job):
        classes[-claim.priority, claim.last][claim.group].append(claim)
    taken = defaultdict(Turn, turns)
    for key in sorted(classes):
        groups = classes[key]
        heap = [(taken[group], line[0].job, group) for group, line in groups.items()]
        heapq.heapify(heap)
        while heap:
            _, _, group = heapq.heappop(heap)
            yield groups[group].popleft()
            taken[group] = taken[group]._replace(live=taken[group].live + 1)
            if groups[group]:
                heapq.heappush(heap, (taken[group], groups[group][0].job, group))


def admit(
    claims: Iterable[Claim],
    room: Room,
    queues: Mapping[str, QueueState] | None = None,
    turns: Mapping[str, Turn] | None = None,
) -> list[Decision]:
    """Decide for each claim, in the order of :func:`ordered`.

    Args:
        claims: of the queued jobs, in any order.
        room: what there is. A claim for more processors or memory than that is taken as all of it.
        queues: the queues that have a limit or rest.
        turns: what each group has had.
    """
    books = _Books(room, dict(queues or {}))
    return [books.decide(claim) for claim in ordered(claims, turns or {})]


class _Books:
    """What is left while claims are decided one after the other."""

    def __init__(self, room: Room, queues: dict[str, QueueState]) -> None:
        self.room = room
        self.queues = queues
        self.cpus, self.memory = room.cpus_held, room.memory_held
        self.kept_cpus, self.kept_memory = 0.0, 0
        self.gpus = list(room.gpus)
        self.first_in_line: str | None = None
        """The first job that waits for a GPU: those behind it wait, too."""

    def decide(self, claim: Claim) -> Decision:
        if claim.held_back is not None:
            return Decision(claim.job, claim.held_back)
        queue = self.queues.get(claim.queue, QueueState())
        if queue.paused:
            return Decision(claim.job, f"queue {claim.queue!r}, which is paused")
        if queue.at_most is not None and queue.running >= queue.at_most:
            return Decision(
                claim.job, f"its turn in queue {claim.queue!r}: {queue.running} of {queue.at_most} run"
            )
        cpus, memory = min(claim.cpus, self.room.cpus), min(claim.memory, self.room.memory)
        devices, displaces, missing = self._gpus(claim)
        missing = [*self._machine(cpus, memory), *missing]
        if missing:
            self.kept_cpus += cpus
            self.kept_memory += memory
            if claim.gpus and self.first_in_line is None:
                self.first_in_line = claim.called
            return Decision(claim.job, ", ".join(missing), displaces=displaces)
        self.cpus += cpus
        self.memory += memory
        self._take(claim, devices)
        self.queues[claim.queue] = queue._replace(running=queue.running + 1)
        return Decision(claim.job, None, devices)

    def _machine(self, cpus: float, memory: int) -> list[str]:
        """Return what of this machine is missing, in words."""
        missing = []
        if cpus and self.cpus + self.kept_cpus + cpus > self.room.cpus + _LITTLE:
            free = max(self.room.cpus - self.cpus, 0)
            missing.append(f"{cpus:g} of {self.room.cpus:g} CPUs ({free:g} free)")
        if memory and self.memory + self.kept_memory + memory > self.room.memory:
            free = max(self.room.memory - self.memory, 0)
            missing.append(f"{memory:,} of {self.room.memory:,} MiB memory ({free:,} free)")
        return missing

    def _gpus(self, claim: Claim) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
        """Return the devices for a claim, else whom it displaces and what is missing."""
        if not claim.gpus:
            return (), (), []
        if self.room.unseen is not None:
            return (), (), [f"GPUs that can be seen: {self.room.unseen}"]
        if len(self.gpus) < claim.gpus:
            return (), (), [f"{_count(claim.gpus)}: this machine has {len(self.gpus)}"]
        if self.first_in_line is not None:
            return (), (), [f"its turn for a GPU, after {self.first_in_line}"]
        if chosen := _fitting(claim, self.gpus):
            return chosen, (), []
        return (), () if claim.last else self._displaced(claim), [_missing(claim, self.gpus)]

    def _displaced(self, claim: Claim) -> tuple[str, ...]:
        """Return the fewest services, newest first, without which a claim would fit; none if it would not."""
        candidates = sorted(
            {tenant.job for gpu in self.gpus for tenant in gpu.tenants if tenant.job and tenant.gives_way},
            reverse=True,
        )
        asked: list[str] = []
        for job in candidates:
            asked.append(job)
            if _fitting(claim, _without(self.gpus, asked)):
                needed = list(asked)
                for other in asked:
                    fewer = [job for job in needed if job != other]
                    if _fitting(claim, _without(self.gpus, fewer)):
                        needed = fewer
                return tuple(needed)
        return ()

    def _take(self, claim: Claim, devices: tuple[str, ...]) -> None:
        for number, gpu in enumerate(self.gpus):
            if gpu.uuid in devices:
                memory = gpu.free if claim.gpu_memory is None else claim.gpu_memory
                tenant = Tenant(claim.called, memory, claim.job)
                self.gpus[number] = gpu._replace(free=gpu.free - memory, tenants=(*gpu.tenants, tenant))


def _fitting(claim: Claim, gpus: Sequence[Gpu]) -> tuple[str, ...]:
    """Return the devices a claim fits on, the tightest first; empty if it does not."""
    if claim.gpu_memory is None:
        fit = [gpu for gpu in gpus if not gpu.tenants]
    else:
        fit = sorted((gpu for gpu in gpus if gpu.free >= claim.gpu_memory), key=lambda gpu: gpu.free)
    return tuple(gpu.uuid for gpu in fit[: claim.gpus]) if len(fit) >= claim.gpus else ()


def _without(gpus: Sequence[Gpu], jobs: Sequence[str]) -> list[Gpu]:
    found = []
    for gpu in gpus:
        gone = [tenant for tenant in gpu.tenants if tenant.job in jobs]
        stay = tuple(tenant for tenant in gpu.tenants if tenant.job not in jobs)
        found.append(gpu._replace(free=gpu.free + sum(tenant.memory for tenant in gone), tenants=stay))
    return found


def _missing(claim: Claim, gpus: Sequence[Gpu]) -> str:
    """Say what a claim needs, and who has it: ``20,000 MiB of a GPU (GPU 0: 3,000 free, chat has 40,000)``."""
    if claim.gpu_memory is None:
        need = "a whole GPU" if claim.gpus == 1 else f"{claim.gpus} whole GPUs"
    else:
        need = f"{claim.gpu_memory:,} MiB of {'a GPU' if claim.gpus == 1 else f'{claim.gpus} GPUs each'}"
    told = []
    for gpu in gpus[:4]:
        who = [
            f"{tenant.name} has {tenant.memory:,}" if tenant.memory else f"{tenant.name} is on it"
            for tenant in gpu.tenants[:3]
        ]
        told.append(f"GPU {gpu.number}: {', '.join([f'{max(gpu.free, 0):,} MiB free', *who])}")
    return f"{need} ({'; '.join(told)})"


def _count(gpus: int) -> str:
    return "1 GPU" if gpus == 1 else f"{gpus} GPUs"
