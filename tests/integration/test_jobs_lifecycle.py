"""From submit to an end that is recorded: states, exit codes, logs, and what a payload reports."""

import hashlib
import os
import signal
import sys
from pathlib import Path

import pytest

from snapml_lab.errors import NotFoundError
from snapml_lab.jobs import logs, queue
from snapml_lab.jobs.model import State
from snapml_lab.jobs.tick import tick
from snapml_lab.registry import versions
from snapml_lab.tracking import runs
from snapml_lab.tracking.ingest import Source, ingest

FLOW = ["queued", "starting", "running", "succeeded"]


def test_a_job_goes_forward_through_its_states_and_ends_succeeded(ws, submit):
    seen = []
    job = submit("import time; time.sleep(0.5)")
    ended = queue.wait(ws, job, lambda change: seen.append(str(change.state)), timeout=60)
    assert ended.state is State.SUCCEEDED
    assert [FLOW.index(state) for state in seen] == sorted(FLOW.index(state) for state in seen)
    assert ended.submitted_at <= ended.started_at <= ended.ended_at
    assert (ended.exit_code, ended.reason, ended.error_code) == (0, "exited", None)
    assert ended.progress == 1.0
    assert ended.containment in {"cgroup", "subreaper", "group"}


def test_a_job_has_a_run_of_the_same_id_and_a_folder_only_its_owner_may_enter(ws, submit, finish, folder):
    job = finish(submit("pass", kind="command", name="named"))
    assert runs.get(ws.ledger, job.id).name == "named"
    assert folder(job).path.stat().st_mode & 0o077 == 0 or ws.jobs.stat().st_mode & 0o077 == 0


def test_an_exit_code_makes_it_failed_and_its_last_words_are_in_the_error(submit, finish):
    job = finish(submit("import sys; print('no such luck', file=sys.stderr); sys.exit(3)"))
    assert (job.state, job.exit_code, job.error_code) == (State.FAILED, 3, "exit_code")
    assert "code 3" in job.error_message
    assert "no such luck" in job.error_message
    assert job.id in job.error_fix


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGRTMIN + 6])
def test_a_payload_killed_by_a_signal_is_failed_and_the_signal_named(submit, finish, number):
    job = finish(submit(f"import os; os.kill(os.getpid(), {int(number)})"))
    assert (job.state, job.exit_code, job.error_code) == (State.FAILED, None, "killed")
    name = number.name if isinstance(number, signal.Signals) else str(int(number))
    assert name in job.error_message


@pytest.mark.parametrize(
    "argv", [["/no/such/program"], ["/" + "x" * 3000], ["bad\0name"], [], [os.devnull]],
    ids=["missing", "long name", "nul", "nothing", "not executable"],
)  # fmt: skip
def test_a_program_that_cannot_be_started_is_an_error_of_its_own(submit, finish, argv):
    job = finish(submit(argv))
    assert (job.state, job.reason, job.error_code) == (State.FAILED, "not_started", "not_started")


def test_a_folder_to_run_in_that_does_not_exist_is_told(submit, finish):
    job = finish(submit("pass", cwd=Path("/no/such/folder")))
    assert (job.state, job.error_code) == (State.FAILED, "not_started")
    assert "/no/such/folder" in job.error_message


def test_a_payload_finds_its_spec_its_environment_and_the_projects_folder(submit, finish, printed, project):
    source = """
        import json, os, pathlib
        folder = pathlib.Path(os.environ["SNAPML_JOB_DIR"])
        print(json.loads((folder / "spec.json").read_text())["answer"], os.environ["MINE"], os.getcwd())
    """
    job = finish(submit(_dedent(source), spec={"answer": 42}, env={"MINE": "yes"}))
    assert printed(job) == f"42 yes {project}\n"


def test_both_streams_are_logged_in_the_order_they_came(submit, finish, printed, folder):
    source = """
        import os, sys, time
        place = os.environ["SNAPML_JOB_DIR"]
        def say(stream, file, text):
            # Pieces that come together are read together: wait until this one is in the log.
            stream.write(text); stream.flush()
            while os.path.getsize(f"{place}/{file}") < sizes[file] + len(text):
                time.sleep(0.005)
            sizes[file] += len(text)
        sizes = {"stdout.log": 0, "stderr.log": 0}
        for number in range(6):
            if number % 2:
                say(sys.stderr, "stderr.log", f"err {number}\\n")
            else:
                say(sys.stdout, "stdout.log", f"out {number}\\n")
    """
    job = finish(submit(_dedent(source)))
    assert printed(job) == "out 0\nerr 1\nout 2\nerr 3\nout 4\nerr 5\n"
    assert folder(job).stdout.read_text() == "out 0\nout 2\nout 4\n"
    assert folder(job).stderr.read_text() == "err 1\nerr 3\nerr 5\n"


