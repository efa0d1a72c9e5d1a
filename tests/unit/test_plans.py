"""What a deployment's plan decides: the engine, where it runs, what it needs, whether that is there, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from snapml_lab.errors import ConflictError, InvalidInputError, MissingExtraError, NotFoundError
from snapml_lab.registry import footprint, providers, snippets
from snapml_lab.registry.providers import Provider
from snapml_lab.serving import plan as plans
from snapml_lab.serving.plan import Found, Machine, Wish
from snapml_lab.serving.quantization import Card
from snapml_lab.workspace import Workspace

MIB = 1 << 20
BOTH = {"vllm": frozenset({"vllm", "bitsandbytes"}), "transformers": frozenset({"transformers"})}
HOPPER = Card("H200", 143_000, 140_000, (9, 0))
TURING = Card("T4", 15_000, 14_000, (7, 5))
BARE = Machine(free=8_000, total=16_000)
ROWS = Found("flowers@1", "/nowhere/blob", "multiclass")


@pytest.fixture
def seven(tmp_path: Path) -> Found:
    """Seven billion parameters of 16 bits, in a sparse file."""
    folder = tmp_path / "seven"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"dtype": "bfloat16"}))
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(13_476 * MIB)
    return Found("seven", str(folder), "chat")


def of(found: Found, here: Machine, **wish: object) -> plans.Plan:
    return plans.plan("name", found, Wish(found.reference, **wish), here)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("here", "wish", "engine"),
    [
        (BARE, None, "transformers"),
        (Machine([HOPPER], 8_000, 16_000), None, "transformers"),
        (Machine([HOPPER], 8_000, 16_000, BOTH), None, "vllm"),
        (Machine([HOPPER], 8_000, 16_000, BOTH), "transformers", "transformers"),
        (Machine([], 8_000, 16_000, BOTH), None, "transformers"),
        (Machine([], 8_000, 16_000, BOTH), "vllm", "vllm"),
    ],
)
def test_a_language_model_is_served_by_vllm_where_that_can_be_used_else_by_transformers(here, wish, engine):
    found, because = plans.choose(wish, "chat", here)
    assert found == engine
    assert because


def test_an_engine_that_is_not_installed_or_serves_other_models_is_refused():
    with pytest.raises(MissingExtraError, match="snapml env create vllm"):
        plans.choose("vllm", "chat", BARE)
    with pytest.raises(InvalidInputError, match="engine"):
        plans.choose("vllm", "binary", BARE)
    with pytest.raises(InvalidInputError, match="vllm, transformers"):
        plans.choose("predict", "chat", BARE)


def test_a_model_of_rows_is_served_by_predict_on_the_cpu_and_its_need_is_not_guessed():
    made = of(ROWS, Machine([HOPPER], 8_000, 16_000, BOTH))
    assert (made.target.engine, made.target.gpus, made.place) == ("predict", 0, "CPU")
    assert (made.memory, made.fits) == (None, None)


def test_the_plan_says_what_is_needed_and_whether_it_is_free(seven: Found):
    need = footprint.serving(seven.source)
    made = of(seven, Machine([HOPPER], 8_000, 16_000, BOTH))
    assert (made.memory, made.free, made.fits) == (need, 140_000, True)
    assert (made.target.gpus, made.target.gpu_memory) == (1, need)
    crowded = Card("H200", 143_000, 9_000, (9, 0))
    waits = of(seven, Machine([crowded], 8_000, 16_000, BOTH))
    assert waits.fits is False
    assert "wait until there is room" in waits.notes[0]


def test_replicas_are_counted_card_by_card(seven: Found):
    need = footprint.serving(seven.source) or 0
    cards = [Card("A", 24_000, need + 1, (8, 0)), Card("A", 24_000, need - 1, (8, 0))]
    assert of(seven, Machine(cards, 8_000, 16_000, BOTH)).fits is True
    two = of(seven, Machine(cards, 8_000, 16_000, BOTH), replicas=2)
    assert two.fits is False
    assert "1 of 2" in two.notes[0]


def test_what_never_fits_is_refused_and_what_does_not_fit_now_is_said(seven: Found):
    with pytest.raises(ConflictError, match="largest here has 15,000"):
        of(seven, Machine([TURING], 8_000, 16_000, BOTH))
    with pytest.raises(ConflictError, match="this machine has 16,000"):
        of(seven, BARE)
    tight = of(seven, Machine(free=1_000, total=64_000))
    assert (tight.fits, tight.place) == (False, "CPU")
    assert "1,000 MiB" in tight.notes[0]


def test_fewer_bits_need_less_and_are_told_to_the_engine(seven: Found):
    made = of(seven, Machine([HOPPER], 8_000, 16_000, BOTH), quantization="fp8")
    assert made.target.options == {"quantization": "fp8"}
    assert made.memory == int(13_476 * MIB // 2 * 1.2 / MIB) + 1024
    assert made.quantizations == ("fp8", "bitsandbytes")
    assert of(seven, Machine([TURING], 8_000, 16_000, BOTH), quantization="bitsandbytes").fits is True


@pytest.mark.parametrize(
    ("cards", "wish", "offered"),
    [
        ([TURING], {"quantization": "fp8"}, "none, bitsandbytes"),
        ([HOPPER], {"quantization": "int3"}, "none, fp8, bitsandbytes"),
        ([HOPPER, TURING], {"quantization": "fp8"}, "none, bitsandbytes"),
        ([Card("odd", 24_000, 24_000, None)], {"quantization": "fp8"}, "none."),
        ([TURING], {"quantization": "fp8"}, "compute capability 8.0"),
        ([HOPPER], {"quantization": "int8"}, "--gpus 0"),
        (
            [],
            {"quantization": "fp8", "engine": "vllm"},
            "NVIDIA GPU of compute capability 8.0. It can do: none, int8.",
        ),
        ([HOPPER], {"quantization": "bnb-4bit", "engine": "transformers"}, "needs the package bitsandbytes"),
        ([], {"quantization": "bnb-4bit"}, "none, int8."),
    ],
)
def test_a_quantization_the_card_or_engine_cannot_do_is_refused_with_those_it_can(
    seven, cards, wish, offered
):
    with pytest.raises(InvalidInputError) as refused:
        of(seven, Machine(cards, 64_000, 64_000, BOTH), **wish)
    assert offered in refused.value.fix


def test_on_a_processor_both_engines_do_eight_bits(seven: Found):
    for engine in plans.CHAT:
        made = of(seven, Machine([HOPPER], 64_000, 64_000, BOTH), engine=engine, gpus=0, quantization="int8")
        assert (made.place, made.target.options, made.quantizations) == (
            "CPU",
            {"quantization": "int8"},
            ("int8",),
        )
        assert made.memory == int(13_476 * MIB // 2 * 1.2 / MIB) + 1024


def test_a_model_that_vllm_cannot_serve_on_a_processor_is_refused_by_the_plan(seven: Found):
    here = Machine([], 64_000, 64_000, BOTH)
    Path(seven.source, "config.json").write_text(json.dumps({"hidden_size": 128, "num_attention_heads": 8}))
    with pytest.raises(ConflictError, match="16 wide"):
        of(seven, here, engine="vllm")
    Path(seven.source, "config.json").write_text(
        json.dumps({"head_dim": 64, "quantization_config": {"bits": 4}})
    )
    assert of(seven, here, engine="vllm").place == "CPU"
    with pytest.raises(ConflictError, match="quantized already"):
        of(seven, here, engine="vllm", quantization="int8")
    Path(seven.source, "config.json").write_text(json.dumps({"head_dim": 64}))
    with pytest.raises(ConflictError, match="no float32"):
        of(seven, here, engine="vllm", quantization="int8", options={"dtype": "float32"})


def test_a_model_of_rows_has_no_bits_to_save():
    with pytest.raises(InvalidInputError, match="quantization"):
        of(ROWS, BARE, quantization="fp8")
    assert of(ROWS, BARE, quantization="none").target.options == {}


def test_more_gpus_than_there_are_are_refused(seven: Found):
    with pytest.raises(InvalidInputError, match="what this machine has: 1"):
        of(seven, Machine([HOPPER], 8_000, 16_000, BOTH), gpus=2)


def test_a_provider_s_model_runs_elsewhere(tmp_path: Path):
    ws = Workspace(tmp_path / ".snapml")
    with pytest.raises(InvalidInputError, match="provider"):
        plans.remote(ws, Wish("gpt-x", engine="openai"))
    with pytest.raises(NotFoundError):
        plans.remote(ws, Wish("gpt-x", provider="far"))
    providers.declare(ws, Provider("far", "https://api.example.com/v1", key_env="FAR_KEY"))
    made = plans.remote(ws, Wish("models/gpt-x", provider="far"))
    assert (made.deployment.name, made.target.source, made.place) == ("gpt-x", "models/gpt-x", "remote")
    assert made.target.options == {"provider": "far"}
    for wrong in ({"gpus": 1}, {"quantization": "fp8"}, {"replicas": 2}, {"engine": "vllm"}):
        with pytest.raises(InvalidInputError):
            plans.remote(ws, Wish("gpt-x", provider="far", **wrong))  # type: ignore[arg-type]


# Providers.


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://api.example.com/v1/", False), ("https://api.example.com:8443", False), ("http://127.0.0.1:9/v1", True),
        ("http://localhost:9", True), ("http://[::1]:9", True), ("https://10.0.0.3/v1", True), ("https://8.8.8.8", False),
    ],
)  # fmt: skip
def test_an_address_in_the_open_is_kept_without_its_last_slash(url: str, private: bool):
    assert providers.check_url(url, private=private) == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://api.example.com/v1", False), ("http://api.example.com/v1", True), ("http://127.0.0.1:9", False),
        ("https://127.0.0.1", False), ("https://localhost/v1", False), ("https://a.localhost/v1", False),
        ("https://10.0.0.3", False), ("https://169.254.169.254/latest", False), ("https://[::1]/v1", False),
        ("https://[fd00::1]/", False), ("https://[::ffff:10.0.0.3]/", False), ("https://2130706433/", False),
        ("https://0x7f000001", False), ("https://127.1", False), ("https://0177.0.0.1", False),
        ("https://name:secret@api.example.com", False), ("https://name@api.example.com", True), ("ftp://a.example.com", False),
        ("file:///etc/passwd", True), ("https://", False), ("api.example.com", False), ("https://a.example.com/?key=1", False),
        ("https://a.example.com/#x", False), ("https://a.example.com:99999/", False), ("https://a.exa mple.com", False),
        ("https://a.example.com/\n", False), ("https://" + "a" * 600 + ".com", False), ("unix:///tmp/a.sock", True),
    ],
)  # fmt: skip
def test_an_address_inside_or_with_a_password_or_without_tls_is_refused(url: str, private: bool):
    with pytest.raises(InvalidInputError) as refused:
        providers.check_url(url, private=private)
    assert "secret" not in str(refused.value)


def test_a_provider_is_kept_without_its_key_and_not_removed_while_it_serves(tmp_path: Path):
    from snapml_lab.registry import deployments

    ws = Workspace(tmp_path / ".snapml")
    with pytest.raises(InvalidInputError) as refused:
        providers.declare(ws, Provider("far", "https://a.example.com", key_env="sk-live-0123456789"))
    assert "sk-live" not in str(refused.value)
    with pytest.raises(InvalidInputError):
        providers.declare(ws, Provider("far", "https://a.example.com", key_env="A", keyring="b"))
    made = providers.declare(ws, Provider("far", "https://a.example.com/v1", key_env="FAR_KEY"))
    assert providers.every(ws) == [made]
    remote = deployments.single("x", "gpt", "openai", "chat", "gpt", options={"provider": "far"})
    deployments.declare(ws, remote)
    with pytest.raises(ConflictError, match="undeploy x"):
        providers.remove(ws, "far")
    deployments.withdraw(ws, "x")
    assert providers.remove(ws, "far") == made
    assert providers.every(ws) == []


# Snippets.


def test_the_python_snippet_is_what_a_server_understands(tmp_path: Path):
    """Run it against a server that answers with what it was asked."""
    import http.server
    import threading

    class Echo(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told = [self.path, self.headers["Authorization"], body["inputs"]]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"outputs": told}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        columns = [("it's", "FP64"), ('a "city"', "BYTES")]
        found = snippets.classic(f"http://127.0.0.1:{server.server_port}", "house", columns)
        made = {item.language: item.text for item in found}
        wanted = [{"name": "it's", "shape": [1], "datatype": "FP64", "data": [0.0]},
                  {"name": 'a "city"', "shape": [1], "datatype": "BYTES", "data": ["text"]}]  # fmt: skip
        environment = {snippets.KEY: "k-1", "PATH": "/usr/bin:/bin"}
        python = subprocess.run(
            [sys.executable, "-c", made["python"]], env=environment, capture_output=True, text=True, check=True, timeout=60
        )  # fmt: skip
        assert python.stdout.strip() == str(["/v2/models/house/infer", "Bearer k-1", wanted])
        curl = subprocess.run(
            ["sh", "-c", made["shell"].replace("curl ", "curl -s ")], env=environment, capture_output=True, text=True,
            check=True, timeout=60,
        )  # fmt: skip
        assert json.loads(curl.stdout)["outputs"] == ["/v2/models/house/infer", "Bearer k-1", wanted]
    finally:
        server.shutdown()
