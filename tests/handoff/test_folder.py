"""The files that `rtl` writes for a hardware engineer, each used as its reader would, from the folder alone."""

import importlib.util
import re
import shutil
import subprocess

import pytest
from random_counts import mode
from ruamel.yaml import YAML
from scripted_host import SimulatedBus, scripted

from einsum_cascade import load_architecture, resolve_extents, zoo
from einsum_cascade.array.capabilities import capabilities
from einsum_cascade.array.instruction import MatrixOp, VectorOp
from einsum_cascade.array.registers import KERNEL_FIELDS, KERNEL_OFFSET, REGISTERS, ErrorCode, offset_of
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.cli import main
from einsum_cascade.handoff import register_tables
from einsum_cascade.handoff.header import header_text
from einsum_cascade.handoff.systemrdl import systemrdl_text
from einsum_cascade.study.preparation import prepare

# Ragged in all extents, with one stage and with four; masked, with queries that have no key; several programs.
CASES = {
    "ragged": ("attention-1pass", "fusemax-4x4", "E=5,F=6,M=11,P=9"),
    "stages": ("attention-1pass", "fusemax-4x4-4stages", "E=5,F=6,M=11,P=9"),
    "masked": ("attention-1pass-window", "fusemax-4x4", "E=4,F=5,M=6,P=11,W=3"),
    "causal": ("attention-1pass-causal", "fusemax-8x8-4stages", "E=8,F=5,M=17,P=12"),
    "several": ("attention-window", "fusemax-4x4", "E=3,F=2,M=5,P=8,W=2"),
}
# `make test` simulates one array with masks and one with stages.
SIMULATED = CASES if mode() != "quick" else ("masked", "stages")
needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (Debian: apt-get install iverilog)"
)


def written(name, folder, *more):
    cascade, architecture, setting = CASES[name]
    arguments = ["rtl", cascade, "--arch", architecture, "--set", setting, "--output", str(folder), *more]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    return folder


