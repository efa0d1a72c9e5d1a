"""A Jupyter server that is killed takes no training with it."""

from integration.conftest import Server

from snapml_lab.jobs import queue
from snapml_lab.jobs.model import State
from snapml_lab.registry import versions
from snapml_lab.tracking import runs

from .home import Home, people, until, write


def test_a_training_survives_the_kill_of_the_server_it_was_asked_of(home: Home) -> None:
    write(home.folder / "people.jsonl", people(200))
    server = Server(home.folder, cwd=home.folder).start()
    asked = {
        "model": "sample",
        "data": "people.jsonl",
        "epochs": 12,
        "max_length": 64,
        "rows": 1,
        "checkpoint_steps": 20,
    }
    answer = server.ask("finetune", asked)
    assert answer.status_code == 200, answer.text
    job = answer.json()["id"]
    until(lambda: len(runs.curve(home.ws.ledger, job, "loss")[0]) > 5, what="steps of the training")
    server.kill()
    at_kill = runs.curve(home.ws.ledger, job, "loss")[0][-1]
    assert queue.get(home.ws, job).state is State.RUNNING
    until(lambda: queue.get(home.ws, job).ended, what="its end")  # only looks
    ended = queue.get(home.ws, job)
    assert ended.state is State.SUCCEEDED, ended.error_message
    steps = runs.curve(home.ws.ledger, job, "loss", points=10**6)[0]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > at_kill
    assert [model.reference for model in versions.of_run(home.ws.ledger, job)] == ["people@1"]
    server.start()
    (listed,) = server.ask("jobs list").json()["jobs"]
    server.stop()
    assert (listed["id"], listed["state"]) == (job, "succeeded")
