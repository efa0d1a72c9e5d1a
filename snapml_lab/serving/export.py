"""A deployment as a folder that a container is built from: the same gateway, the same engine, the model's files, pinned packages.

The folder also runs as it stands, without a container: ``python start.py``.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from snapml_lab.errors import ConflictError, InvalidInputError, MissingExtraError
from snapml_lab.jobs import gpus
from snapml_lab.registry import deployments, providers, versions
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.workspace import Workspace

PROJECT, MODELS, LIB = "project", "models", "lib"
PORT = 8765
_OURS = (
    "tinydb",
    "pydantic",
    "cyclopts",
    "nvidia-ml-py",
    "cronsim",
    "cloudpickle",
    "aiohttp",
    "uvloop",
    "genai-prices",
    "prometheus_client",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
)
_ENGINES = {
    "predict": ("pandas", "scikit-learn", "skops"), "transformers": ("torch", "transformers[serving]", "peft"), "vllm": (),
    "openai": (),
}  # fmt: skip
_OPTIONAL = frozenset(
    {"uvloop", "genai-prices", "nvidia-ml-py", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"}
)
_DOCKERFILE = """\
FROM python:{python}-slim
ENV PYTHONUNBUFFERED=1 XDG_DATA_HOME=/srv/data SNAPML_HOST=0.0.0.0
WORKDIR /srv
RUN useradd --create-home --uid 10001 snapml && chown snapml /srv
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
{engine}COPY --chown=snapml . .
USER snapml
EXPOSE {port}
CMD ["python", "start.py"]
"""
_VLLM = """\
COPY {lib} {lib}
RUN PYTHONPATH=/srv/{lib} SNAPML_WORKSPACE=/tmp/made python -m snapml_lab.cli env create {environment}
"""
_START = '''\
"""Starts the gateway and the engine of this folder, and keeps them until it is told to stop."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
os.environ["PYTHONPATH"] = str(HERE / "{lib}")
os.environ["SNAPML_WORKSPACE"] = str(HERE / "{project}")
sys.path.insert(0, str(HERE / "{lib}"))

from snapml_lab.serving.standing import main

if __name__ == "__main__":
    sys.exit(main(os.environ.get("SNAPML_HOST", "127.0.0.1"), int(os.environ.get("SNAPML_PORT", "{port}"))))
