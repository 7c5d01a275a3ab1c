"""The design of rtl/ is what the generator writes today: what a person can read, and digests of the rest."""

import json
import shutil
from pathlib import Path

import pytest

from einsum_cascade import study
from einsum_cascade.study.designs import write_design

FOLDER = Path(__file__).parents[2] / "rtl" / "fusemax-4x4"
STUDY = study("attention-1pass", "fusemax-4x4", E=64, F=64, M=64, P=16)

# Files of up to so many lines are kept as they are. The manifest has a digest of every file of Verilog.
READABLE_LINES = 400


def test_the_design_in_the_repository_is_generated_today(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    prepared, _ = STUDY.prepared()
    written = write_design(prepared, "fusemax-4x4", tmp_path)
    texts = {name: Path(path).read_text(encoding="utf-8") for name, path in written.items()}
    readable = {name for name, text in texts.items() if len(text.splitlines()) <= READABLE_LINES}
    assert {"array.v", "column_top.v", "manifest.json", "program.txt"} <= readable < texts.keys()
    assert json.loads(texts["manifest.json"])["files"].keys() == {name for name in texts if name.endswith(".v")}
    if request.config.getoption("--update-golden"):
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        for name in readable:
            (FOLDER / name).write_text(texts[name], encoding="utf-8")
    assert {path.name for path in FOLDER.iterdir()} == readable
    for name in readable:
        kept = (FOLDER / name).read_text(encoding="utf-8")
        assert kept == texts[name], f"rtl/fusemax-4x4/{name} is old; `make golden` rewrites it"
