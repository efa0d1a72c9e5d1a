"""Merging: an adapter into its base, as a whole model; a job's payload. Needs torch, transformers and peft."""

from pathlib import Path
from typing import Any

from snapml_lab.finetune.base import SAFELY, loading
from snapml_lab.jobs.events import Reporter
from snapml_lab.jobs.queue import payload_folder


def run(spec: dict[str, Any], report: Reporter) -> dict[str, Any]:
    """Merge the adapter in the folder ``spec["adapter"]`` and keep the model as ``spec["name"]``."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    report.progress(0.1, "loading base and adapter")
    with loading(spec["base"]):
        base = AutoModelForCausalLM.from_pretrained(spec["base"], **SAFELY)
    merged = PeftModel.from_pretrained(base, spec["adapter"]).merge_and_unload()
    report.progress(0.6, "keeping the merged model")
    target = payload_folder().artifacts / "model"
    merged.save_pretrained(target)
    AutoTokenizer.from_pretrained(spec["adapter"]).save_pretrained(target)
    report.model(
        str(Path("artifacts") / "model"), name=spec["name"], format="safetensors", task="chat",
        signature={"base": spec["base"]}, evidence={"merged_from": spec["version"]},
    )  # fmt: skip
    return {"merged_from": spec["version"]}
