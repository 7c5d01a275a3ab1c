"""What must hold of a program: that it fits its array, and that no instruction meets another in its way.

It replays the kernel table as it stands and shares no code with the scheduler that made it.
"""

from collections.abc import Iterator
from itertools import pairwise

from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.program.instruction import RETURN_CYCLES, MatrixOp, VectorOp
from einsum_cascade.program.ir import Program

__all__ = ["check_program", "hazards"]

_CORRECTION_SLOTS = 7


def check_program(program: Program) -> Program:
    """Return the program if it can be executed.

    Raises
    ------
    IllegalMappingError
        A sentence for everything that must hold and does not.

    """
    mistakes = [*_sizes(program)] or [*_buffer(program), *_layouts(program), *hazards(program)]
    if mistakes:
        raise IllegalMappingError(mistakes)
    return program


def _sizes(program: Program) -> Iterator[str]:
    shape = program.shape
    for what, value, most in (
        ("rows of the kernel", program.interval, shape.kernel_rows),
        ("contexts", program.contexts, shape.contexts),
        ("queue entries", program.queue, shape.queue),
        ("product steps", program.product_steps, shape.product_steps),
        ("output steps", program.output_steps, shape.output_steps),
        ("stages of the kernel", program.stages, shape.contexts + 1),
    ):
        if not 1 <= value <= most:
            yield f"{what} of a program must be from 1 to {most}, not {value}; use a larger array or a smaller tile"
    for what, value in (
        ("keys", program.keys),
        ("queries", program.queries),
        ("heads", program.key_heads),
        ("the group", program.group),
    ):
        if value < 1:
            yield f"{what} of a program must be at least 1, not {value}; set the extent"


def _buffer(program: Program) -> Iterator[str]:
    if program.slot_beats > program.shape.bank_beats:
        yield (
            f"beats of a tile's row must be at most the {program.shape.bank_beats} of a bank, not "
            f"{program.slot_beats}; use a larger array or a smaller tile"
        )
        return
    needed = program.key_tiles if program.is_resident else program.stages + 1
    if program.slots < needed:
        yield f"the buffer must hold {needed} tiles of keys and values, not {program.slots}; make it larger"


def _layouts(program: Program) -> Iterator[str]:
    shape = program.shape
    operands = {"query": (program.query, program.product_steps), "key": (program.key, program.product_steps)}
    if program.value is not None:
        operands["value"] = program.value, program.output_steps
    least = {name: (layout, count * shape.operand_bytes) for name, (layout, count) in operands.items()}
    for name, (layout, row_bytes) in {**least, "output": (program.output, 4 * program.queries)}.items():
        numbers = {
            "address": layout.address,
            "stride": layout.stride_bytes,
            "head stride": layout.head_stride_bytes,
        }
        for what, value in numbers.items():
            if value < 0 or value % shape.beat_bytes:
                yield f"the {what} of {name} must be whole beats of {shape.beat_bytes} bytes, not {value}; round it up"
        if layout.stride_bytes < row_bytes:
            yield f"the stride of {name} must be at least {row_bytes} bytes, not {layout.stride_bytes}; make it so"


def hazards(program: Program) -> Iterator[str]:
    """Yield a sentence for every operation of a tile that comes too early or too late in the kernel."""
    starts = _starts(program)
    stages, interval, down = program.shape.stages, program.interval, program.shape.stages * program.shape.rows
    wrong = [*_wrong_slots(program, starts)]
    if wrong:
        yield from wrong
        return
    slots = {key: [time for time, _ in times] for key, times in starts.items()}
    for key in ("array PRODUCT", "array EXPONENTIAL", "lane CORRECTION"):
        for a, b in pairwise(slots.get(key, [])):
            if b - a < stages:
                yield f"slots of {key} must be at least {stages} cycles apart, not {b - a}"
    for first, then, least in _orders(stages, down):
        if first in slots and then in slots and slots[then][0] - slots[first][-1] < least:
            apart = slots[then][0] - slots[first][-1]
            yield f"{then} must start at least {least} cycles after {first} ends, not {apart}"
    sums, products = slots.get("lane DENOMINATOR", []), slots.get("lane NUMERATOR", [])
    if sums and sums[0] >= products[-1]:
        yield (
            f"lane DENOMINATOR must be before the last lane NUMERATOR, after which results leave, not at cycle "
            f"{sums[0]}"
        )
    if sums and interval < stages:
        yield f"the interval of a kernel must be at least the {stages} stages that a running sum takes, not {interval}"
    yield from _lifetimes(program, slots, interval, down)