def test_five_megabytes_of_arbitrary_bytes_are_logged_untouched(submit, finish, folder):
    source = """
        import hashlib, random, sys
        generator = random.Random(7)
        content = bytes(generator.getrandbits(8) for _ in range(1 << 16)) * 80
        sys.stdout.buffer.write(content); sys.stdout.flush()
        sys.stderr.write(hashlib.sha256(content).hexdigest())
    """
    job = finish(submit(_dedent(source)))
    content = folder(job).stdout.read_bytes()
    assert len(content) == 5 << 20
    assert hashlib.sha256(content).hexdigest() == folder(job).stderr.read_text()
    offset, pages = 0, 0
    while (page := logs.read(folder(job), offset)).next_offset > offset:
        offset, pages = page.next_offset, pages + 1
    assert offset == len(content) + 64
    assert pages >= 5


def test_bytes_that_are_not_utf8_are_kept_and_shown_as_replacement_characters(
    submit, finish, printed, folder
):
    job = finish(submit(r"import sys; sys.stdout.buffer.write(b'\xff\xfe h\xc3\xa9 \xc3')"))
    assert folder(job).stdout.read_bytes() == b"\xff\xfe h\xc3\xa9 \xc3"
    assert printed(job) == "�� hé �"


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 1000])
def test_a_log_read_in_pages_of_any_size_is_the_whole_log(ws, submit, finish, limit):
    import snapml_lab as snap

    job = finish(submit("import sys; sys.stdout.buffer.write('a é 語 🎈 z'.encode())"))
    pieces, offset = [], 0
    for _ in range(100):
        page = snap.jobs.logs(job.id, offset=offset, limit=limit)
        pieces.append(page.content)
        if page.ended:
            break
        assert page.next_offset > offset, "a page must bring the reader forward"
        offset = page.next_offset
    whole = "".join(pieces)
    assert whole == "a é 語 🎈 z" or (limit < 4 and whole[0] == "a" and whole[-1] == "z")


def test_a_negative_offset_reads_the_end_of_the_log(submit, finish, folder):
    job = finish(submit("print('x' * 5000); print('the end')"))
    assert logs.read(folder(job), offset=-8).text == "the end\n"


def test_what_a_payload_reports_reaches_the_ledger_exactly_once(ws, submit, finish, folder):
    source = """
        import os, pathlib
        from snapml_lab import ids
        from snapml_lab.jobs.events import Reporter
        folder = pathlib.Path(os.environ["SNAPML_JOB_DIR"])
        report = Reporter(folder / "events.jsonl")
        report.param("depth", 3)
        report.param("kind", "tree")
        for step in range(50):
            report.metric("loss", 1 / (step + 1), step=step)
            report.progress(step / 50, f"step {step}")
        report.metric("never", float("nan"))
        report.run(ids.new(), kind="trial", name="first", params={"a": 1}, metrics={"score": 0.5})
        (folder / "artifacts" / "m.bin").write_bytes(b"model")
        report.model("artifacts/m.bin", name="tiny", format="raw", task="binary", signature={}, evidence={"score": 1})
        report.message("all said")
    """
    job = finish(submit(_dedent(source)))
    assert job.state is State.SUCCEEDED, job.error_message
    for _ in range(2):  # whoever reads again finds nothing new
        assert ingest(ws.ledger, ws.blobs, Source("jobs", job.id, folder(job).path)) == 0
        tick(ws)
    run = runs.get(ws.ledger, job.id)
    assert run.params == {"depth": "3", "kind": "tree"}
    assert run.metrics == {"loss": 1 / 50}
    assert (
        ws.ledger.row("SELECT number FROM latest_metrics WHERE run = ? AND name = 'loss'", job.id)["number"]
        == 50
    )
    (trial,) = runs.children(ws.ledger, job.id)
    assert (trial.name, trial.params, trial.metrics) == ("first", {"a": "1"}, {"score": 0.5})
    (model,) = versions.of_run(ws.ledger, job.id)
    assert (model.reference, ws.blobs.verified(model.blob)) == ("tiny@1", b"model")
    assert queue.get(ws, job.id).message == "all said"


