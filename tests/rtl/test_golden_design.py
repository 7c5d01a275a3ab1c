"""The design in rtl/ is what the generator writes today: its Verilog, its program and its manifest."""

from pathlib import Path

import pytest

from einsum_cascade import study
from einsum_cascade.study.designs import write_design

FOLDER = Path(__file__).parents[2] / "rtl" / "fusemax-4x4"
STUDY = study("attention-1pass", "fusemax-4x4", E=64, F=64, M=64, P=16)


def test_the_design_in_the_repository_is_generated_today(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    place = FOLDER if request.config.getoption("--update-golden") else tmp_path
    prepared, _ = STUDY.prepared()
    names = write_design(prepared, "fusemax-4x4", place)
    assert {path.name for path in FOLDER.iterdir()} == set(names)
    for name, path in names.items():
        kept = (FOLDER / name).read_text(encoding="utf-8")
        assert kept == Path(path).read_text(encoding="utf-8"), (
            f"rtl/fusemax-4x4/{name} is old; `make golden` rewrites it"
        )
