"""The machines that come with the package are the published ones, and the family follows its formulas."""

import math
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest

import einsum_cascade
from einsum_cascade.arch.area import area
from einsum_cascade.arch.components import CITATION
from einsum_cascade.arch.fusemax import contexts_for, fusemax
from einsum_cascade.arch.ir import Architecture
from einsum_cascade.arch.presets import architecture_names, load_architecture, preset_text
from einsum_cascade.errors import ArchitectureError

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def sizes(machine: Architecture) -> tuple[int, ...]:
    """Rows and columns, buffer, bits of its row, depths of the 2D and 1D register files."""
    array, vector, buffer = machine.engine("2d"), machine.engine("1d"), machine.memory("buffer")
    assert array and vector and buffer and buffer.capacity_bytes
    assert (vector.rows, vector.columns) == (1, array.columns)
    depths = array.registers.words, vector.registers.words
    return array.rows, array.columns, buffer.capacity_bytes, buffer.access_bits, *depths


def energies(machine: Architecture, engine: str, name: str) -> tuple[int, float]:
    """Slots and energy of an operation."""
    operation = machine.engine(engine).operation(name)
    return operation.interval_cycles, sum(machine.component(it).energy_pj * count for it, count in operation.components)


def test_published_sizes() -> None:
    # FuseMax, section 6: arrays, buffers and register files; FLAT's edge configuration.
    assert sizes(load_architecture("flat-cloud")) == (256, 256, 32 * MIB, 4096, 4, 16)
    assert sizes(load_architecture("flat-edge")) == (32, 32, 512 * KIB, 512, 4, 16)
    assert sizes(load_architecture("fusemax-cloud")) == (256, 256, 16 * MIB, 4096, 12, 32)


@pytest.mark.parametrize(("name", "bandwidth"), [("flat-cloud", 400), ("flat-edge", 50), ("fusemax-cloud", 400)])
def test_published_clock_and_dram(name: str, bandwidth: int) -> None:
    machine = load_architecture(name)
    dram = machine.memory("dram")
    assert (machine.clock_hz, machine.word_bits) == (940_000_000, 16)
    assert (dram.access_bits, dram.read_pj, dram.write_pj, dram.is_shared) == (64, 249.6, 249.6, True)
    assert dram.read_bytes_per_s == bandwidth * GIB


def test_published_operations() -> None:
    flat, fusemax_cloud = load_architecture("flat-cloud"), load_architecture("fusemax-cloud")
    # FLAT subtracts and exponentiates in one slot; FuseMax subtracts, then takes 6 multiply-adds.
    assert energies(flat, "1d", "expsub") == (1, pytest.approx(8.3395 + 94.6475))
    assert energies(flat, "1d", "/") == (1, pytest.approx(36.251153))
    for engine in ("2d", "1d"):
        assert energies(fusemax_cloud, engine, "exp") == (6, pytest.approx(6 * 17.1645))
        assert energies(fusemax_cloud, engine, "expsub") == (7, pytest.approx(8.3395 + 6 * 17.1645))
        assert energies(fusemax_cloud, engine, "max") == (1, pytest.approx(0.028036))
    assert [it.name for it in flat.engine("2d").operations] == ["mac"]


def test_edge_energy_is_labelled() -> None:
    edge = load_architecture("flat-edge")
    assert "not published" in edge.memory("buffer").source
    assert edge.memory("dram").source == edge.engine("2d").registers.source == CITATION
    assert edge.memory("buffer").read_pj == pytest.approx(12512.760572 / 8 / math.sqrt(32))


def test_register_files_are_nine_tenths_of_the_array() -> None:
    # The published area formula ignores sharing, so register files are 91 % of the 2D array.
    report = area(load_architecture("fusemax-cloud"))
    (registers,) = (it for it in report.parts if (it.owner, it.kind) == ("2d", "registers"))
    assert registers.total_um2 / report.of("2d") == pytest.approx(0.9135, abs=1e-4)


def test_area_by_part() -> None:
    # By hand: 32 x 32 PEs of one mac, a row of 32 PEs with all five components; register files as large as 64 words.
    report = area(load_architecture("flat-edge"))
    assert report.unknown == ("dram", "buffer")
    file = (5.98 * 32 + 71) * 64 + 2 * 5.81742 * 2
    assert report.of("2d") == pytest.approx(1024 * (1545 + file))
    file = (5.98 * 32 + 71) * 64 + 2 * 5.81742 * 4
    assert report.of("1d") == pytest.approx(32 * (1545 + 0 + 49.29 + 23740.94 + 8240 + file))
    assert report.total_um2 == pytest.approx(report.of("2d") + report.of("1d"))


def test_area_of_memories_counts_instances() -> None:
    machine = load_architecture("flat-edge")
    buffer = replace(machine.memory("buffer"), area_um2=1000.0, instances=3)
    report = area(replace(machine, memories=(machine.memories[0], buffer)))
    assert (report.of("buffer"), report.unknown) == (3000.0, ("dram",))


# Scores in flight at E = F = 64, by N and stages of the multiply-add, as a slot-by-slot schedule has them, but for one:
# two stages at N = 16 need 3 there.
CONTEXTS = {16: (2, 2, 3, 4), 64: (2, 3, 4, 5), 256: (3, 6, 8, 11)}


@pytest.mark.parametrize("n", CONTEXTS)
def test_contexts(n: int) -> None:
    assert tuple(contexts_for(n, e=64, f=64, stages=stages) for stages in (1, 2, 3, 4)) == CONTEXTS[n]


