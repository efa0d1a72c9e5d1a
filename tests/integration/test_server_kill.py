"""A Jupyter server that is killed takes no job with it, and one that lives tells its page what changes."""

import itertools
import json
import re
import time

import websocket

from snapml_lab.jobs import logs, queue
from snapml_lab.jobs.folder import JobFolder
from snapml_lab.jobs.model import State
from snapml_lab.workspace import Workspace

SCHEMA = "https://schema.snapml-lab.org/jobs/v1"


def test_a_search_survives_its_servers_kill_and_the_next_server_shows_it(serve, flowers, project, until):
    server = serve(project)
    answer = server.ask("automl", {"data": "flowers.csv", "target": "target", "time": 25})
    assert answer.status_code == 200, answer.text
    job = answer.json()["id"]
    ws = Workspace(project / ".snapml")
    folder = JobFolder(ws.jobs / job)
    until(lambda: " #2: " in logs.read(folder).text)
    server.kill()
    before = logs.read(folder).text
    assert queue.get(ws, job).state is State.RUNNING
    until(lambda: queue.get(ws, job).ended)  # only looks
    ended = queue.get(ws, job)
    assert ended.state is State.SUCCEEDED, ended.error_message
    text = logs.read(folder).text
    assert text.startswith(before)
    numbers = [int(number) for number in re.findall(r"^\w+ #(\d+): ", text, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > before.count(" #")
    assert re.search(r"^best: .* held-out accuracy", text, re.MULTILINE)
    server.start()
    (listed,) = server.ask("jobs list").json()["jobs"]
    assert (listed["id"], listed["state"], listed["progress"]) == (job, "succeeded", 1.0)
    assert server.ask("jobs logs", {"job": job}).json()["content"] == text
    assert server.ask("leaderboard", {"job": job}).json()["model"] == "flowers-target@1"


class Page:
    """Listens as the sidebar does."""

    def __init__(self, server) -> None:
        address = server.url("api/events/subscribe").replace("http", "ws")
        self.socket = websocket.create_connection(
            address, header=[f"Authorization: token {server.token}"], timeout=10
        )

    def hear(self, until, seconds=30):
        """Collect events of ours until one satisfies ``until``."""
        heard, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            event = json.loads(self.socket.recv())
            if event.get("schema_id", event.get("__schema__")) == SCHEMA:
                heard.append(event)
                if until(event):
                    return heard
        raise AssertionError(f"not heard; but: {heard}")


def test_the_event_stream_tells_of_jobs_that_anybody_starts_and_leaves_no_gap(serve, project, submit, ws):
    server = serve(project)
    page = Page(server)
    page.hear(lambda event: True)  # a heartbeat: the watcher looks
    job = submit("import time; time.sleep(1); print('done')", name="seen")
    heard = page.hear(
        lambda event: any(item["id"] == job.id and item["state"] == "succeeded" for item in event["jobs"])
    )
    # An event may hold rows that are newer than its revision; the next one then says so.
    if heard[-1]["revision"] < ws.ledger.revision():
        heard += page.hear(lambda event: event["revision"] == ws.ledger.revision())
    page.socket.close()
    for event, after in itertools.pairwise(heard):
        assert after["since"] == event["revision"]
    states = [item["state"] for event in heard for item in event["jobs"] if item["id"] == job.id]
    order = ["queued", "starting", "running", "succeeded"]
    assert [order.index(state) for state in states] == sorted(order.index(state) for state in states)
    assert heard[-1]["revision"] == ws.ledger.revision()


def test_a_server_moves_the_queue_and_settles_what_ended_unseen(serve, project, submit, ws, watch):
    import signal

    from snapml_lab.jobs import processes

    job = watch(submit("import time; time.sleep(600)"), "running")
    processes.signal_exactly(job.shim_pid, job.shim_start, signal.SIGKILL)
    serve(project)
    assert watch(job, "lost").error_code == "lost"
