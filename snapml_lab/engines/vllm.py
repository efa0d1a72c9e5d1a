"""The engine ``vllm``: vLLM's own server in its own environment, watched over by a payload of ours.

It takes a folder (a whole model, or a PEFT adapter whose base is a folder) or a hub's id, and listens on a Unix socket in a
folder that only this account can enter: its own keys do not cover every route. Adapters can be loaded while it runs.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from snapml_lab.engines import int8, pulse, socket_http
from snapml_lab.engines.base import Body, Engine, UnsupportedError
from snapml_lab.engines.vllm_options import RANKS, Options, flags
from snapml_lab.envs import engines as environments
from snapml_lab.errors import ConflictError, InvalidInputError, NotFoundError, SnapmlError
from snapml_lab.jobs import containment, gpus, processes
from snapml_lab.jobs.events import Reporter
from snapml_lab.registry import footprint
from snapml_lab.registry.deployments import Deployment, Target
from snapml_lab.store.files import locked
from snapml_lab.workspace import Workspace, open_workspace

INT8 = "int8"
"""The quantization that is made here, for processors; vLLM is given a folder that has it."""
_DROPPED = {"metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "user"}
"""Fields that change nothing of the answer: not passed on."""
_BOTH = {
    "model", "stream", "stream_options", "max_tokens", "temperature", "top_p", "stop", "seed", "n", "frequency_penalty",
    "presence_penalty", "logit_bias", "logprobs", "response_format", "top_k", "min_p", "repetition_penalty", "min_tokens",
    "stop_token_ids", "ignore_eos", "bad_words", "structured_outputs",
}  # fmt: skip
_SUPPORTED = {
    "/v1/chat/completions": _BOTH | {
        "messages", "max_completion_tokens", "top_logprobs", "tools", "tool_choice", "parallel_tool_calls",
        "reasoning_effort", "chat_template_kwargs",
    },
    "/v1/completions": _BOTH | {"prompt", "echo", "suffix"},
    "/v1/embeddings": {"model", "input", "encoding_format", "dimensions"},
}  # fmt: skip
"""What vLLM takes by route. It lets other fields pass unread, so that what is not here is refused by name."""
_HARMLESS: dict[str, Any] = {"modalities": ["text"], "verbosity": "medium"}
"""Fields it does not take, and the value that asks for nothing."""

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "HF_HOME", "XDG_CACHE_HOME")
_KEPT_FAMILIES = ("CUDA_", "NVIDIA_", "NCCL_", "OMP_", "SNAPML_JOB_", "SNAPML_GPU_")
_CPU_HEADS = (32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)
"""How wide an attention head may be for vLLM 0.32's kernels for processors (``CPUAttentionBackend``); another kills it."""
_BESIDE_MIB = 1536
"""Of a GPU, beside weights, keys and values: CUDA's context, activations and what the allocator cannot give back."""
_LEAST_CACHE_MIB = 64
_COUNTERS = ("vllm:prompt_tokens", "vllm:generation_tokens")
_LOOK_SECONDS = 0.2
_HEALTH_SECONDS = 10.0
_ILL = 3
_GRACE_SECONDS = 4.0


def served_name(target: Target) -> str:
    """Return what an engine calls a target's model: an adapter that two deployments load is one adapter to it."""
    return target.model


