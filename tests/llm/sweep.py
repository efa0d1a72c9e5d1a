"""What holds of every sweep over real engines, whatever is fast today."""

from typing import Any

import pytest

from snapml_lab.engines import replicas, services
from snapml_lab.registry import deployments
from snapml_lab.serving.candidates import AS_IT_IS

from .home import Lab


def by_the_rule(settings: list[dict[str, Any]]) -> str:
    """Return what the rule chooses of the figures shown."""
    able = [item for item in settings[1:] if item["error"] is None and item["faster"] and item["alike"]]
    return max(able, key=lambda item: item["speed"], default=settings[0])["name"]


def check(told: dict[str, Any], *names: str) -> None:
    """What holds of every sweep that could measure all it was to."""
    settings = told["settings"]
    assert [(item["name"], item["error"]) for item in settings] == [(name, None) for name in names]
    assert [item["name"] for item in settings if item["best"]] == [by_the_rule(settings)]
    for item in settings:
        for figure in ("speed", "first_p50", "first_p95", "agreement"):
            low, high = item[f"{figure}_interval"]
            assert low <= item[figure] <= high
            assert item[figure] > 0
    assert settings[0]["gain"] is None
    for item in settings[1:]:
        assert item["gain"] == pytest.approx(item["speed"] - settings[0]["speed"])
        assert item["gain_interval"][0] <= item["gain"] <= item["gain_interval"][1]
        if item["faster"]:
            assert item["gain_interval"][0] > 0


def stands(lab: Lab, name: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return the options of what stands after a sweep that was to apply the best; nothing else runs."""
    best = next(item for item in told["settings"] if item["best"])
    assert (told["applied"], told["not_applied"]) == (best["name"] != AS_IT_IS, None)
    deployment = deployments.get(lab.ws, name)
    assert [target.options for target in deployment.targets] == [best["options"]]
    if told["applied"]:
        (job,) = replicas.every(lab.ws, name)
        services.wait_ready(lab.ws, job)
    return deployment.target.options