def test_contexts_of_short_tiles() -> None:
    # ceil((4 * 7 + 4 * 256 + 32 + 8 + 3) / 25); the schedule needs 45.
    assert contexts_for(256, e=8, f=8, stages=4) == 44


@pytest.mark.parametrize("n", [4, 5, 8, 16, 100, 256, 511, 512])
def test_family(n: int) -> None:
    machine = load_architecture(f"fusemax-{n}x{n}")
    array, vector = machine.engines
    dram, buffer = machine.memories
    assert (machine.name, array.rows, array.columns, vector.columns) == (f"fusemax-{n}x{n}", n, n, n)
    assert array.contexts == contexts_for(n, e=64, f=64, stages=1)
    assert (vector.registers.words, vector.registers.word_bits) == (2 * 128 + 6, 32)
    assert dram.read_bytes_per_s == Fraction(400 * GIB * n, 256)
    assert buffer.read_bytes_per_s == 2 * n * 2 * 940_000_000
    least = max(Fraction(n, 256) * 16 * MIB, 512 * KIB)
    assert least <= buffer.capacity_bytes < least + 2 * n
    assert array.operation("mac").latency_cycles == 1
    assert energies(machine, "1d", "expsub")[0] == 7


def test_family_at_the_published_size_has_the_published_buffer() -> None:
    buffer = load_architecture("fusemax-256x256").memory("buffer")
    published = load_architecture("fusemax-cloud").memory("buffer")
    assert (buffer.read_pj, buffer.write_pj, buffer.source) == (published.read_pj, published.write_pj, published.source)


def test_every_parameter_of_the_family() -> None:
    machine = fusemax(
        8,
        e=16,
        f=32,
        largest_f=64,
        stages=3,
        exp_slots=7,
        contexts=9,
        temporaries=4,
        clock_hz=10**9,
        word_bits=8,
        buffer_bytes=1 << 16,
        buffer_rows_per_cycle=Fraction(1, 2),
        dram_bytes_per_s=Fraction(10**9),
        name="mine",
    )
    array, vector = machine.engines
    dram, buffer = machine.memories
    assert (machine.name, machine.clock_hz, machine.word_bits) == ("mine", 10**9, 8)
    assert (array.contexts, array.registers.words, vector.registers.words) == (9, 13, 134)
    assert (array.operation("expsub").interval_cycles, array.operation("expsub").latency_cycles) == (8, 24)
    assert (dram.read_bytes_per_s, buffer.read_bytes_per_s) == (10**9, 4 * 10**9)
    assert (buffer.capacity_bytes, buffer.access_bits) == (1 << 16, 64)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("flat-clod", r"flat-clod: architecture 'flat-clod' must be a preset .*; did you mean 'flat-cloud'\?"),
        ("tpu", r"tpu: architecture 'tpu' must be a preset .*; known are 'flat-cloud', .*, 'fusemax-NxN'"),
        (
            "fusemax-3x3",
            r"fusemax-3x3: a preset 'fusemax-NxN' must be square with N from 4 to 512, and may have 1 to 8 stages, "
            r"unlike 'fusemax-3x3'",
        ),
        ("fusemax-8x8-9stages", r"fusemax-8x8-9stages: .* may have 1 to 8 stages, unlike 'fusemax-8x8-9stages'; .*"),
        ("fusemax-16x8", r"fusemax-16x8: a preset 'fusemax-NxN' must be square .*; write a file for another one"),
        ("fusemax-513x513", r"fusemax-513x513: a preset 'fusemax-NxN' must be square with N from 4 to 512"),
        ("none.yaml", r"none\.yaml: an architecture file must be a text that can be read, but No such file"),
    ],
)
def test_unknown_name(name: str, sentence: str) -> None:
    with pytest.raises(ArchitectureError, match=f"^{sentence}"):
        load_architecture(name)


def test_file_without_its_suffix(tmp_path) -> None:
    path = tmp_path / "machine.txt"
    path.write_text(preset_text("systolic"))
    with pytest.raises(ArchitectureError, match=r"an architecture file must end in '\.yaml', unlike '.*'; rename it$"):
        load_architecture(str(path))
    assert load_architecture(str(path.rename(tmp_path / "machine.yaml"))) == load_architecture("systolic")


def test_names() -> None:
    assert [load_architecture(name).name for name in architecture_names()[:-2]] == list(architecture_names()[:-2])
    with pytest.raises(ValueError, match=r"^a preset file must be one of 'flat-cloud', .*, not 'fusemax-16x16'$"):
        preset_text("fusemax-16x16")
    assert einsum_cascade.load_architecture is load_architecture


def test_stages_are_the_latency_of_a_multiply_add_and_take_contexts() -> None:
    """N = 16, E = F = 64: 2 contexts for one stage, 4 for four, and one more for waiting where there are several."""
    for stages, contexts in ((1, 2), (4, 5)):
        array = load_architecture(f"fusemax-16x16-{stages}stages").engine("2d")
        assert array is not None
        assert (array.operation("mac").latency_cycles, array.contexts) == (stages, contexts)


def test_the_command_line_starts_without_files() -> None:
    # Reading files needs pydantic and ruamel.yaml, which take longer to import than `--version` to answer.
    code = """
import sys
from einsum_cascade.cli import main
try:
    main(["--version"])
except SystemExit:
    pass
print(sorted({"pydantic", "ruamel.yaml", "numpy", "hwcomponents_cacti"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
