"""What must hold of a program: that it fits its array, and that no instruction meets another in its way.

It replays the kernel table as it stands and shares no code with the scheduler that made it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise

from einsum_cascade.array.instruction import EVERY_PASS, PASSES, RETURN_CYCLES, MatrixOp, Row, VectorOp
from einsum_cascade.array.memory import memory_bytes
from einsum_cascade.array.numbers import LANE_STEPS, LEAST_SCALE, MOST_SCALE
from einsum_cascade.array.program import Program
from einsum_cascade.array.registers import MOST_BYTES, MOST_HEADS, MOST_TILES
from einsum_cascade.array.visits import KeyBlock
from einsum_cascade.errors import IllegalMappingError

__all__ = ["check_program", "has_stuck_heads", "hazards", "tiles_to_place", "unmet_registers", "violations"]


def check_program(program: Program) -> Program:
    """Return the program if it can be executed.

    Raises
    ------
    IllegalMappingError
        A sentence for everything that must hold and does not.

    """
    mistakes = violations(program)
    if mistakes:
        raise IllegalMappingError(mistakes)
    return program


def violations(program: Program) -> Sequence[str]:
    """Return a sentence for everything that must hold of a program and does not."""
    mistakes = [*_sizes(program)] or [*_blocks(program)]
    return mistakes or [*_buffer(program), *_layouts(program), *hazards(program)]


def _sizes(program: Program) -> Iterator[str]:
    shape = program.shape
    for what, value, most in (
        ("rows of the kernel", program.interval, shape.kernel_rows),
        ("contexts", program.contexts, shape.contexts),
        ("queue entries", program.queue, shape.queue),
        ("product steps", program.product_steps, shape.product_steps),
        ("output steps", program.output_steps, shape.output_steps),
        ("stages of the kernel", program.stages, shape.contexts + 1),
        ("passes over the keys", program.passes, PASSES),
    ):
        if not 1 <= value <= most:
            yield f"{what} of a program must be from 1 to {most}, not {value}; use a larger array or a smaller tile"
    for what, value in (
        ("keys", program.keys),
        ("queries", program.queries),
        ("heads", program.key_heads),
        ("the group", program.group),
        ("tiles of a block", program.key_tiles if program.block_tiles is None else program.block_tiles),
    ):
        if value < 1:
            yield f"{what} of a program must be at least 1, not {value}; set the extent"
    if program.has_maxima and not LEAST_SCALE <= program.scale <= MOST_SCALE:
        yield f"the scale of a program with maxima must be from 2^-56 to 2^61, not {program.scale!r}; change it"
    yield from unmet_registers(program)


def unmet_registers(program: Program) -> Iterator[str]:
    """Yield a sentence for everything that is too large for the registers of an array."""
    bytes_needed = memory_bytes(program if program.has_state else replace(program, state=None))
    for what, value, most in (
        ("tiles of keys", program.key_tiles, MOST_TILES),
        ("tiles of queries", program.query_tiles, MOST_TILES),
        ("query heads", program.key_heads * program.group, MOST_HEADS),
        ("bytes of its tensors", bytes_needed, MOST_BYTES),
    ):
        if value > most:
            yield f"{what} of a program must be at most {most}, not {value}; make the extents smaller, or run parts"
    most = (MOST_TILES - program.shape.columns) * program.shape.rows
    for name in ("diagonal_high", "diagonal_low"):
        value = getattr(program, name) or 0
        if abs(value) > most:
            yield f"{name} of a program must be at most {most} from 0, not {value}; leave out what masks nothing"


def _blocks(program: Program) -> Iterator[str]:
    """Yield a sentence for everything that keeps the keys of a head from being several blocks."""
    if not program.has_blocks:
        return
    if not program.is_resident:
        yield "the keys of a block must stay in the buffer for all queries; say so, or have no blocks"
    if program.passes > 1:
        yield f"a program with blocks of keys must go over them once, not {program.passes} times; read keys anew"
    if program.has_state and program.state is None:
        yield "a program with running state between blocks must have a place for it in memory; give it a layout"
    for block in program.blocks:
        if not block.queries:
            yield (
                f"a block must have keys for a tile of queries, but all keys of its tiles {block.keys.start} to "
                f"{block.keys.stop - 1} are masked; leave them out, or read keys anew"
            )


def _buffer(program: Program) -> Iterator[str]:
    if program.slot_beats > program.shape.bank_beats:
        yield (
            f"beats of a tile's row must be at most the {program.shape.bank_beats} of a bank, not "
            f"{program.slot_beats}; use a larger array or a smaller tile"
        )
        return
    needed = len(program.blocks[0].keys) if program.is_resident else program.stages + 1
    if program.slots >= needed and _has_first_product(program) and has_stuck_heads(program):
        own = "block" if program.has_blocks else "head"
        yield (
            f"the buffer must have a place for the keys of the next {own} beside those of a {own} that stay, but has "
            f"{program.slots} for {needed}; make it larger, or read keys anew"
        )
    if program.slots < needed:
        yield f"the buffer must hold {needed} tiles of keys and values, not {program.slots}; make it larger"


def _has_first_product(program: Program) -> bool:
    return any(row.matrix.op == MatrixOp.PRODUCT and row.matrix.index == 0 for row in program.kernel)


def _layouts(program: Program) -> Iterator[str]:
    shape = program.shape
    operands = {"query": (program.query, program.product_steps), "key": (program.key, program.product_steps)}
    if program.value is not None:
        operands["value"] = program.value, program.value_steps
    least = {name: (layout, count * shape.operand_bytes) for name, (layout, count) in operands.items()}
    row_bytes = program.head_rows * shape.operand_bytes if program.has_operand_rows else 4 * program.queries
    least["output"] = program.output, row_bytes
    if program.has_state and program.state is not None:
        least["state"] = program.state, 4 * program.queries
    for name, (layout, row_bytes) in least.items():
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
    sums, results = slots.get("array SUM", []), _results(slots)
    if sums and sums[0] >= results[-1]:
        yield f"array SUM must be before the last result is there, and results leave, not at cycle {sums[0]}"
    if sums and interval < stages:
        yield f"the interval of a kernel must be at least the {stages} stages that a running sum takes, not {interval}"
    yield from _standstills(program, slots, interval)
    yield from _lifetimes(program, slots, interval, down)


def tiles_to_place(program: Program) -> int | None:
    """Return after how many tiles a tile of queries needs the place of the one two before; None if none does.

    From the last tile of that one on: those of the tile of queries between them, and one. With blocks, it is visits of
    tiles of queries that take places.
    """
    if len(program.visits) < 3:
        return None
    return program.passes * min(_shortest(program, block) for block in program.blocks if block.queries) + 1


def _shortest(program: Program, block: KeyBlock) -> int:
    """Return the fewest key tiles that a tile of queries has in a block: they grow, then stay, then become fewer."""
    return min(len(block.part_of(program.key_range(at))) for at in (block.queries[0], block.queries[-1]))


def has_stuck_heads(program: Program) -> bool:
    """Tell whether keys wait for places that tiles of the block before free only once they go on.

    Keys that stay in the buffer are freed by the last visit of their block, a few tiles after it began; where the
    buffer has no place beyond them, the next block begins too early. A head is a block if it has no smaller ones.
    """
    if not program.is_resident:
        return False
    times = [
        (row.matrix.op == MatrixOp.PRODUCT and row.matrix.index == 0, row.matrix.stage * program.interval + at)
        for at, row in enumerate(program.kernel)
        if row.matrix.op in (MatrixOp.PRODUCT, MatrixOp.COMBINE)
    ]
    begin, read = next(time for is_first, time in times if is_first), max(time for _, time in times)
    for number, block in _last_visits(program):
        own = program.visits[number].keys
        for ahead, key in enumerate(_keys_from(program, number + 1)):
            # All up to this one must be free; what is not of this block is a matter of another one.
            needed = key - program.slots + 1
            freed = next((at for at, each in enumerate(own[:-1]) if each + 1 >= needed), len(own) - 1)
            is_late = (len(own) - freed + ahead) * program.interval + begin <= read
            if block.start < needed <= block.stop and is_late:
                return True
    return False


def _last_visits(program: Program) -> Iterator[tuple[int, range]]:
    """Yield the number of the last visit of each block of the first head that another one follows, and its keys."""
    number = -1
    for block in program.blocks:
        number += program.group * len(block.queries)
        if number + 1 < len(program.visits):
            yield number, block.keys


def _keys_from(program: Program, first: int) -> Iterator[int]:
    """Yield the key tiles, counted over all heads, from a visit on, as many as the kernel works on at a time."""
    visits = program.visits[first : first + program.stages]
    keys = (visit.key_head * program.key_tiles + key for visit in visits for key in program.passes * (*visit.keys,))
    yield from islice(keys, program.stages)


def _starts(program: Program) -> dict[str, list[tuple[int, int]]]:
    """Return when tile 0 has its slots of every operation, with their indices, in order of time."""
    found: dict[str, list[tuple[int, int]]] = {}
    for at, row in enumerate(program.kernel):
        names = ("array", MatrixOp(_makes(row)), row.matrix), ("lane", VectorOp(row.vector.op), row.vector)
        for unit, op, field in names:
            if op:
                found.setdefault(f"{unit} {op.name}", []).append((field.stage * program.interval + at, field.index))
    return {key: sorted(times) for key, times in found.items()}


def _makes(row: Row) -> int:
    """Return the operation of the array in a row; a COMBINE that a lane takes for its sum stands for a SUM."""
    is_sum = row.matrix.op == MatrixOp.COMBINE and row.vector.op == VectorOp.ADD_DENOMINATOR
    return MatrixOp.SUM if is_sum else row.matrix.op


def _wrong_slots(program: Program, starts: dict[str, list[tuple[int, int]]]) -> Iterator[str]:
    """Yield a sentence for every operation that has not the slots that its kernel needs."""
    found = _slots_needed(program, starts)
    for key in {**found, **starts}:
        indices, needed = [index for _, index in starts.get(key, [])], found.get(key, range(0))
        if indices != list(needed):
            span = f"slots {needed.start} to {needed.stop - 1} in order, each once" if needed else "no slots"
            yield f"{key} must have {span}, not {indices}"
    yield from _wrong_kind(program, is_out="array OUT" in starts)
    yield from _wrong_passes(program)


def _slots_needed(program: Program, found: Mapping[str, list[tuple[int, int]]]) -> dict[str, range]:
    """Return which slots every operation must have, given which operations there are, and with which slots."""
    is_corrected = any(f"lane {op.name}" in found for op in _CORRECTED)
    numbers, one, results = program.shape.numbers, range(1), range(program.output_steps)
    needed = {"array PRODUCT": range(program.product_steps)}
    if "array OUT" in found:
        needed |= dict.fromkeys(("array OUT", "lane ADD"), range(program.shape.rows))
    else:
        needed |= dict.fromkeys(("array COMBINE", "lane NUMERATOR" if is_corrected else "lane ADD"), results)
    if {"array OUT"} == {"array OUT", "array MAXIMUM", "array SUM"} & {*found}:
        return needed
    weighs_sums = any(row.matrix.op == MatrixOp.COMBINE and _makes(row) == MatrixOp.SUM for row in program.kernel)
    summed = range(program.output_steps, program.output_steps + 1) if weighs_sums else one
    sums = {"array SUM": summed, "lane DENOMINATOR" if is_corrected else "lane ADD_DENOMINATOR": summed}
    mapped = _mapped(program, found)
    if mapped:
        # Nothing of other scores is needed to weight them by a sigmoid or a feature map.
        return needed | {"array EXPONENTIAL": mapped} | (sums if "array SUM" in found else {})
    needed |= {"array MAXIMUM": one, "lane MAXIMUM": one, "array EXPONENTIAL": numbers.exponential_slots}
    return needed | sums | ({"lane CORRECTION": range(len(LANE_STEPS))} if is_corrected else {})


def _mapped(program: Program, found: Mapping[str, list[tuple[int, int]]]) -> range | None:
    """Return the slots of a sigmoid or of a feature map, if it is one that EXPONENTIAL begins with."""
    numbers = program.shape.numbers
    (_, first), *_ = found.get("array EXPONENTIAL", [(0, 0)])
    return next((slots for slots in (numbers.sigmoid_slots, numbers.feature_slots) if first in slots), None)


def _wrong_kind(program: Program, *, is_out: bool) -> Iterator[str]:
    """Yield a sentence for what a program says of its results and its kernel does not do."""
    rows = program.shape.rows
    named = "a program whose kernel has array OUT" if is_out else "a program whose kernel has no array OUT"
    if (program.value is None) != is_out:
        yield f"{named} must have {'no values' if is_out else 'values'}; change their layout"
    if program.has_tile_results != is_out:
        yield f"{named} must {'have' if is_out else 'not have'} the flag of tile results, but has it otherwise"
    if is_out and program.output_steps != rows:
        yield f"{named} must have an output step for each of {rows} rows, not {program.output_steps}"
    if program.has_statistics and (is_out or not program.has_maxima):
        yield "a program must not have statistics if its kernel has array OUT, or no maxima"
    if program.has_statistics and program.has_operand_rows:
        yield "a program must not have statistics if its results leave as operands, which sums and maxima do not"
    has_sums = any(_makes(row) == MatrixOp.SUM for row in program.kernel)
    if program.is_divided and not has_sums:
        yield "a program must not have its results divided if its kernel has no sums"


_TAKERS = {
    MatrixOp.MAXIMUM: (VectorOp.MAXIMUM,),
    MatrixOp.SUM: (VectorOp.DENOMINATOR, VectorOp.ADD_DENOMINATOR),
    MatrixOp.COMBINE: (VectorOp.NUMERATOR, VectorOp.ADD, VectorOp.ADD_DENOMINATOR),
    MatrixOp.OUT: (VectorOp.ADD,),
}
"""What the lanes do with what an operation of the array sends them."""


_CORRECTED = VectorOp.CORRECTION, VectorOp.NUMERATOR, VectorOp.DENOMINATOR


def _wrong_passes(program: Program) -> Iterator[str]:
    """Yield a sentence for every operation that is in a pass over the keys in which it must not be, or not in one."""
    every, last = (1 << program.passes) - 1, 1 << (program.passes - 1)
    is_corrected = any(row.vector.op in _CORRECTED for row in program.kernel)
    # Without corrections, nothing may be weighted before the maximum of all keys is there, if one is needed.
    needs_all = not is_corrected and any(row.matrix.op == MatrixOp.MAXIMUM for row in program.kernel)
    weighted = every & ~1 if needs_all else every
    allowed = {
        MatrixOp.PRODUCT: (every, every),
        MatrixOp.MAXIMUM: (every, every),
        MatrixOp.EXPONENTIAL: (1 << program.captured_pass | last, weighted),
        MatrixOp.SUM: (1 << program.captured_pass, weighted),
        MatrixOp.COMBINE: (last, last),
        MatrixOp.OUT: (last, last),
    }
    for number, row in enumerate(program.kernel):
        sent = MatrixOp(row.matrix.op)
        takers, taker = _TAKERS.get(sent, ()), row.vector
        if takers and (taker.op not in takers or replace(row.matrix, op=taker.op) != taker):
            names = " or ".join(op.name for op in takers)
            with_it = "with its index, stage and passes"
            yield f"row {number} must have lane {names} {with_it}, for what array {sent.name} sends; correct it"
        least, most = allowed.get(MatrixOp(_makes(row)), (0, EVERY_PASS))
        if least & ~row.matrix.passes or row.matrix.passes & every & ~most:
            yield f"array {sent.name} must not be in the passes that row {number} says, of {program.passes}; correct it"
        if taker.op == VectorOp.CORRECTION and every & ~taker.passes:
            yield f"lane CORRECTION must be in every pass, but is not in row {number}; correct it"
    if is_corrected and program.passes > 1:
        yield f"a program with corrections must go over its keys once, not {program.passes} times"


def _orders(stages: int, down: int) -> Iterator[tuple[str, str, int]]:
    yield "array PRODUCT", "array MAXIMUM", stages
    yield "array PRODUCT", "array OUT", stages
    yield "array PRODUCT", "array EXPONENTIAL", stages
    yield "array MAXIMUM", "array EXPONENTIAL", down + RETURN_CYCLES
    yield "array EXPONENTIAL", "array SUM", stages
    yield "array EXPONENTIAL", "array COMBINE", stages
    yield "array EXPONENTIAL", "array OUT", stages
    yield "lane MAXIMUM", "lane CORRECTION", 1
    yield "lane CORRECTION", "lane DENOMINATOR", stages
    yield "lane CORRECTION", "lane NUMERATOR", stages


def _standstills(program: Program, slots: dict[str, list[int]], interval: int) -> Iterator[str]:
    """Yield what a tile would wait for that leaves the corner later than the tile itself, so that it waits forever."""
    tiles = tiles_to_place(program)
    results = _results(slots)
    writes = [*results, *slots.get("array SUM", [])]
    resumes = min([*writes, *slots.get("array MAXIMUM", [])])
    if program.has_state:
        # The place of results is filled with running state before the first of these.
        writes.append(resumes)
    waits = [("array PRODUCT", tiles, slots["array PRODUCT"][-1] - slots["array PRODUCT"][0])]
    waits.append(("the results of a tile", 2 if program.has_tile_results else tiles, results[-1] - min(writes)))
    for what, distance, cycles in waits:
        if distance is not None and cycles >= distance * interval:
            yield (
                f"{what} must take at most {distance * interval} cycles, for then its place is taken, "
                f"not {cycles + 1}; use a schedule with shorter products, or longer tiles of queries"
            )
    distance = _tiles_to_resume(program)
    if distance is not None and results[-1] - resumes >= distance * interval:
        yield (
            f"from taking a maximum to the last result a tile must take at most {distance * interval} cycles, for then "
            f"its running state is needed in the next block, not {results[-1] - resumes + 1}; use other blocks, or "
            "read keys anew"
        )


def _tiles_to_resume(program: Program) -> int | None:
    """Return after how many tiles a query tile goes on in the next block, at least; None if none does."""
    found: list[int] = []
    for one, two in pairwise(program.blocks if program.has_state else ()):
        common = one.queries.stop - two.queries.start
        others = common - 1 + (program.group - 1) * min(len(one.queries), len(two.queries))
        if common > 0:
            found.append(1 + others * min(_shortest(program, one), _shortest(program, two)))
    return min(found, default=None)


def _results(slots: dict[str, list[int]]) -> list[int]:
    """Return when the results of a tile are added up."""
    return slots.get("array COMBINE") or slots.get("array OUT", [])


def _lifetimes(program: Program, slots: dict[str, list[int]], interval: int, down: int) -> Iterator[str]:
    """Yield what lives longer than there are copies of it."""
    last = max((slots[key][-1] for key in ("array SUM", "array COMBINE", "array OUT") if key in slots), default=0)
    begin = slots.get("array PRODUCT", [0])[0]
    lives = [("a score", last + 1 - begin, program.contexts)]
    if "lane CORRECTION" in slots:
        lives.append(("a correction", last + 1 - slots["lane MAXIMUM"][0], program.queue))
    elif "lane MAXIMUM" in slots:
        # A sum that leaves takes the maximum with it.
        used = slots["array SUM" if program.has_statistics else "array EXPONENTIAL"][0]
        lives.append(("a maximum", used + 1 - slots["lane MAXIMUM"][0], program.queue))
    for key in ("array EXPONENTIAL", "lane CORRECTION"):
        if key in slots:
            lives.append((f"what {key} works on", slots[key][-1] + 1 - slots[key][0], 1))
    for what, cycles, copies in lives:
        if cycles > copies * interval:
            yield f"{what} must live at most {copies * interval} cycles ({copies} of {interval}), not {cycles}"