GARBAGE = {
    "no JSON": b"this is no JSON",
    "half an object": b'{"type": "metric", "na',
    "a list": b"[1, 2]",
    "a number": b"7",
    "nothing": b"",
    "unknown type": b'{"type": "surprise", "at": 1}',
    "fields missing": b'{"type": "metric"}',
    "a list as a value": b'{"type": "metric", "name": "x", "value": [1], "at": 1}',
    "an object as a run": b'{"type": "metric", "name": "x", "value": 1, "at": 1, "run": {}}',
    "text as a value": b'{"type": "metric", "name": "x", "value": "high", "at": 1}',
    "a step beyond 64 bits": b'{"type": "metric", "name": "x", "value": 1, "step": 1e30, "at": 1}',
    "an infinite step": b'{"type": "metric", "name": "x", "value": 1, "step": Infinity, "at": 1}',
    "a run that does not exist": b'{"type": "metric", "name": "x", "value": 1, "at": 1, "run": "nobody"}',
    "not UTF-8": b'{"type": "message", "text": "\xff"}',
    "half a surrogate": b'{"type": "message", "text": "\\ud800"}',
    "nested too deep": b"[" * 200_000,
    "longer than a batch": b'{"type": "message", "text": "' + b"x" * (5 << 20) + b'"}',
    "a model outside": b'{"type": "model", "path": "../../../etc/passwd", "name": "m", "at": 1}',
    "a model that is a pipe": b'{"type": "model", "path": "pipe", "name": "m", "format": "raw", "task": "t", '
    b'"signature": {}, "evidence": {}, "at": 1}',
    "half a nested run": b'{"type": "run", "run": "r1", "kind": "trial", "name": "n", "at": 1, "metrics": {"a": [1]}}',
}


@pytest.mark.parametrize("line", GARBAGE.values(), ids=GARBAGE.keys())
def test_a_line_that_cannot_be_read_costs_only_itself(ws, submit, finish, folder, project, line):
    (project / "line").write_bytes(line)
    source = """
        import os, pathlib
        folder = pathlib.Path(os.environ["SNAPML_JOB_DIR"])
        os.mkfifo(folder / "pipe")
        good = b'{"type": "metric", "name": "%s", "value": 1, "at": 1}\\n'
        with open(folder / "events.jsonl", "ab") as file:
            file.write(good % b"before" + pathlib.Path("line").read_bytes() + b"\\n" + good % b"after")
            file.write(b'{"type": "metric", "name": "half')
    """
    job = finish(submit(_dedent(source)))
    assert job.state is State.SUCCEEDED
    run = runs.get(ws.ledger, job.id)
    assert run.metrics == {"before": 1.0, "after": 1.0}
    assert "snapml.unread_event" in run.params
    assert not versions.latest(ws.ledger, 10)
    assert not runs.children(ws.ledger, job.id)


def test_a_result_that_is_no_error_does_not_stand_in_the_way_of_the_end(submit, finish):
    source = """
        import os, pathlib, sys
        (pathlib.Path(os.environ["SNAPML_JOB_DIR"]) / "result.json").write_text('{"error": {"message": "odd"}}')
        sys.exit(1)
    """
    job = finish(submit(_dedent(source)))
    assert job.state is State.FAILED
    assert job.error_code
    assert job.error_message


def test_a_job_is_stopped_at_its_time_limit_and_says_so(submit, finish, until, marked):
    job = finish(submit([sys.executable, "-c", "import time; time.sleep(600)", marked.word], time_limit=0.5))
    assert (job.state, job.reason, job.error_code) == (State.FAILED, "time_limit", "time_limit")
    assert not marked.alive()


def test_a_job_is_found_by_its_id_its_end_its_name_and_last(ws, submit, finish):
    first, second = finish(submit("pass", name="first")), finish(submit("pass", name="second"))
    assert queue.get(ws, first.id) == queue.get(ws, first.id[-6:]) == queue.get(ws, "first") == first
    assert queue.get(ws, "last") == second
    with pytest.raises(NotFoundError, match="nobody"):
        queue.get(ws, "nobody")


def _dedent(source: str) -> str:
    import textwrap

    return textwrap.dedent(source)