def translate(route: str, body: Body, target: Target) -> Body:
    """Return a request as vLLM takes it.

    Raises:
        UnsupportedError: a field asks for what it cannot do, or would not look at.
    """
    supported = _SUPPORTED.get(route, _BOTH | {"messages", "prompt"})
    asked: Body = {}
    for name, value in body.items():
        if name in _DROPPED or value is None or (name in _HARMLESS and value == _HARMLESS[name]):
            continue
        if name not in supported:
            raise UnsupportedError("vllm", name, value)
        asked[name] = value
    if "max_completion_tokens" in asked:
        asked.pop("max_tokens", None)
    asked.pop("stream_options", None)
    if asked.get(
        "stream"
    ):  # whoever hangs up is billed for what was made until then: usage stands on every chunk
        asked["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
    if (
        asked.get("tools")
        and not target.options.get("tool_call_parser")
        and asked.get("tool_choice", "auto") == "auto"
    ):
        raise UnsupportedError("vllm", "tools", asked["tools"])
    _refuse_addresses(asked.get("messages"))
    return {**asked, "model": served_name(target)}


def load_adapter(socket: Path, name: str, path: Path | str) -> None:
    """Load a PEFT adapter into a running vLLM; it then answers by ``name``. One that is loaded already is no error.

    Raises:
        NotFoundError: ``path`` holds no adapter.
        ConflictError: vLLM does not take it, and why.
        OSError: vLLM does not answer.
    """
    _adapter(Path(path))
    status, said = socket_http.ask(
        socket, "POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(path)}, timeout=300
    )
    if status != 200 and not (status == 400 and "already" in said):
        raise ConflictError(f"vLLM does not take the adapter {name}: {_message(said)}.", fix=_fix(said))


def unload_adapter(socket: Path, name: str) -> None:
    """Take an adapter out of a running vLLM; one that is not there is no error.

    Raises:
        ConflictError: vLLM refuses.
        OSError: vLLM does not answer.
    """
    status, said = socket_http.ask(socket, "POST", "/v1/unload_lora_adapter", {"lora_name": name})
    if status not in (200, 404):
        raise ConflictError(f"vLLM does not let go of {name}: {_message(said)}.", fix="Undeploy its base.")


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Serve ``spec["source"]`` as ``spec["name"]`` on ``spec["socket"]`` until stopped."""
    socket = Path(spec["socket"])
    python, environment = environments.python_for("vllm", gpu=gpus.present())
    with contextlib.ExitStack() as stack:
        keep = () if environment is None else (stack.enter_context(environments.using(environment)),)
        if Options.of(spec["options"]).quantization == INT8:
            report.message("quantizing its weights")
            spec = {**spec, "quantized": str(_quantized(python, spec["source"]))}
        argv = [
            str(python),
            "-m",
            "vllm.entrypoints.openai.api_server",
            *arguments(spec, on_gpu=bool(spec["gpus"])),
        ]
        loading = partial(_load_declared, spec.get("deployment"), socket)
        _Watch(argv, child_environment(spec), keep, socket, spec["name"], report, loading).until_it_ends()
    return {}


def _load_declared(deployment: str | None, socket: Path) -> None:
    """Load the adapters that are declared for this engine: also after it was killed, for it has forgotten them."""
    from snapml_lab.engines import adapters

    if deployment is not None:
        adapters.load_declared(open_workspace(), deployment, socket)


def arguments(spec: dict[str, Any], *, on_gpu: bool) -> list[str]:
    """Return vLLM's command line for a service.

    Raises:
        InvalidInputError: an option there is not.
        ConflictError: the lease leaves no room beside the weights.
    """
    options, source, name = Options.of(spec["options"]), str(spec["source"]), str(spec["name"])
    adapter = _read(Path(source) / "adapter_config.json")
    model = str(spec.get("quantized") or (adapter["base_model_name_or_path"] if adapter else source))
    if options.quantization == INT8:
        # Its folder says so; the kernels multiply with activations that were of 16 bits.
        options = replace(options, quantization=None, dtype=options.dtype or "bfloat16")
    rank = int(adapter.get("r", 0)) if adapter else 0
    if rank > RANKS[-1]:
        raise ConflictError(
            f"vLLM takes adapters of rank {RANKS[-1]} at most; this is of {rank}.", fix="Merge it."
        )
    made = [
        f"--model={model}", f"--served-model-name={f'base of {name}' if adapter else name}", f"--uds={spec['socket']}",
        "--enable-prompt-tokens-details", "--disable-uvicorn-access-log",
    ]  # fmt: skip
    leased, many = os.environ.get(processes.LEASED), int(spec["gpus"])
    room = _cache_room(source, int(leased), many) if on_gpu and leased else None
    made += flags(options, gpu=on_gpu, gpus=many, rank=rank, kv_cache=room)
    if room is not None:
        made.append(f"--gpu-memory-utilization={_share(int(leased or 0)):.3f}")
    if adapter:
        made += [f"--lora-modules={json.dumps({'name': name, 'path': source})}"]
    return made


def _quantized(python: Path, source: str) -> Path:
    """Return a folder with a model's weights in int8 (an adapter's base's), made by vLLM's own Python where it is not there yet.

    Raises:
        ConflictError: the model is not built as is known.
    """
    folder = _folder(source)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "snapml-lab" / "int8"
    cache.mkdir(parents=True, exist_ok=True)
    own = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    seen = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.iterdir())]
    target = cache / f"{own}-{hashlib.sha256(repr(seen).encode()).hexdigest()[:16]}"
    with locked(cache / f"{own}.lock"):
        if not target.is_dir():
            for stale in cache.glob(f"{own}-*"):
                shutil.rmtree(stale, ignore_errors=True)
            done = subprocess.run(
                [str(python), "-I", int8.__file__, str(folder), str(target)], stdout=subprocess.PIPE, text=True, check=False
            )  # fmt: skip
            if not target.is_dir():
                said = done.stdout.strip() or f"the conversion ended with {done.returncode}"
                raise _not_int8(source, said)
    return target


def _not_int8(source: str, why: str) -> ConflictError:
    return ConflictError(
        f"{source} cannot be quantized to int8: {why}.", fix="Serve it as it is: --quantization none"
    )


def child_environment(spec: dict[str, Any]) -> dict[str, str]:
    """Return vLLM's environment: what it needs of ours, and nothing that is a secret or changes how it serves."""
    kept = {
        name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_FAMILIES)
    }
    options = Options.of(spec["options"])
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    told = {
        "VLLM_NO_USAGE_STATS": "1", "VLLM_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
        "VLLM_SERVER_DEV_MODE": "0", "VLLM_CACHE_ROOT": os.path.join(cache, "snapml-lab", "vllm"),
        "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1",
        # Its processes find each other on this machine; else they listen where the name of the host leads.
        "VLLM_HOST_IP": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip
    if Path(str(spec["source"])).is_dir():
        told |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    if options.lora():
        told["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"
    if not spec["gpus"]:
        # Whole GiB; threads are not bound to processors, for two engines would be bound to the same.
        told["VLLM_CPU_KVCACHE_SPACE"] = str(-(-(options.kv_cache_memory or 1024) // 1024))
        told["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    return {**kept, **told}


class _Watch:
    """vLLM's server as a child: started, asked for one token, watched, and ended with all it started."""

    def __init__(
        self,
        argv: list[str],
        environment: dict[str, str],
        keep: tuple[int, ...],
        socket: Path,
        name: str,
        report: Reporter,
        before_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self.argv, self.environment, self.keep = argv, environment, keep
        self.socket, self.name, self.report, self.before_ready = socket, name, report, before_ready
        self.asked_to_end = threading.Event()

    def until_it_ends(self) -> None:
        """Run it.

        Raises:
            SystemExit: it ended by itself, or was ended for it answered no more: the job starts it again.
        """
        signal.signal(signal.SIGTERM, lambda *_: self.asked_to_end.set())
        containment.adopt()  # what outlives the server stays below us, whatever it calls itself
        self.socket.unlink(missing_ok=True)
        os.umask(0o077)
        self.report.message("starting vLLM")
        child = subprocess.Popen(
            self.argv,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            pass_fds=self.keep,
            cwd=self.socket.parent,
        )
        try:
            code = self._watch(child)
        finally:
            self._end(child)
            self.socket.unlink(missing_ok=True)
        if not self.asked_to_end.is_set():
            print(f"vLLM ended with {code}", file=sys.stderr, flush=True)
            raise SystemExit(1)

    def _watch(self, child: "subprocess.Popen[bytes]") -> int | None:
        ready, ill, next_look = False, 0, 0.0
        while child.poll() is None and not self.asked_to_end.wait(_LOOK_SECONDS):
            if time.monotonic() < next_look:
                continue
            healthy = self._healthy()
            if not ready and healthy:
                self.report.message("asking it for one token")
                self._canary()
                self.before_ready()
                self.report.ready()
                ready = True
            if ready:
                ill = 0 if healthy else ill + 1
                next_look = time.monotonic() + _HEALTH_SECONDS
            if ill >= _ILL:
                print("vLLM is alive and says it is not well: ending it", file=sys.stderr, flush=True)
                return None
        return child.poll()

    def _healthy(self) -> bool:
        try:
            return socket_http.ask(self.socket, "GET", "/health", timeout=_HEALTH_SECONDS)[0] == 200
        except OSError:
            return False

    def _canary(self) -> None:
        """Ask for one token, as a caller would; a model without a chat template goes on with a text."""
        chat = {"model": self.name, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}
        status, said = socket_http.ask(self.socket, "POST", "/v1/chat/completions", chat, timeout=600)
        if status == 400 and "chat template" in said:
            text = {"model": self.name, "prompt": "hello", "max_tokens": 1}
            status, said = socket_http.ask(self.socket, "POST", "/v1/completions", text, timeout=600)
        if status != 200:
            raise RuntimeError(f"the canary was answered with {status}: {said[:500]}")

    def _end(self, child: "subprocess.Popen[bytes]") -> None:
        """End the server and whatever it left: an engine core that outlives it would hold the GPU."""
        if child.poll() is None:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE_SECONDS)
        processes.kill_all(processes.descendants(os.getpid()))
        child.kill()
        child.wait()


def _spec(_ws: Workspace, deployment: Deployment, target: Target) -> dict[str, Any]:
    """Say what the payload is told; what could not be served is refused here, before anything is started."""
    environments.python_for("vllm", gpu=gpus.present())
    spec = {
        "name": served_name(target), "source": target.source, "options": target.options, "gpus": target.gpus,
        "deployment": deployment.name,
    }  # fmt: skip
    arguments({**spec, "socket": ""}, on_gpu=False)
    if target.gpus and not gpus.present():
        raise InvalidInputError.of("gpus", target.gpus, "0: this machine has none")
    if not target.gpus:
        check_for_cpu(target.model, target.source, target.options)
    return spec


def check_for_cpu(model: str, source: str, given: Mapping[str, Any]) -> None:
    """See that vLLM's kernels for processors can serve a model with these options.

    Raises:
        ConflictError: they cannot, and why.
    """
    wide = _head(_model(source))
    if wide is not None and wide not in _CPU_HEADS:
        raise ConflictError(
            f"vLLM on a processor cannot serve {model}: its attention heads are {wide} wide, not one of"
            f" {', '.join(map(str, _CPU_HEADS))}.",
            fix="Serve it by the other engine: --engine transformers",
        )
    options = Options.of(given)
    if options.quantization == INT8 and (why := int8.refusal(_folder(source))) is not None:
        raise _not_int8(model, why)
    if options.quantization == INT8 and options.dtype == "float32":
        raise ConflictError(
            "vLLM's kernels for int8 on a processor take no float32.",
            fix="Leave dtype out: it is bfloat16 then.",
        )


def context(target: Target) -> int | None:
    """Return the longest prompt and answer together: as was asked for, else as the model's configuration says."""
    with contextlib.suppress(SnapmlError):
        if (asked := Options.of(target.options).max_model_len) is not None:
            return asked
    found = _model(target.source).get("max_position_embeddings")
    return found if isinstance(found, int) else None


def _model(source: str) -> dict[str, Any]:
    """Return the configuration of a model in a folder, an adapter's base's; empty where it is not on this machine."""
    found = _read(_folder(source) / "config.json") or {}
    inner = found.get("text_config")
    return inner if isinstance(inner, dict) else found


def _folder(source: str) -> Path:
    """Return the folder of a model, an adapter's base's."""
    adapter = _read(Path(source) / "adapter_config.json")
    return Path(str(adapter["base_model_name_or_path"])) if adapter else Path(source)


def _head(config: dict[str, Any]) -> int | None:
    """Return how wide an attention head is."""
    if isinstance(wide := config.get("head_dim"), int):
        return wide
    hidden, heads = config.get("hidden_size"), config.get("num_attention_heads")
    return hidden // heads if isinstance(hidden, int) and isinstance(heads, int) and heads else None


def _refuse_addresses(messages: Any) -> None:
    """Refuse parts of messages that the engine would fetch from an address: it is inside, and the caller is not."""
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            for name, value in part.items() if isinstance(part, dict) else ():
                address = value.get("url") if isinstance(value, dict) else value
                if name.endswith("_url") and not str(address).startswith("data:"):
                    raise UnsupportedError("vllm", f"messages.{name}", address)


def _cache_room(source: str, leased: int, many: int) -> int:
    """Return the MiB a GPU has for keys and values: its lease without its part of the weights, and what is beside.

    Raises:
        ConflictError: there is none.
    """
    weights = footprint.weights(Path(source)) or 0
    room = leased - weights // many - _BESIDE_MIB
    if room < _LEAST_CACHE_MIB:
        raise ConflictError(
            f"A lease of {leased:,} MiB leaves no room beside {weights // many:,} MiB of weights.",
            fix=f"Ask for more: --gpu-memory {weights // many + _BESIDE_MIB + 1024}",
        )
    return room


def _share(leased: int) -> float:
    """Return the lease as a part of the device: vLLM compares it with what is free when it starts."""
    with contextlib.suppress(gpus.Unseen):
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        totals = [device.total for device in gpus.devices() if device.uuid in visible]
        if totals:
            return min(1.0, leased / min(totals))
    return 0.9


def _adapter(folder: Path) -> dict[str, Any]:
    found = _read(folder / "adapter_config.json")
    if found is None:
        raise NotFoundError(f"{folder} holds no PEFT adapter.", fix="Name a folder with adapter_config.json.")
    return found


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _message(said: str) -> str:
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        found = json.loads(said)
        return str(found.get("error", found)["message"])[:300].rstrip(".")
    return said.strip()[:300].rstrip(".")


def _fix(said: str) -> str:
    if "rank" in said:
        return "Deploy its base with a larger max_lora_rank, or merge the adapter."
    return "Its log has more: snapml jobs logs of the deployment's job."


def answers(socket: Path, _: str, target: Target, timeout: float) -> bool:
    """Say whether a token comes, this one or, where it waits behind many, another's: its counters then move."""
    before = _counted(socket)
    if pulse.token(socket, served_name(target), timeout):
        return True
    after = _counted(socket)
    return bool(after) and after != before


def _counted(socket: Path) -> list[str]:
    """Return the lines of vLLM's metrics that count tokens; none where it does not tell."""
    try:
        status, text = socket_http.ask(socket, "GET", "/metrics", timeout=_HEALTH_SECONDS)
    except OSError:
        return []
    return [line for line in text.splitlines() if line.startswith(_COUNTERS)] if status == 200 else []


ENGINE = Engine(
    "vllm", local=True, translate=translate, spec=_spec, adapters=True, context=context, answers=answers, at_once=True,
)  # fmt: skip