def simulated(folder):
    """What Icarus says of the test bench, and whether it ended well."""
    subprocess.run(["iverilog", "-g2005", "-o", "tb.vvp", "-c", "files.f", "tb.v"], cwd=folder, check=True)
    done = subprocess.run(["vvp", "-N", "tb.vvp"], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout, done.returncode


@needs_icarus
@pytest.mark.parametrize("name", SIMULATED)
def test_the_bench_passes_in_icarus(name, tmp_path):
    """Four states a bit: nothing that was never written reaches a result, or what says that others are valid."""
    folder = written(name, tmp_path, "--prefix", "own_")
    output, code = simulated(folder)
    results = sum(len(path.read_text().splitlines()) for path in folder.glob("expected*.hex"))
    assert (output.strip().splitlines()[-1], code) == (f"PASS: {results} results", 0)


@needs_icarus
@pytest.mark.parametrize("kind", ["expected", "memory", "writes"] if mode() != "quick" else ["memory"])
def test_the_bench_finds_a_wrong_bit(kind, tmp_path):
    folder = written("ragged", tmp_path)
    path = folder / f"{kind}.hex"
    lines = path.read_text().splitlines()
    # A result's lowest bit; the sign and exponent of a query; the keys that the program goes over.
    keys = f"{offset_of('keys'):08x}"
    at = next(number for number, line in enumerate(lines) if line.startswith(keys)) if kind == "writes" else 0
    digit = 3 if kind == "memory" else -1
    changed = list(lines[at])
    changed[digit] = f"{int(changed[digit], 16) ^ 1:x}" if kind != "memory" else "f"
    lines[at] = "".join(changed)
    path.write_text("\n".join(lines) + "\n")
    output, code = simulated(folder)
    assert "FAIL" in output and "PASS" not in output and code != 0


def test_the_header_compiles(tmp_path):
    """In C and in C++, all warnings on; its numbers are those of the tables."""
    shape = ArrayShape(4, 4)
    (tmp_path / "regs.h").write_text(header_text(shape))
    checks = [("ECAS_KERNEL", KERNEL_OFFSET), ("ECAS_STATUS_ERROR_MASK", 0xFF00), ("ECAS_STATUS_ERROR_SHIFT", 8)]
    checks += [(f"ECAS_{register.name.upper()}", offset_of(register.name)) for register in REGISTERS]
    checks += [(f"ECAS_{name.upper()}_VALUE", value) for name, value in capabilities(shape).items()]
    for prefix, names in (("ERROR", ErrorCode), ("MATRIX", MatrixOp), ("VECTOR", VectorOp)):
        checks += [(f"ECAS_{prefix}_{each.name}", int(each)) for each in names]
    checks += [(f"ECAS_KERNEL_{field.name.upper()}_SHIFT", field.low) for field in KERNEL_FIELDS]
    lines = "\n".join(f"    if ({name} != {value}u) return 1;" for name, value in checks)
    twice = '#include "regs.h"\n' * 2
    (tmp_path / "main.c").write_text(f"{twice}int main(void) {{\n{lines}\n    return 0;\n}}\n")
    shutil.copy(tmp_path / "main.c", tmp_path / "main.cpp")
    for compiler, source in (("gcc", "main.c"), ("g++", "main.cpp")):
        command = [compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror", source, "-o", "main"]
        subprocess.run(command, cwd=tmp_path, check=True)
        subprocess.run(["./main"], cwd=tmp_path, check=True)


def test_systemrdl_has_every_register_and_field():
    """Names end with an underscore, since some are words of the language; addresses and bits are those of the table."""
    shape = ArrayShape(4, 4)
    text, values = systemrdl_text(shape, "own"), capabilities(shape)
    assert text.startswith("addrmap own {") and text.count("{") == text.count("}")
    registers = re.findall(r"^    reg \{\n(.*?)^    \} (\w+)_ @ 0x(\w+);", text, re.MULTILINE | re.DOTALL)
    found = [(name, int(at, 16)) for _, name, at in registers]
    assert found == [(each.name, offset_of(each.name)) for each in REGISTERS]
    for register, (body, _, _) in zip(REGISTERS, registers, strict=True):
        fields = re.findall(r"\} (\w+)_\[(\d+):(\d+)\] = (\d+);", body)
        expected = [(f.name, f.low + f.bits - 1, f.low, f.of(values.get(register.name, 0))) for f in register.fields]
        whole = [("value", 31, 0, values.get(register.name, 0))]
        assert [(name, *map(int, rest)) for name, *rest in fields] == (expected or whole), register.name
    assert f"mementries = {2 * shape.kernel_rows};" in text and "kernel @ 0x4000;" in text


def test_lists_name_the_files_of_the_folder(tmp_path):
    folder = written("several", tmp_path, "--prefix", "own_")
    sources = {path.name for path in folder.glob("*.v")} - {"tb.v"}
    assert set((folder / "files.f").read_text().split()) == sources
    core = YAML(typ="safe").load((folder / "own_array.core").read_text().removeprefix("CAPI=2:\n"))
    assert set(core["filesets"]["rtl"]["files"]) == sources
    bench = [name for each in core["filesets"]["bench"]["files"] for name in each]
    assert set(bench) == {"tb.v", *(path.name for path in folder.glob("*.hex"))}
    assert core["targets"]["sim"] == {"default_tool": "icarus", "filesets": ["rtl", "bench"], "toplevel": "tb"}
    assert core["targets"]["default"]["toplevel"] == "own_top"


def driver_of(folder):
    """The driver of a folder, which imports nothing of the package."""
    text = (folder / "driver.py").read_text()
    assert "einsum_cascade" not in text
    spec = importlib.util.spec_from_file_location("own_driver", folder / "driver.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def opened(tmp_path):
    """A folder, its driver, and a simulation of its array."""
    buses = []

    def open_case(name):
        folder = written(name, tmp_path / "folder")
        cascade, architecture, setting = CASES[name]
        extents = {key: int(value) for key, _, value in (part.partition("=") for part in setting.split(","))}
        cascade, machine = zoo.load(cascade), load_architecture(architecture)
        extents |= {"M0": machine.engines[0].rows} if any(rank.name == "M0" for rank in cascade.ranks) else {}
        shape = prepare(cascade, machine, resolve_extents(cascade, extents)).shape
        bus = SimulatedBus(scripted(shape), tmp_path, 1 << 16)
        buses.append(bus)
        return folder, driver_of(folder), bus, shape

    yield open_case
    for bus in buses:
        bus.close()


def test_the_driver_runs_the_program(opened):
    """Over the simulator's bus: the same program, twice, and no result differs."""
    folder, driver, bus, shape = opened("ragged")
    array = driver.Array(bus, bus)
    said = array.capabilities()
    assert (said["rows"], said["columns"], said["product_steps"]) == (4, 4, shape.product_steps)
    for _ in range(2):
        assert array.run(folder) == []
    assert array.read("interrupt") == 0 and array.read("status") == 2


def test_the_driver_runs_every_program_of_a_sequence(opened):
    folder, driver, bus, _ = opened("several")
    array = driver.Array(bus, bus)
    for step in ("-1", "-2"):
        assert array.run(folder, step) == []


def test_the_driver_tells_what_is_wrong(opened):
    folder, driver, bus, _ = opened("ragged")
    array = driver.Array(bus, bus)
    # A result that is not the expected one, by its address and its bits.
    lines = (folder / "expected.hex").read_text().splitlines()
    address, bits = (int(word, 16) for word in lines[5].split())
    (folder / "expected.hex").write_text("\n".join([*lines[:5], f"{address:08x} {bits ^ 1:08x}", *lines[6:]]) + "\n")
    assert array.run(folder) == [(address, bits ^ 1, bits)]
    # A program that the array refuses.
    array.load(folder / "writes.hex")
    array.write("keys", 0)
    array.start()
    with pytest.raises(driver.ArrayError, match="EMPTY: A loop of the program has no iteration"):
        array.wait()
    # Something else behind the bus, and an array of another map.
    with pytest.raises(driver.ArrayError, match="must be the identity 0x45434153, not 0x0"):
        driver.Array(bus, bus, base=0x2000)


def test_parts_of_a_text_are_not_lost():
    """Registers, fields and codes of the driver's tables are those of the map."""
    assert set(register_tables.OFFSETS) == {register.name for register in REGISTERS}
    assert {name: text for name, text in register_tables.ERRORS.values()} == {
        code.name: code.text for code in ErrorCode
    }