'''
_IGNORED = "**/__pycache__\n**/*.pyc\n.git\nREADME.md\n"


def export(ws: Workspace, name: str, folder: Path) -> list[str]:
    """Write a deployment's folder; return its files at the top.

    Raises:
        NotFoundError: there is no such deployment.
        InvalidInputError: the folder is there and not empty.
        ConflictError: a file of the model is gone.
        MissingExtraError: a package the engine needs is not installed here, so that its version is not known.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError.of("folder", str(folder), "a folder that is empty, or not there yet")
    deployment = deployments.get(ws, name)
    pinned = requirements(deployment)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _write(ws, replace(deployment, targets=(deployment.target,), fallbacks=()), folder, pinned)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return sorted(path.name for path in folder.iterdir())


def requirements(deployment: Deployment) -> list[str]:
    """Return what the gateway and the engine need, with all that needs, each pinned to the version that is here.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    roots = [*_OURS, *_ENGINES[deployment.engine]]
    if deployment.engine == "predict" and deployment.target.source.endswith(".onnx"):
        roots.append("onnxruntime")
    return sorted(_closure(roots))


def _closure(roots: Iterable[str]) -> set[str]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pinned: set[str] = set()
    waiting, seen = [Requirement(root) for root in roots], set()
    while waiting:
        wanted = waiting.pop()
        key = (wanted.name.lower(), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            found = metadata.distribution(wanted.name)
        except metadata.PackageNotFoundError as error:
            if wanted.name in _OPTIONAL:
                continue
            raise MissingExtraError.of(wanted.name, "serve") from error
        # A local version, as 2.13.0+cpu, is of one build: an index has it without.
        pinned.add(f"{canonicalize_name(found.metadata['Name'])}=={found.version.partition('+')[0]}")
        for line in found.requires or ():
            needed = Requirement(line)
            extras = wanted.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return pinned


def _write(ws: Workspace, deployment: Deployment, folder: Path, pinned: list[str]) -> None:
    other = Workspace(folder / PROJECT / ".snapml")
    target = _placed(ws, deployment.target, folder)
    if deployment.engine == "predict":
        _bring_version(ws, other, target.model)
    if deployment.engine == "openai":
        providers.declare(other, providers.get(ws, str(target.options["provider"])))
    for kind, key in (
        ("guardrails", deployment.guardrails),
        ("prices", deployment.name),
        ("prices", "compute"),
    ):
        if key is not None and (fields := ws.catalog.find(kind, key)) is not None:
            other.catalog.add(kind, key, fields)
    deployments.declare(other, replace(deployment, targets=(target,)))
    other.ledger.close()
    ours = Path(__file__).resolve().parents[1]
    shutil.copytree(ours, folder / LIB / "snapml_lab", ignore=shutil.ignore_patterns("__pycache__"))
    on_gpu = deployment.engine != "predict" and gpus.present()
    index = (
        []
        if on_gpu or deployment.engine != "transformers"
        else ["--extra-index-url https://download.pytorch.org/whl/cpu"]
    )
    environment = f"vllm-{'gpu' if on_gpu else 'cpu'}"
    files = {
        "requirements.txt": "\n".join([*index, *pinned]) + "\n",
        "Dockerfile": _DOCKERFILE.format(
            python=f"{sys.version_info[0]}.{sys.version_info[1]}", port=PORT,
            engine=_VLLM.format(lib=LIB, environment=environment) if deployment.engine == "vllm" else "",
        ),
        "start.py": _START.format(lib=LIB, project=PROJECT, port=PORT),
        ".dockerignore": _IGNORED,
        "README.md": _readme(ws, deployment, on_gpu=on_gpu),
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(content, "utf-8")


def _readme(ws: Workspace, deployment: Deployment, *, on_gpu: bool) -> str:
    name = deployment.name.lower()
    given = " --gpus all" if on_gpu else ""
    if deployment.engine == "openai":
        provider = providers.get(ws, str(deployment.target.options["provider"]))
        given += f" -e {provider.key_env}" if provider.key_env else ""
    return (
        f"Build: `docker build -t {name} .`\n\n"
        f"Run: `docker run --init{given} --name {name} -p 127.0.0.1:{PORT}:{PORT} {name}`\n\n"
        f"Key: `docker exec -e PYTHONPATH=/srv/{LIB} -e SNAPML_WORKSPACE=/srv/{PROJECT} {name}"
        " python -m snapml_lab.cli keys create NAME`\n"
    )


def _placed(ws: Workspace, target: Target, folder: Path) -> Target:
    """Copy a model's files, and return the target that has them there, its source relative to the project."""
    source = Path(target.source)
    if target.engine == "openai" or not source.is_absolute():  # a hub's id is fetched where it runs
        return replace(target, on=None)
    if not source.exists():
        raise ConflictError(f"{source} is gone.", fix="Deploy the model again.")
    if target.engine == "predict":
        ws.blobs.verified(versions.find(ws.ledger, target.model).blob)
        return replace(target, source=os.path.join("..", MODELS, _copied(source, folder / MODELS / "model")))
    _copied(source, folder / MODELS / "model")
    said = source / "adapter_config.json"
    if said.is_file():
        fields = json.loads(said.read_bytes())
        base = Path(str(fields["base_model_name_or_path"]))
        if base.is_dir():
            _copied(base, folder / MODELS / "base")
            fields["base_model_name_or_path"] = "../base"
            (folder / MODELS / "model" / "adapter_config.json").write_text(json.dumps(fields, indent=1))
    return replace(target, source=os.path.join("..", MODELS, "model"), on=None)


def _copied(source: Path, to: Path) -> str:
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, to)
    else:
        shutil.copyfile(source, to)
    return to.name


def _bring_version(ws: Workspace, other: Workspace, reference: str) -> None:
    """Record the model's version under its number: the engine reads its signature."""
    found = versions.find(ws.ledger, reference)
    row = ws.ledger.row("SELECT * FROM model_versions WHERE id = ?", found.id)
    assert row is not None
    fields = {**dict(row), "run": None, "example": None}
    with other.ledger.write() as connection:
        connection.execute(
            f"INSERT INTO model_versions ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})",
            tuple(fields.values()),
        )
