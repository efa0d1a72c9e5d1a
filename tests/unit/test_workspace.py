"""Where a workspace is, what of it goes into git, and where it may not be."""

import subprocess
from pathlib import Path

import pytest
from disks import SmallDisk

from snapml_lab import workspace
from snapml_lab.errors import InvalidInputError, StorageError
from snapml_lab.workspace import Workspace, locate, open_workspace


@pytest.fixture
def nested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder three deep, the current one."""
    folder = tmp_path / "outer" / "middle" / "inner"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def test_without_any_it_is_in_the_current_folder(nested: Path):
    assert locate() == nested / ".snapml"


def test_the_nearest_ancestor_that_has_one_is_used(nested: Path):
    for folder in (nested.parents[1], nested.parents[0]):
        Workspace(folder / ".snapml")
    assert locate() == nested.parent / ".snapml"


def test_a_folder_of_that_name_that_is_no_workspace_is_passed_over(nested: Path):
    Workspace(nested.parents[1] / ".snapml")
    (nested.parent / ".snapml").mkdir()
    assert locate() == nested.parents[1] / ".snapml"


def test_one_is_looked_for_from_where_it_is_told_to(nested: Path, tmp_path: Path):
    Workspace(nested / ".snapml")
    assert locate(tmp_path) == tmp_path / ".snapml"


@pytest.mark.parametrize("named", ["elsewhere", "elsewhere/.snapml"])
def test_the_variable_overrides_and_takes_either_folder(
    nested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
):
    Workspace(nested / ".snapml")
    monkeypatch.setenv("SNAPML_WORKSPACE", str(tmp_path / named))
    assert locate() == tmp_path / "elsewhere" / ".snapml"


def test_an_empty_variable_is_no_variable(nested: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SNAPML_WORKSPACE", "")
    assert locate() == nested / ".snapml"


def test_a_new_one_is_made_where_jupyter_was_started(nested: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JUPYTER_SERVER_ROOT", str(nested.parents[1]))
    assert locate() == nested.parents[1] / ".snapml"


def test_where_jupyter_was_started_does_not_matter_outside_of_it(
    nested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "server").mkdir()
    monkeypatch.setenv("JUPYTER_SERVER_ROOT", str(tmp_path / "server"))
    assert locate() == nested / ".snapml"


def test_one_that_is_there_wins_over_where_jupyter_was_started(nested: Path, monkeypatch: pytest.MonkeyPatch):
    Workspace(nested / ".snapml")
    monkeypatch.setenv("JUPYTER_SERVER_ROOT", str(nested.parents[1]))
    assert locate() == nested / ".snapml"


def test_looking_makes_nothing(nested: Path):
    locate()
    assert list(nested.iterdir()) == []


def test_opening_makes_a_private_folder_and_again_changes_nothing(nested: Path):
    ws = open_workspace()
    assert ws.root.stat().st_mode & 0o777 == 0o700
    before = sorted(ws.root.rglob("*"))
    open_workspace()
    assert sorted(ws.root.rglob("*")) == before


def test_a_file_named_as_the_workspace_is_an_error_with_a_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SNAPML_WORKSPACE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="name another folder"):
        open_workspace()


def test_a_workspace_cannot_be_made_on_a_full_disk_and_says_so(small_disk: SmallDisk):
    small_disk.fill()
    with pytest.raises(StorageError):
        Workspace(small_disk.path / ".snapml")


def used(project: Path) -> Workspace:
    """A workspace with something of everything in it."""
    ws = Workspace(project / ".snapml")
    for text in ("one", "two"):
        ws.catalog.change("prompts", "a", lambda _, text=text: {"text": text})
    ws.blobs.put(b"content")
    (ws.jobs / "job").mkdir()
    (ws.jobs / "job" / "spec.json").write_text("{}")
    (ws.root / "catalog" / "notes.txt").write_text("")
    (ws.root / "catalog" / "deeper").mkdir()
    (ws.root / "catalog" / "deeper" / "secret.json").write_text("{}")
    assert ws.ledger.revision() == 0
    return ws


def git(folder: Path, *words: str) -> list[str]:
    done = subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_only_the_catalog_goes_into_git(tmp_path: Path):
    git(tmp_path, "init", "-q")
    used(tmp_path)
    git(tmp_path, "add", "-A")
    assert git(tmp_path, "ls-files") == [".snapml/.gitignore", ".snapml/catalog/prompts.json"]


def test_git_says_of_each_file_whether_it_is_left_out(tmp_path: Path):
    git(tmp_path, "init", "-q")
    ws = used(tmp_path)
    found = [str(path.relative_to(tmp_path)) for path in ws.root.rglob("*") if path.is_file()]
    left_out = set(git(tmp_path, "check-ignore", *found))
    assert set(found) - left_out == {".snapml/.gitignore", ".snapml/catalog/prompts.json"}
    assert ".snapml/ledger.db" in left_out


def test_a_clone_that_has_only_the_catalog_is_a_workspace_that_works(tmp_path: Path):
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "-q")
    used(origin)
    git(origin, "add", "-A")
    git(origin, "commit", "-q", "-m", "declared")
    git(tmp_path, "clone", "-q", str(origin), "copy")
    ws = Workspace(tmp_path / "copy" / ".snapml")
    assert ws.catalog.get("prompts", "a") == {"text": "two"}
    sha256, _ = ws.blobs.put(b"more")
    assert ws.blobs.verified(sha256) == b"more"
    assert ws.ledger.revision() == 0


@pytest.fixture
def mounted(monkeypatch: pytest.MonkeyPatch):
    """Make /proc/mounts say which folders are on which kind of file system."""
    read = Path.read_text

    def pretend(mounts: dict[Path, str]) -> None:
        written = {str(folder).replace(" ", "\\040"): kind for folder, kind in mounts.items()}
        lines = [
            "/dev/sda1 / ext4 rw 0 0",
            *(f"host:/share {name} {kind} rw 0 0" for name, kind in written.items()),
        ]

        def read_text(path: Path, *more, **options) -> str:
            return "\n".join(lines) if str(path) == "/proc/mounts" else read(path, *more, **options)

        monkeypatch.setattr(Path, "read_text", read_text)
        workspace._file_system.cache_clear()  # what is mounted anew has another device number

    return pretend


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "fuse.sshfs", "lustre"])
def test_a_network_file_system_is_refused_with_the_fix_and_nothing_is_made(
    tmp_path: Path, mounted, kind: str
):
    mounted({tmp_path: kind})
    with pytest.raises(InvalidInputError) as refusal:
        Workspace(tmp_path / "project" / ".snapml")
    assert kind in refusal.value.message
    assert "SNAPML_WORKSPACE" in refusal.value.fix
    assert list(tmp_path.iterdir()) == []


def test_a_network_mount_with_a_space_in_its_name_is_refused(tmp_path: Path, mounted):
    mounted({tmp_path / "my share": "nfs"})
    with pytest.raises(InvalidInputError):
        Workspace(tmp_path / "my share" / ".snapml")


def test_a_workspace_that_was_copied_to_a_network_file_system_is_refused(tmp_path: Path, mounted):
    Workspace(tmp_path / ".snapml")
    mounted({tmp_path: "nfs"})
    with pytest.raises(InvalidInputError):
        Workspace(tmp_path / ".snapml")


def test_a_network_file_system_beside_it_does_not_matter(tmp_path: Path, mounted):
    mounted({tmp_path / "share": "nfs"})
    assert Workspace(tmp_path / "share-not" / ".snapml").jobs.is_dir()


def test_a_local_disk_mounted_inside_a_network_file_system_is_good(tmp_path: Path, mounted):
    mounted({tmp_path / "local": "ext4", tmp_path: "nfs"})
    assert Workspace(tmp_path / "local" / ".snapml").jobs.is_dir()


def test_paths_inside_the_project_are_written_relative_to_it(tmp_path: Path):
    ws = Workspace(tmp_path / ".snapml")
    assert ws.relative(tmp_path / "a" / "b.csv") == "a/b.csv"
    assert ws.relative("a/../b.csv") == "b.csv"
    assert ws.relative("/etc/hosts") == "/etc/hosts"