def _starts(program: Program) -> dict[str, list[tuple[int, int]]]:
    """Return when tile 0 has its slots of every operation, with their indices, in order of time."""
    found: dict[str, list[tuple[int, int]]] = {}
    for at, row in enumerate(program.kernel):
        for unit, field, kind in (("array", row.matrix, MatrixOp), ("lane", row.vector, VectorOp)):
            if field.op:
                found.setdefault(f"{unit} {kind(field.op).name}", []).append(
                    (field.stage * program.interval + at, field.index)
                )
    return {key: sorted(times) for key, times in found.items()}


def _wrong_slots(program: Program, starts: dict[str, list[tuple[int, int]]]) -> Iterator[str]:
    """Yield a sentence for every operation that has not the slots that its kernel needs."""
    outputs, exponential = program.output_steps, len(program.shape.numbers.steps)
    attention = {
        "array MAXIMUM": 1,
        "array EXPONENTIAL": exponential,
        "array SUM": 1,
        "array COMBINE": outputs,
        "lane MAXIMUM": 1,
        "lane CORRECTION": _CORRECTION_SLOTS,
        "lane DENOMINATOR": 1,
        "lane NUMERATOR": outputs,
    }
    product = {"array OUT": program.shape.rows, "lane ADD": program.shape.rows}
    counts = {"array PRODUCT": program.product_steps, **(product if "array OUT" in starts else attention)}
    for key in {**counts, **starts}:
        indices, needed = [index for _, index in starts.get(key, [])], counts.get(key, 0)
        if indices != list(range(needed)):
            yield f"{key} must have slots 0 to {needed - 1} in order, each once, not {indices}"
    yield from _wrong_kind(program, is_product="array OUT" in starts)


def _wrong_kind(program: Program, *, is_product: bool) -> Iterator[str]:
    """Yield a sentence for what a program says of its results and its kernel does not do."""
    rows = program.shape.rows
    named = "a program whose kernel has array OUT" if is_product else "a program whose kernel has no array OUT"
    if (program.value is None) != is_product:
        yield f"{named} must have {'no values' if is_product else 'values'}; change their layout"
    if program.has_tile_results != is_product:
        yield f"{named} must {'have' if is_product else 'not have'} the flag of tile results, but has it otherwise"
    if is_product and program.is_divided:
        yield f"{named} must not have its results divided, for there are no sums"
    if is_product and program.output_steps != rows:
        yield f"{named} must have an output step for each of {rows} rows, not {program.output_steps}"


def _orders(stages: int, down: int) -> Iterator[tuple[str, str, int]]:
    yield "array PRODUCT", "array MAXIMUM", stages
    yield "array PRODUCT", "array OUT", stages
    yield "array MAXIMUM", "array EXPONENTIAL", down + RETURN_CYCLES
    yield "array EXPONENTIAL", "array SUM", stages
    yield "array EXPONENTIAL", "array COMBINE", stages
    yield "lane MAXIMUM", "lane CORRECTION", 1
    yield "lane CORRECTION", "lane DENOMINATOR", stages
    yield "lane CORRECTION", "lane NUMERATOR", stages


def _lifetimes(program: Program, slots: dict[str, list[int]], interval: int, down: int) -> Iterator[str]:
    """Yield what lives longer than there are copies of it."""
    last = max((slots[key][-1] for key in ("array SUM", "array COMBINE", "array OUT") if key in slots), default=0)
    begin = slots.get("array PRODUCT", [0])[0]
    lives = [("a score", last + 1 - begin, program.contexts)]
    if "lane MAXIMUM" in slots:
        lives.append(("a correction", last + 1 - slots["lane MAXIMUM"][0], program.queue))
    for key in ("array EXPONENTIAL", "lane CORRECTION"):
        if key in slots:
            lives.append((f"what {key} works on", slots[key][-1] + 1 - slots[key][0], 1))
    if "array MAXIMUM" in slots and "array EXPONENTIAL" in slots:
        returned = slots["array MAXIMUM"][0] + down + RETURN_CYCLES
        lives.append(("the maximum of a tile", slots["array EXPONENTIAL"][0] + 1 - returned, 1))
    for what, cycles, copies in lives:
        if cycles > copies * interval:
            yield f"{what} must live at most {copies * interval} cycles ({copies} of {interval}), not {cycles}"
    riding = {
        "array MAXIMUM": "lane MAXIMUM",
        "array SUM": "lane DENOMINATOR",
        "array COMBINE": "lane NUMERATOR",
        "array OUT": "lane ADD",
    }
    for sender, taker in riding.items():
        if slots.get(sender) != slots.get(taker):
            yield f"{taker} must be in the slots of {sender}, which send what it takes"
