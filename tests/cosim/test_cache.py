"""What is kept is whole, or made anew; one process makes it, and others wait."""

import json
import multiprocessing
import time
from pathlib import Path

import pytest

from einsum_cascade.cli import main
from einsum_cascade.cosim.cache import cache_folder, clear, keep, kept
from einsum_cascade.errors import CacheError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EINSUM_CASCADE_CACHE", str(tmp_path))
    return tmp_path


class Maker:
    """Makes two files, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, draft: Path) -> None:
        self.count += 1
        (draft / "simulator").write_bytes(b"abcdef" * 100)
        (draft / "more").mkdir()
        (draft / "more" / "text").write_text("text")


def test_what_is_whole_is_made_once(folder: Path) -> None:
    make = Maker()
    for _ in range(3):
        keep(folder / "designs" / "one", make)
    assert make.count == 1


@pytest.mark.parametrize("damage", ["removed", "cut", "changed", "added", "without a digest", "folder removed"])
def test_what_is_damaged_is_made_anew(folder: Path, damage: str) -> None:
    make, place = Maker(), folder / "designs" / "one"
    keep(place, make)
    file = place / "simulator"
    whole = file.read_bytes()
    match damage:
        case "removed":
            (place / "more" / "text").unlink()
        case "cut":
            file.write_bytes(whole[:-1])
        case "changed":
            file.write_bytes(whole[:-1] + b"x")
        case "added":
            (place / "other").write_text("")
        case "without a digest":
            (place.parent / "one.sha256").unlink()
        case _:
            for each in (file, place / "more" / "text"):
                each.unlink()
            (place / "more").rmdir()
            place.rmdir()
    keep(place, make)
    assert make.count == 2 and file.read_bytes() == whole
    keep(place, make)
    assert make.count == 2


def test_a_draft_of_a_process_that_is_gone_is_removed(folder: Path) -> None:
    draft = folder / "designs" / "one.999999"
    draft.mkdir(parents=True)
    keep(folder / "designs" / "one", Maker())
    assert not draft.exists()


def _slowly(folder: str) -> None:
    def make(draft: Path) -> None:
        with (Path(folder) / "made").open("a") as file:
            file.write("x")
        time.sleep(0.3)
        (draft / "file").write_text("x")

    keep(Path(folder) / "designs" / "one", make)


def test_one_process_makes_it_and_others_wait(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_slowly, args=(str(folder),)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert (folder / "made").read_text() == "x"


def test_what_cannot_be_written_is_told_with_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("EINSUM_CASCADE_CACHE", str(folder / "file"))
    with pytest.raises(CacheError, match=r"^the cache at '.*/file' must be one .*: Not a directory; set EINSUM_"):
        keep(cache_folder() / "designs" / "one", Maker())


def test_a_path_with_a_space_is_refused_and_a_relative_one_is_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EINSUM_CASCADE_CACHE", "near")
    assert cache_folder() == folder / "near"
    monkeypatch.setenv("EINSUM_CASCADE_CACHE", "a place")
    with pytest.raises(CacheError, match=r"without spaces.*'.*/a place'$"):
        cache_folder()


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(folder / "designs" / "one", Maker())
    assert [*kept()] == [("designs", 1, 604)]
    for arguments, is_cleared in ((["--clear"], True), ([], False)):
        with pytest.raises(SystemExit) as ended:
            main(["cache", *arguments, "--json"])
        found = json.loads(capsys.readouterr().out)
        assert ended.value.code == 0
        assert (found["folder"], found["is_cleared"]) == (str(folder), is_cleared)
    assert found["kinds"] == {}
    clear()
