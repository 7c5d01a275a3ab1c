"""Other formats, depths and sizes: each is a design of its own, so `make test` leaves them out (see conftest)."""

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from array_cases import SCALED, cases, prepared, scaled
from pywellen import Waveform
from random_counts import draw_seed, mode

from einsum_cascade import load_architecture, random_inputs, resolve_extents, zoo
from einsum_cascade.array.numbers import Multiplier, Numbers
from einsum_cascade.array.registers import WAITS
from einsum_cascade.cosim.bench_memory import PERIOD_STEPS
from einsum_cascade.cosim.memory_timing import MemoryTiming
from einsum_cascade.cosim.simulation import CosimResult, simulate
from einsum_cascade.formats import parse_format, round_to
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.study.preparation import prepare

NUMBERS = [
    Numbers(parse_format("fp16"), parse_format("fp16")),
    Numbers(parse_format("fp8_e4m3"), parse_format("bf16")),
    Numbers(parse_format("fp8_e5m2"), parse_format("fp8_e5m2")),
    Numbers(parse_format("bf16"), parse_format("fp32"), "mixed"),
    Numbers(parse_format("fp32"), parse_format("fp32"), "wide"),
]
# The longest runs, nightly: 32 x 32, and the use of the array that DESIGN promises.
LONG = mode() == "nightly"
_RESET_CYCLES = 8


def _check(case: Prepared, memory: MemoryTiming | None = None) -> CosimResult:
    result = simulate(case, random_inputs(case.cascade, case.extents, 7), memory)
    assert result.is_agreed, result.to_json()
    return result


@pytest.mark.parametrize("numbers", NUMBERS, ids=lambda n: f"{n.operand}-{n.score}-{n.multiplier}")
@pytest.mark.parametrize("stages", [2, 3, 5, 8])
def test_other_formats_and_depths_agree(numbers: Numbers, stages: int) -> None:
    _check(
        prepared("attention-1pass", {"E": 9, "F": 7, "M": 18, "P": 9, "M0": 4}, f"fusemax-4x4-{stages}stages", numbers)
    )


@pytest.mark.parametrize("accumulation", ["bf16", "e8m10", "fp16"])
@pytest.mark.parametrize("suffix", ["", "-4stages"])
def test_narrower_accumulation_agrees(suffix: str, accumulation: str) -> None:
    """Attention and a product; the sums are what the format says, and cycles are as ever, whatever memory does."""
    form, random = parse_format(accumulation), Random(draw_seed())
    for name, extents in (
        ("attention-1pass-causal", {"E": 9, "F": 7, "M": 18, "P": 9, "M0": 4}),
        ("product", {"M": 13, "N": 11, "K": 33}),
        ("softmax", {"M": 11, "P": 9}),
    ):
        case = prepared(name, extents, f"fusemax-4x4{suffix}", Numbers(accumulation=form))
        usual = prepared(name, extents, f"fusemax-4x4{suffix}")
        assert case.lowered.program.kernel == usual.lowered.program.kernel
        result = _check(case, MemoryTiming(random.choice([0, 20]), random.choice([0.0, 3.0])))
        assert name != "product" or np.array_equal(result.output, round_to(result.output, form))


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("attention-sigmoid", Numbers(multiplier="wide", accumulation=parse_format("fp16"))),
        (
            "attention-linear",
            Numbers(score=parse_format("fp32"), multiplier="mixed", accumulation=parse_format("bf16")),
        ),
        ("attention-deferred", Numbers(*2 * [parse_format("fp16")], accumulation=parse_format("fp16"))),
    ],
)
def test_slots_of_functions_keep_their_bits_with_narrower_accumulation(name: str, numbers: Numbers) -> None:
    """Sigmoid and feature map as well, and weights with more bits than the sums that they are in."""
    _check(prepared(name, {"E": 9, "F": 7, "M": 18, "P": 9}, "fusemax-4x4-2stages", numbers))


@pytest.mark.parametrize("architecture", ["fusemax-4x4", "fusemax-8x8-4stages"])
@pytest.mark.parametrize(("form", "bound"), [("bf16", 2e-3), ("fp32", 5e-6)])
def test_sigmoid_attention_agrees(architecture: str, form: str, bound: float) -> None:
    """A sigmoid has slots of its own, on the wide multiplier; what else the array does stays as it is."""
    numbers = Numbers(parse_format(form), parse_format(form), "wide", has_sigmoid=True)
    for extents in ({"E": 9, "F": 7, "M": 18, "P": 9}, {"E": 3, "F": 5, "M": 2, "P": 19}):
        result = _check(prepared("attention-sigmoid", extents, architecture, numbers))
        assert result.max_rel_error is not None and result.max_rel_error < bound
    side = 8 if "8x8" in architecture else 4
    _check(prepared("attention-1pass", {"E": 9, "F": 7, "M": 18, "P": 9, "M0": side}, architecture, numbers))


