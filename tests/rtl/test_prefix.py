"""Names of modules: with prefixes, two arrays stand in one design; without, a person can read those of signals."""

import re
import subprocess
import tracemalloc
from functools import cache

import pytest
from random_counts import mode
from verilated import ROOT, verilator_environment

from einsum_cascade.array.numbers import Numbers
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.rtl import top
from einsum_cascade.rtl.feeder import RowFeeder
from einsum_cascade.rtl.manifest import WAIVERS
from einsum_cascade.rtl.module_text import module_text

SMALL, LARGE = ArrayShape(4, 4), ArrayShape(6, 6, 3, numbers=Numbers(multiplier="wide", has_sigmoid=True))
design_files = cache(top.design_files)
SHAPES = [SMALL, LARGE] if mode() != "quick" else [LARGE]
MODULE = re.compile(r"^module (\\?\S+?) *\(", re.MULTILINE)


def modules(files):
    return [name.lstrip("\\") for text in files.values() for name in MODULE.findall(text)]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_module_has_the_prefix(shape):
    plain, named = design_files(shape), design_files(shape, "left_")
    assert {f"left_{name}" for name in plain} == {*named}
    assert sorted(f"left_{name}" for name in modules(plain)) == sorted(modules(named))


def test_two_arrays_stand_in_one_design(tmp_path):
    """Both are instantiated, of different shapes; Verilator finds every module once, and nothing else amiss."""
    files = {**design_files(SMALL, "a_"), **design_files(LARGE, "b_"), "waivers.vlt": WAIVERS}
    names = modules({name: text for name, text in files.items() if name.endswith(".v")})
    assert len(set(names)) == len(names)
    instances = []
    for prefix, shape in (("a_", SMALL), ("b_", LARGE)):
        # All inputs of an array are 0; of the outputs, one is looked at.
        inputs, _ = top.design_ports(shape)
        ports = [".clk(clk), .rst(rst)", *(f".{name}('0)" for name in inputs[2:]), f".irq(irq_{prefix[0]})"]
        instances.append(f"  {prefix}top {prefix[0]}({', '.join(ports)});")
    head = "module both(input clk, input rst, output irq_a, output irq_b);"
    files["both.sv"] = "\n".join([head, *instances, "endmodule", ""])
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    command = [ROOT / "bin" / "verilator", "--lint-only", "-Wall", "-Wno-PINMISSING", "--top-module", "both"]
    done = subprocess.run(
        [*command, "waivers.vlt", *sorted(name for name in files if name != "waivers.vlt")],
        cwd=tmp_path, env=verilator_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("prefix", ["4x4", "a-", "a b", "_", "é_", "\\a"])
def test_a_prefix_begins_a_name(prefix):
    with pytest.raises(ValueError, match="a prefix of module names must be letters, digits and underscores"):
        design_files(SMALL, prefix)


@pytest.mark.parametrize("shape", SHAPES)
def test_signals_have_the_names_of_the_source(shape):
    """Amaranth calls `$signal` what it finds no name for; expressions are numbered, and Yosys names what it adds."""
    for name, text in design_files(shape).items():
        unnamed = {found for found in re.findall(r"\\(\$[a-z]\w*)", text) if found not in ("$auto",)}
        assert not unnamed, name


@pytest.mark.parametrize("shape", SHAPES)
def test_memories_are_one_module_that_begins_with_nothing(shape):
    """Nothing reads a word that was not written: what a memory holds at first is not in the text."""
    for name, text in design_files(shape).items():
        memories = re.findall(r"^ +reg \[.*:0\] (\S+) \[.*:.*\];", text, re.MULTILINE)
        assert memories == (["held"] if name == "ram.v" else []), name
        assert re.search(r"\bram #\(", text) or name in ("array.v", "ram.v", "vector_delay.v"), name
        assert "initial" not in text


def test_a_bank_of_sixteen_mebibytes_is_a_parameter():
    """2^19 beats of 8 bytes in each of four rows: no list of them is made, nor a line of text for each."""
    shape = ArrayShape(4, 4, slots=(1 << 19) // 32)
    assert shape.rows * shape.bank_beats * shape.beat_bytes == 16 << 20
    tracemalloc.start()
    (depth,) = re.findall(r"\.DEPTH\(32'd(\d+)\)", module_text(RowFeeder(shape), "row_feeder"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert int(depth) == shape.bank_beats
    assert peak < 200 << 20


def test_text_does_not_grow_with_memories():
    """Sixteen times the words of every memory: only widths of addresses differ."""
    small, large = (
        sum(map(len, design_files(ArrayShape(4, 4, slots=slots, kernel_rows=rows)).values()))
        for slots, rows in ((16, 512), (256, 8192))
    )
    assert large < 1.01 * small
