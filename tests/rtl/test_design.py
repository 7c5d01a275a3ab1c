"""The text of a whole design: clean to Verilator, no waiver too many, quick to make however large the grid is."""

import resource
import subprocess
import sys

import pytest
from random_counts import mode
from verilated import ROOT, verilator_environment

from einsum_cascade.array.numbers import Numbers
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.formats import parse_format
from einsum_cascade.rtl.manifest import WAIVERS
from einsum_cascade.rtl.top import design_files

SHAPES = [
    ArrayShape(4, 4, contexts=5, queue=5),
    ArrayShape(8, 8, 4, contexts=5, queue=5, dividers=2),
    ArrayShape(5, 5, 3, numbers=Numbers(accumulation=parse_format("fp16"))),
    ArrayShape(6, 6, 2, numbers=Numbers(multiplier="wide", has_sigmoid=True, has_feature_map=True)),
]


def lint(shape, waivers, folder):
    """What Verilator says, all rules on."""
    files = {**design_files(shape), "waivers.vlt": waivers}
    for name, text in files.items():
        (folder / name).write_text(text)
    command = [ROOT / "bin" / "verilator", "--lint-only", "-Wall", "--top-module", "top", "waivers.vlt"]
    names = sorted(name for name in files if name.endswith(".v"))
    done = subprocess.run(
        [*command, *names], cwd=folder, env=verilator_environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (done.stderr == "")
    return done.stderr


@pytest.mark.parametrize(
    "shape", SHAPES if mode() != "quick" else SHAPES[-1:], ids=lambda shape: f"{shape.rows}x{shape.columns}"
)
def test_lint(shape, tmp_path):
    assert lint(shape, WAIVERS, tmp_path) == ""


def test_no_waiver_is_left_over(tmp_path):
    # What is said without a waiver is what it waives, in the file that it names.
    lines = WAIVERS.splitlines()
    said = lint(SHAPES[1], lines[0], tmp_path)
    waived = [line.split() for line in lines if line.startswith("lint_off")]
    for _, _, rule, *of in waived:
        place = of[1].strip('"*') if of else ""
        assert f"%Warning-{rule}: {place}" in said, (rule, place)


GREATEST = """
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl.top import design_files
shape = ArrayShape(256, 256, 4, contexts=11, queue=11, output_steps=256, dividers=8)
print(sum(map(len, design_files(shape).values())))
"""


def test_the_greatest_array_is_made_in_seconds_and_little_memory():
    # 65,536 PEs made one by one would take minutes and gigabytes; here one is made, and a loop in the text.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", GREATEST], capture_output=True, text=True, check=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert int(done.stdout) < 2_000_000
    assert after.ru_utime - before.ru_utime < 30
    assert after.ru_maxrss < 4 << 20  # KiB; the largest child of this process so far
