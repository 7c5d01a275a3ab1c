"""From what the array does for a cascade to its program: a scheduled kernel, loops, masks, and a layout of memory."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from einsum_cascade.analysis.target import partitions
from einsum_cascade.array.instruction import MatrixOp
from einsum_cascade.array.program import STATE_WORDS, Layout, Program
from einsum_cascade.array.program_rules import (
    check_program,
    has_stuck_heads,
    tiles_to_place,
    unmet_registers,
    violations,
)
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.cascade.extent import ONE
from einsum_cascade.errors import IllegalMappingError, InfeasibleMappingError, KernelError
from einsum_cascade.lowering.kernel import Slots, kernel_of, rows_of, tile_graph
from einsum_cascade.mapping.capacity import Infeasibility
from einsum_cascade.mapping.workload import range_of
from einsum_cascade.recognition.factors import scale_of
from einsum_cascade.recognition.head_masks import Band
from einsum_cascade.recognition.heads import Heads
from einsum_cascade.recognition.scaling import scaling_of
from einsum_cascade.recognition.works import ArrayWork
from einsum_cascade.schedule.interval_bounds import recurrence_bound
from einsum_cascade.schedule.ir import Schedule
from einsum_cascade.schedule.modulo import modulo_schedule
from einsum_cascade.schedule.problem import lower

__all__ = ["Extents", "Lowered", "extents_of", "lower_program", "sizes_of"]

_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Extents:
    """The sizes of the work of an array.

    Parameters
    ----------
    steps, outputs
        E, and F (the rows of a tile where scores are the results).
    keys, queries
        M, and P.
    key_heads, group
        Heads of keys, and query heads for each.
    band
        What of the scores is kept.
    scale, bias
        What a score less its maximum is multiplied by, before an exponential; or a score before a sigmoid, and what is
        added to it then.

    """

    steps: int
    outputs: int
    keys: int
    queries: int
    key_heads: int
    group: int
    band: Band
    scale: float = 1.0
    bias: float = 0.0


@dataclass(frozen=True, slots=True)
class Lowered:
    """A program and the schedule that its kernel is from.

    Parameters
    ----------
    program
        What the array executes.
    schedule
        Of the operations of a tile, in the time of the corner.

    """

    program: Program
    schedule: Schedule


def sizes_of(work: ArrayWork, extents: Mapping[str, int]) -> dict[str, int]:
    """Return the coordinates of every range of a work, if it can go over them.

    Raises
    ------
    IllegalMappingError
        A range that the array goes over has no coordinate, or its tiles are not all of it.
    KernelError
        Heads are the parts of a rank that do not fill them.

    """
    uneven = [*_uneven_heads(work, extents)]
    if uneven:
        raise KernelError(uneven)
    sizes = work.sizes(extents)
    unmet = [*_unmet_ranges(work, extents, sizes)]
    if unmet:
        raise IllegalMappingError(unmet)
    return sizes


def _uneven_heads(work: ArrayWork, extents: Mapping[str, int]) -> Iterator[str]:
    for ranks, whole in partitions(work.cascade).items():
        count = math.prod(extents[rank] for rank in ranks)
        if range_of(ranks, whole) in work.workload.apart and count != extents[whole]:
            yield f"the parts of rank {whole} must have its {extents[whole]} coordinates for the array, not {count}"


def _unmet_ranges(work: ArrayWork, extents: Mapping[str, int], sizes: Mapping[str, int]) -> Iterator[str]:
    parts = work.workload.parts.values()
    used = {work.rows, work.columns, work.steps, work.outputs, *work.shared, *work.group}
    ranks = {part.range: part.extent for part in parts if part.range in used}
    for name, rank in ranks.items():
        covered = max(p.unit.evaluate(extents) * p.limit.evaluate(extents) for p in parts if p.range == name)
        if not sizes[name]:
            yield f"rank {rank} must have a coordinate for the array, but has none; set it so"
        elif covered < sizes[name]:
            yield (
                f"the tiles of rank {rank} must be all of its {sizes[name]} coordinates for the array, not {covered}; "
                "set more of them, or a smaller rank"
            )


def extents_of(work: ArrayWork, extents: Mapping[str, int], shape: ArrayShape, heads: Heads) -> Extents:
    """Return the sizes of the work of an array on some heads.

    Parameters
    ----------
    work
        What it does.
    extents
        Of all ranks.
    shape
        The array.
    heads
        Of keys; which of them, and their mask.

    Raises
    ------
    IllegalMappingError
        As of `sizes_of`.
    InfeasibleMappingError
        The partition of the cascade is not that of the array's rows.

    """
    parts = work.workload.parts
    sizes = sizes_of(work, extents)
    tiles = [p.limit.evaluate(extents) for p in parts.values() if p.range == work.rows and p.unit == ONE]
    if work.kernel.is_tiled and tiles != [shape.rows]:
        raise InfeasibleMappingError(
            [f"a tile of keys must have a coordinate for each of the {shape.rows} rows, not {tiles[0]}; set it so"]
        )
    band = heads.band.of(sizes[work.rows], sizes[work.columns])
    keys = sizes[work.rows] if band.keys is None else min(sizes[work.rows], band.keys)
    if keys < 1:
        # A head has a key at the least, which is then masked for every query.
        keys, band = 1, band.within(Band(high=-sizes[work.columns]))
    queries, count = sizes[work.columns], len(heads.numbers)
    if band.high is not None and work.value is not None:
        # Keys that are masked for every query are not read. Where scores leave, a row of zeros does.
        keys = max(1, min(keys, queries + band.high))
    if work.steps is None:
        # Scores that are given are products with the identity: a head has as many queries as the array has columns.
        queries, count = shape.columns, count * -(-queries // shape.columns)
    return Extents(
        queries if work.steps is None else sizes[work.steps],
        shape.rows if work.outputs is None else sizes[work.outputs] + (work.sums is not None),
        keys,
        queries,
        count,
        math.prod(sizes[name] for name in work.group),
        band,
        *_scaling(work, extents),
    )


def _scaling(work: ArrayWork, extents: Mapping[str, int]) -> tuple[float, float]:
    """Return the scale and the bias of scores."""
    if "sigmoid" in work.tasks:
        return scaling_of(work.tasks["sigmoid"], extents)
    return scale_of(work.scaled, extents), 0.0


def lower_program(work: ArrayWork, extents: Extents, shape: ArrayShape, *, kept_tiles: int | None = None) -> Lowered:
    """Return the program of an array for the work of a cascade.

    Parameters
    ----------
    work, extents, shape
        What is done, how much of it, and on what.
    kept_tiles
        How many tiles of keys and values stay in the buffer for all queries of a head: all, if there are no more, or
        block by block; 0, if every query tile reads them anew. If not given, all stay where they fit, else the largest
        blocks that can be, else none.

    Raises
    ------
    InfeasibleMappingError
        The work does not fit the array; every demand beyond its bound.

    """
    slots = kernel_of(work.kernel, shape, extents.steps, extents.outputs)
    unmet = [*_unmet(extents, shape, _values(slots))]
    if unmet:
        raise InfeasibleMappingError(unmet)
    keeps = bool(work.statistics)
    found = _lowered(work, extents, shape, slots, _scheduled(slots, shape, keeps_maxima=keeps), kept_tiles)
    most, schedule = tiles_to_place(found.program), found.schedule
    products = schedule.starts("product")
    if most is not None and products[-1] - products[0] >= most * schedule.interval:
        # Queries have two places: the next but one must not need that of products that are still to leave.
        schedule = _scheduled(slots, shape, most, keeps_maxima=keeps)
        found = _lowered(work, extents, shape, slots, schedule, kept_tiles)
    check_program(found.program)
    return found


def _lowered(
    work: ArrayWork,
    extents: Extents,
    shape: ArrayShape,
    slots: tuple[Slots, ...],
    schedule: Schedule,
    kept_tiles: int | None,
) -> Lowered:
    in_flight = {context.name: schedule.contexts_needed(context.name) for context in schedule.graph.contexts}
    layouts = _layouts(extents, shape, _values(slots), STATE_WORDS if work.statistics else 0)
    program = Program(
        shape=shape,
        kernel=rows_of(slots, schedule),
        contexts=in_flight["score"],
        queue=in_flight.get("queue", 1),
        product_steps=extents.steps,
        output_steps=extents.outputs,
        keys=extents.keys,
        queries=extents.queries,
        query=layouts["query"],
        key=layouts["key"],
        value=layouts.get("value"),
        output=layouts["output"],
        state=layouts.get("state"),
        key_heads=extents.key_heads,
        group=extents.group,
        passes=work.kernel.passes,
        is_divided=work.kernel.is_divided,
        has_tile_results=work.value is None,
        has_statistics=bool(work.statistics),
        scale=extents.scale,
        bias=extents.bias,
        diagonal_high=extents.band.high,
        diagonal_low=extents.band.low,
    )
    too_large = [*unmet_registers(program)]
    if too_large:
        raise InfeasibleMappingError(too_large)
    program = _kept(program, kept_tiles)
    return Lowered(program if program.has_state else replace(program, state=None), schedule)


def _kept(program: Program, kept_tiles: int | None) -> Program:
    """Return the program with so many tiles of keys that stay; if not told, as many as can."""
    if kept_tiles is None:
        if program.key_tiles <= program.slots and not has_stuck_heads(program):
            return program
        return _in_blocks(program) or replace(program, is_resident=False)
    if kept_tiles >= program.key_tiles:
        return program
    return replace(program, block_tiles=kept_tiles) if kept_tiles else replace(program, is_resident=False)


def _in_blocks(program: Program) -> Program | None:
    """Return the program over the fewest blocks of keys that can be, about as long as each other; None if none can.

    They leave room for the tiles that the kernel works on at a time and one more, so that the next block comes while
    the last query tile is in this one. With one query tile a head, blocks would save nothing.
    """
    most = program.slots - program.stages - 1
    if most < 1 or program.group * program.query_tiles == 1:
        return None
    fewest = -(-program.key_tiles // most)
    for count in range(fewest, min(2 * fewest, program.key_tiles) + 1):
        found = replace(program, block_tiles=-(-program.key_tiles // count))
        if not violations(found):
            return found
    return None


def _scheduled(
    slots: tuple[Slots, ...], shape: ArrayShape, products: int | None = None, *, keeps_maxima: bool
) -> Schedule:
    """Return a schedule of the least interval that was found, in as few contexts as that takes.

    The scheduler leaves a tile more time the more contexts there are, which lengthens prologue and epilogue.
    """
    found = modulo_schedule(tile_graph(slots, shape, products, keeps_maxima=keeps_maxima))
    for contexts in range(1, found.contexts_needed("score")):
        graph = tile_graph(slots, replace(shape, contexts=contexts), products, keeps_maxima=keeps_maxima)
        if recurrence_bound(lower(graph)).cycles <= found.interval:
            tried = modulo_schedule(graph)
            if tried.interval <= found.interval:
                return tried
    return found


def _values(slots: tuple[Slots, ...]) -> int:
    """Return how many operands of a value are read; 0 if there are no values."""
    return max((each.first + each.count for each in slots if each.matrix == MatrixOp.COMBINE), default=0)


def _layouts(extents: Extents, shape: ArrayShape, values: int, more: int) -> dict[str, Layout]:
    """Lay out tensors one after the other, each from a page on, rows from a beat on; results have so many rows more."""
    beat, operand = shape.beat_bytes, shape.operand_bytes
    heads, tiles = extents.key_heads * extents.group, -(-extents.queries // shape.columns)
    sizes = {
        "query": (heads, extents.queries, extents.steps * operand),
        "key": (extents.key_heads, extents.keys, extents.steps * operand),
        "value": (extents.key_heads, extents.keys, values * operand),
        "output": (heads, extents.outputs + more if values else extents.keys, tiles * shape.result_bytes),
        "state": (heads, extents.outputs + STATE_WORDS if values else 0, tiles * shape.result_bytes),
    }
    found: dict[str, Layout] = {}
    address = 0
    for name, (count, rows, row_bytes) in sizes.items():
        if not rows * row_bytes:
            continue
        stride = -(-row_bytes // beat) * beat
        found[name] = Layout(address, stride, rows * stride)
        address += -(-count * rows * stride // _PAGE) * _PAGE
    return found


def _unmet(extents: Extents, shape: ArrayShape, values: int) -> list[Infeasibility]:
    demands = (
        ("operands of a key", extents.steps, shape.product_steps),
        ("operands of a value", max(values, extents.outputs), shape.output_steps),
    )
    return [
        Infeasibility(what, demand, bound, "operands", f"generate the array for {demand}")
        for what, demand, bound in demands
        if demand > bound
    ]
