"""Commands about the environments of heavy engines."""

from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Annotated

from pydantic import Field

from snapml_lab.commands.core import Call, command
from snapml_lab.commands.types import Completes, FilePath
from snapml_lab.data.tables import find_file
from snapml_lab.envs import engines
from snapml_lab.envs.engines import Environment, State
from snapml_lab.envs.recipes import RECIPES, Recipe, own
from snapml_lab.governance.roles import Effect
from snapml_lab.jobs import events, gpus, processes, queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import Job, Work
from snapml_lab.jobs.view import JobView
from snapml_lab.store.files import read_json
from snapml_lab.tracking import provenance
from snapml_lab.views.base import View
from snapml_lab.views.tables import framed, html_table, text_table
from snapml_lab.workspace import Workspace

KIND = "environment"
EnvName = Annotated[
    str, Completes("environments"), Field(min_length=1, max_length=80, description="an environment's name")
]


class EnvView(View):
    """An environment: ``size`` in bytes on the disk; ``reason`` says why it is not ready."""

    name: str
    state: State
    reason: str
    about: str
    python: str
    size: int | None
    packages: int
    path: str

    @classmethod
    def of(cls, environment: Environment, seen: engines.Look, size: int | None) -> "EnvView":
        """Describe one."""
        recipe = environment.recipe
        of_now = environment.id == replace(environment, made=None).id
        return cls(
            name=recipe.name if of_now else environment.id, state=seen.state, reason=seen.reason, about=recipe.about, python=environment.python,
            size=size, packages=len(engines.packages(environment)), path=str(environment.place),
        )  # fmt: skip

    def row(self) -> list[str]:
        """The cells of one line of a list."""
        many = str(self.packages) if self.packages else ""
        return [self.name, self.state, self.python, many, _size(self.size), self.reason or self.about]


class EnvList(View):
    """The environments there are, and the recipes of those that are not made; ``size`` is of them all."""

    environments: list[EnvView]
    folder: str
    size: int

    def text(self) -> str:
        """A table."""
        return f"{text_table(_HEADER, self._rows(), right=_RIGHT)}\n{self._foot()}"

    def html(self) -> str:
        """A table."""
        return framed(
            html_table(_HEADER, self._rows(), right=_RIGHT), f"<div class=dim>{escape(self._foot())}</div>"
        )

    def _rows(self) -> list[list[str]]:
        return [item.row() for item in self.environments]

    def _foot(self) -> str:
        return f"in {self.folder}: {_size(self.size) or '0 MiB'}"


class User(View):
    """A process that runs in an environment; with the endpoint and the project it is of, where that is known."""

    pid: int
    name: str | None
    project: str | None

    def text(self) -> str:
        """One line."""
        return f"{self.name or 'process'} ({self.pid}{' of ' + self.project if self.project else ''})"


class EnvDetail(View):
    """An environment with its packages, and what runs in it."""

    environment: EnvView
    packages: list[str]
    users: list[User]

    def text(self) -> str:
        """A line a field, then the packages."""
        of = self.environment
        shown = {
            "state": of.state + (f": {of.reason}" if of.reason else ""), "about": of.about, "python": of.python,
            "size": _size(of.size), "folder": of.path, "in use by": ", ".join(user.text() for user in self.users),
        }  # fmt: skip
        lines = [of.name, *(f"  {label:<10} {value}" for label, value in shown.items() if value)]
        if of.state is not State.READY:
            lines.append(f"  Make it: snapml env create {of.name}")
        return "\n".join([*lines, *(f"  {package}" for package in self.packages)])


class Making(View):
    """An environment and the job that makes it."""

    job: JobView
    environment: EnvView

    def text(self) -> str:
        """What is being done, and at the end what there is."""
        if not self.job.state.ended:
            return self.job.text()
        of = self.environment
        why = f": {of.reason}" if of.reason else ""
        return f"{of.name}: {of.state}{why}, {of.packages} packages, {_size(of.size) or '0 MiB'}\n  {of.path}"


