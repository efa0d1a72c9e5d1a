"""The state of the code in real git repositories: the commit, what differs from it, and that it can be brought back."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from snapml_lab.tracking import git

Git = Callable[..., str]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "repository"
    place.mkdir()
    monkeypatch.setattr(git, "_FRESH", 0.0)
    for words in (
        ["init", "-q"], ["config", "user.email", "a@example.org"], ["config", "user.name", "A"],
        ["config", "commit.gpgsign", "false"],
    ):  # fmt: skip
        subprocess.run(["git", "-C", str(place), *words], check=True)
    (place / "train.py").write_text("lr = 0.1\n")
    commit(place)
    return place


def commit(place: Path) -> str:
    subprocess.run(["git", "-C", str(place), "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(place), "commit", "-qm", "x"], check=True)
    return head(place)


def head(place: Path) -> str:
    done = subprocess.run(
        ["git", "-C", str(place), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def seen(place: Path) -> git.Code:
    code = git.look(place)
    assert code is not None
    return code


def brought_back(place: Path, target: Path, code: git.Code) -> Path:
    """Check out the commit elsewhere and apply the difference."""
    assert git.run(place, "worktree", "add", "-q", "--detach", str(target), code.commit)[0]
    if code.difference is not None:
        done, said = git.run(target, "apply", "--allow-empty", "-", given=code.difference)
        assert done, said
    return target


def test_a_clean_checkout_is_its_commit(repository: Path):
    assert seen(repository) == git.Code(head(repository), False, None)
    assert seen(repository).name == head(repository)


def test_edits_and_new_modules_are_kept_and_can_be_brought_back(repository: Path, tmp_path: Path):
    (repository / "train.py").write_text("lr = 0.01\n")
    (repository / "folder").mkdir()
    (repository / "folder" / "helper.py").write_bytes(b"def f():\n    return 'no line end'")
    (repository / "empty.py").write_text("")
    (repository / "data.csv").write_text("1,2\n")
    code = seen(repository)
    assert code.name == f"{head(repository)}-dirty"
    assert code.difference is not None
    assert git.notes_of(code.difference) == [
        "not in git, not kept: data.csv", "not in git, kept below: empty.py", "not in git, kept below: folder/helper.py",
    ]  # fmt: skip
    place = brought_back(repository, tmp_path / "back", code)
    assert (place / "train.py").read_text() == "lr = 0.01\n"
    assert (place / "folder" / "helper.py").read_bytes() == b"def f():\n    return 'no line end'"
    assert (place / "empty.py").read_bytes() == b""


def test_only_new_files_do_not_make_it_dirty(repository: Path, tmp_path: Path):
    (repository / "data.csv").write_text("1,2\n")
    code = seen(repository)
    assert code.name == head(repository)
    assert code.difference == b"# not in git, not kept: data.csv\n"
    brought_back(repository, tmp_path / "back", code)


def test_binary_changes_and_staged_and_deleted_files_come_back(repository: Path, tmp_path: Path):
    (repository / "weights.bin").write_bytes(bytes(range(256)))
    commit(repository)
    (repository / "weights.bin").write_bytes(bytes(reversed(range(256))))
    (repository / "train.py").unlink()
    (repository / "new.py").write_text("x = 1\n")
    subprocess.run(["git", "-C", str(repository), "add", "new.py"], check=True)
    place = brought_back(repository, tmp_path / "back", seen(repository))
    assert (place / "weights.bin").read_bytes() == bytes(reversed(range(256)))
    assert not (place / "train.py").exists()
    assert (place / "new.py").read_text() == "x = 1\n"


def test_a_huge_difference_of_notebooks_is_left_out_and_said(repository: Path, tmp_path: Path):
    (repository / "big.ipynb").write_text("{}\n")
    commit(repository)
    (repository / "big.ipynb").write_text("x" * (6 << 20) + "\n")
    (repository / "train.py").write_text("lr = 1\n")
    code = seen(repository)
    assert code.difference is not None
    assert len(code.difference) < 1000
    assert "notebooks" in git.notes_of(code.difference)[0]
    assert (brought_back(repository, tmp_path / "back", code) / "train.py").read_text() == "lr = 1\n"


def test_a_huge_difference_of_all_else_is_left_out_and_said(repository: Path):
    (repository / "train.py").write_text("x" * (6 << 20) + "\n")
    assert seen(repository).difference == (
        b"# Left out, for they are more than 5 MiB: the differences of tracked files\n"
    )


def test_secrets_of_the_environment_are_not_in_it(repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_API_KEY", "s3cr3t-value-0123456789")
    (repository / "train.py").write_text("key = 's3cr3t-value-0123456789'\n")
    (repository / "new.py").write_text("key = 's3cr3t-value-0123456789'\n")
    content = seen(repository).difference
    assert content is not None
    assert b"s3cr3t" not in content
    assert content.count(b"[WANDB_API_KEY redacted]") == 2


def test_names_that_are_odd_are_listed_and_break_nothing(repository: Path, tmp_path: Path):
    (repository / 'quote" and\nline.py').write_text("x = 1\n")
    (repository / "Schlüssel.py").write_text("x = 1\n")
    (repository / "two words.py").write_text("x = 1\n")
    code = seen(repository)
    assert code.difference is not None
    assert "not in git, not kept: Schlüssel.py" in git.notes_of(code.difference)
    assert (brought_back(repository, tmp_path / "back", code) / "two words.py").read_text() == "x = 1\n"


def test_no_repository_and_one_without_a_commit_are_unknown(tmp_path: Path):
    assert git.look(tmp_path) is None
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert git.look(tmp_path) is None