@pytest.mark.parametrize(
    ("multiplier", "suffix"), [("narrow", "-4stages"), ("mixed", ""), ("wide", ""), ("wide", "-6stages")]
)
def test_scaled_scores_agree(multiplier: Multiplier, suffix: str) -> None:
    """Each multiplier takes its own parts of the factor: the wide one the whole, the others two pieces."""
    random, numbers = Random(draw_seed()), Numbers(multiplier=multiplier)
    for name in SCALED:
        for scale in (1 / 3, random.uniform(0.01, 4)):
            extents = {"E": 9, "F": 7, "M": 13, "P": 7, "M0": 4}
            _check(scaled(name, scale, f"fusemax-4x4{suffix}", extents, numbers))


@pytest.mark.parametrize("numbers", NUMBERS, ids=lambda n: f"{n.operand}-{n.score}-{n.multiplier}")
@pytest.mark.parametrize("array", ["fusemax-4x4-7stages", "fusemax-8x8"])
def test_linear_attention_agrees(numbers: Numbers, array: str) -> None:
    """Features have slots of their own on any multiplier, and may stand beside those of a sigmoid."""
    numbers = replace(numbers, has_sigmoid=numbers.multiplier == "wide")
    _check(prepared("attention-linear", {"E": 9, "F": 7, "M": 18, "P": 9}, array, numbers))


@pytest.mark.parametrize(("name", "extents"), [*cases(16)])
def test_sixteen_rows_agree(name: str, extents: dict[str, int]) -> None:
    _check(prepared(name, extents, "fusemax-16x16"))


def test_long_heads_agree() -> None:
    """Latent attention has keys of 576 operands and values of 512: its kernel has 576 + 512 + 9 rows."""
    extents = {"E": 576, "F": 512, "M": 9, "P": 5, "M0": 4}
    _check(prepared("attention-1pass", extents, "fusemax-4x4"))


def test_rows_that_are_no_power_of_two_agree() -> None:
    _check(prepared("attention-1pass-causal", {"E": 10, "F": 6, "M": 15, "P": 14, "M0": 6}, "fusemax-6x6"))


@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (7, 4), (2, 32)])
def test_arrays_that_are_not_square_agree(rows: int, columns: int) -> None:
    machine = load_architecture("fusemax-4x4-2stages")
    sides = {"2d": {"rows": rows, "columns": columns, "contexts": 4}, "1d": {"columns": columns}}
    machine = replace(machine, engines=tuple(replace(each, **sides[each.name]) for each in machine.engines))
    for name, sizes in (
        ("attention-1pass-causal", {"E": 5, "F": 6, "M": 23, "P": 19, "M0": rows}),
        ("attention-linear", {"E": 5, "F": 6, "M": 11, "P": 9}),
        ("attention", {"E": 3, "F": 2, "M": 10, "P": 11}),
    ):
        cascade = zoo.load(name)
        _check(prepare(cascade, machine, resolve_extents(cascade, sizes)))


@pytest.mark.parametrize("suffix", ["", "-4stages"])
def test_the_array_is_busy(suffix: str) -> None:
    """At least 99 % of all cycles have an instruction, at E = F = 64 and M = 1024; the published value is 97 %."""
    extents = {"E": 64, "F": 64, "M": 1024, "P": 256, "M0": 16}
    found = _check(prepared("attention-1pass", extents, f"fusemax-16x16{suffix}")).to_json()
    print(found)
    assert found["util_2d"] >= 0.99
    assert found["stalls"] == dict.fromkeys(WAITS, 0)


def test_waveforms_are_written_if_asked_for(tmp_path: Path) -> None:
    """Both formats tell the same story, as an outside reader tells it; `irq` rises once, after the run."""
    case = prepared("attention-1pass", {"E": 4, "F": 4, "M": 4, "P": 4, "M0": 4}, "fusemax-4x4")
    found = {}
    for suffix in ("vcd", "fst"):
        wave = tmp_path / f"run.{suffix}"
        result = simulate(case, random_inputs(case.cascade, case.extents, 7), wave=wave)
        assert result.is_agreed
        # FST alone gives the range of a memory's word of one bit.
        variables = {each.full_name.replace("][0]", "]"): each.signal for each in Waveform(str(wave)).all_vars()}
        found[suffix] = variables
    vcd, fst = found["vcd"], found["fst"]
    assert fst.keys() == vcd.keys()
    clock, done = "top.clk", "top.irq"
    cycles = [cycle * PERIOD_STEPS for cycle in range(result.run.registers["total_cycles"] + _RESET_CYCLES)]
    assert {fst[clock].value_at(time) != fst[clock].value_at(time + PERIOD_STEPS // 2) for time in cycles} == {True}
    assert {fst[done].value_at(time) for time in cycles} == {0}
    last = 100 * len(cycles) * PERIOD_STEPS
    assert fst[done].value_at(last) == 1
    for name, signal in fst.items():
        for time in (*cycles[::10], last):
            assert signal.value_at(time) == vcd[name].value_at(time), (name, time)


def test_thirty_two_rows_agree_nightly() -> None:
    side = 32 if LONG else 8
    extents = {"E": 64, "F": 64, "M": 4 * side + 5, "P": 2 * side + 3, "M0": side}
    print(_check(prepared("attention-1pass-causal", extents, f"fusemax-{side}x{side}")).to_json())