_HEADER = ["environment", "state", "python", "packages", "size", ""]
_RIGHT = frozenset({3, 4})


def _picture(ws: Workspace, job: Job) -> Making:
    spec = read_json(JobFolder(ws.jobs / job.id).spec) or {}
    environment = Environment(Recipe.of(spec["recipe"]), spec["python"])
    return Making(job=JobView.of(job), environment=_seen(environment))


@command("env create", effect=Effect.EXECUTE, picture=_picture)
def create(ws: Workspace, name: EnvName, *, requirements: FilePath | None = None, call: Call) -> JobView:
    """Make an engine's environment, or mend it; it is shared between projects and used where the engine is not installed.

    What is ready stays as it is. Versions are those of a lock, where the recipe has one.

    Args:
        name: vllm (by whether this machine has a GPU), vllm-cpu, vllm-gpu, pycaret, or a name of your own.
        requirements: for a name of your own: a file of requirements.
    """
    if requirements is not None:
        text = find_file(ws, requirements).read_text("utf-8", "replace")
        environment = engines.planned(own(name, text))
    else:
        environment = engines.find(name, gpu=gpus.present())
    spec = {"recipe": environment.recipe.written(), "python": environment.python}
    work = Work(KIND, environment.recipe.name, queue.python("snapml_lab.envs.engines:run"), spec)
    return JobView.of(queue.submit(ws, work, actor=call.actor, origin=provenance.complete(ws, call.origin)))


@command("env list", effect=Effect.READ)
def list_environments(_ws: Workspace) -> EnvList:
    """List the environments of engines: those there are, and those that can be made."""
    there = engines.every()
    made = {item.recipe.name for item in there}
    listed = [_seen(item) for item in there]
    listed += [_absent(recipe) for recipe in RECIPES.values() if recipe.name not in made]
    return EnvList(
        environments=listed, folder=str(engines.root()), size=sum(item.size or 0 for item in listed)
    )


@command("env show", effect=Effect.READ, heavy=True)
def show(_ws: Workspace, name: EnvName) -> EnvDetail:
    """Show an environment: whether it is whole, what is in it, the disk it takes, and what runs in it.

    Args:
        name: its name, as env list tells it, or vllm.
    """
    environment = engines.find(name, gpu=gpus.present())
    seen = engines.look(environment, files=True)
    size = engines.size(environment) if environment.place.is_dir() else None
    return EnvDetail(
        environment=EnvView.of(environment, seen, size), packages=engines.packages(environment),
        users=[_user(pid) for pid in engines.users(environment)],
    )  # fmt: skip


@command("env remove", effect=Effect.EXECUTE, heavy=True)
def remove(ws: Workspace, name: EnvName, *, force: bool = False) -> EnvList:
    """Remove an environment; what it took is free again.

    Args:
        name: its name, as env list tells it, or vllm.
        force: even while an endpoint runs in it, which then fails.
    """
    engines.remove(engines.find(name, gpu=gpus.present()), force=force)
    return list_environments(ws)


def _seen(environment: Environment) -> EnvView:
    ready = environment.ready
    return EnvView.of(environment, engines.look(environment), int(ready["bytes"]) if ready else None)


def _absent(recipe: Recipe) -> EnvView:
    return EnvView(
        name=recipe.name, state=State.ABSENT, reason="", about=recipe.about, python="", size=None, packages=0,
        path="",
    )  # fmt: skip


def _user(pid: int) -> User:
    folder = processes.variable(pid, events.DIRECTORY)
    spec = read_json(JobFolder(Path(folder)).spec) if folder else None
    name = spec.get("name") if isinstance(spec, dict) else None
    return User(pid=pid, name=name, project=str(Path(folder).parents[2]) if folder else None)


def _size(size: int | None) -> str:
    if not size:
        return ""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
