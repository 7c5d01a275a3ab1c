"""The kernel table of an array: the slots of a tile, which follow from the works of its kernel, scheduled.

Every operation of a tile is a chain of slots. Times are those of the corner: an instruction reaches the vector row
`stages * rows` cycles later, together with what the array computed for it, so a vector operation that takes what
arrives is one with the operation that sends it. Source of the slots: FuseMax (arXiv 2406.10491), Sec. V; we differ in
scheduling single slots, so that dependent steps of a pipelined multiply-add lose none.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from einsum_cascade.array.instruction import EVERY_PASS, NOTHING, RETURN_CYCLES, Field, MatrixOp, Row, VectorOp
from einsum_cascade.array.numbers import LANE_STEPS
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.recognition.patterns import WEIGHTS, Kernel, Role
from einsum_cascade.schedule.graph import Context, Dependence, OperationGraph, Resource, TileOperation, Use
from einsum_cascade.schedule.ir import Schedule

__all__ = ["MATRIX", "VECTOR", "Slots", "kernel_of", "rows_of", "tile_graph"]

MATRIX, VECTOR = "2d", "1d"
"""The engines, as the presets of architectures call them."""


@dataclass(frozen=True, slots=True)
class Slots:
    """An operation of a tile.

    Parameters
    ----------
    name
        Of the Einsums that it does.
    matrix, vector
        What the array and the vector row do in its slots; `NONE` where they do nothing.
    count
        Slots.
    spacing
        Cycles from a slot to the next: the stages of the multiply-add where each needs the one before.
    first
        Index of the first slot.
    passes
        In which passes over the keys it is done: bit n for pass n.
    waits
        What it waits for, of operations that may be in the tile.
    holds
        Places that it takes and that it or another operation of the tile frees.
    frees_scores
        Whether scores are needed no more after the last operation that says so.

    """

    name: str
    matrix: MatrixOp
    vector: VectorOp
    count: int = 1
    spacing: int = 1
    first: int = 0
    passes: int = EVERY_PASS
    waits: tuple[Dependence, ...] = ()
    holds: tuple[Context, ...] = ()
    frees_scores: bool = False

    @property
    def operation(self) -> TileOperation:
        """The operation for the scheduler."""
        if self.matrix == MatrixOp.NONE:
            return TileOperation(self.name, VECTOR, slots=self.count, spacing=self.spacing)
        rides = (Use(VECTOR),) if self.vector != VectorOp.NONE else ()
        return TileOperation(self.name, MATRIX, slots=self.count, spacing=self.spacing, uses=rides)


@dataclass(frozen=True, slots=True)
class _Tile:
    """What the slots of a work depend on: its kernel, the array, E and F."""

    kernel: Kernel
    shape: ArrayShape
    steps: int
    outputs: int

    @property
    def back(self) -> int:
        """Cycles after its slot in which a result of the multiply-add is not there yet."""
        return self.shape.stages - 1

    def after(self, consumer: str, *producers: str) -> Iterator[Dependence]:
        """Yield what waits for results of the multiply-add."""
        return (Dependence(producer, consumer, self.back) for producer in producers)

    def passes(self, first: int, last: int | None = None) -> int:
        """Return a mask of passes, from one to another, the last one if it is not told; all if there is one pass."""
        end = self.kernel.passes if last is None else last + 1
        return EVERY_PASS if self.kernel.passes == 1 else (1 << end) - (1 << first)

    @property
    def last(self) -> int:
        """The mask of the last pass."""
        return self.passes(self.kernel.passes - 1)


def _product(tile: _Tile) -> Iterator[Slots]:
    yield Slots("product", MatrixOp.PRODUCT, VectorOp.NONE, tile.steps, tile.shape.stages)


def _maximum(tile: _Tile) -> Iterator[Slots]:
    yield Slots("maximum", MatrixOp.MAXIMUM, VectorOp.MAXIMUM, waits=(*tile.after("maximum", "product"),))


def _exponential(tile: _Tile) -> Iterator[Slots]:
    """Yield the subtraction of the maximum, once it has come back up the columns, and the slots that follow it."""
    shape, passes = tile.shape, tile.passes(1)
    returned = Dependence("maximum", "subtract", shape.stages * shape.rows + RETURN_CYCLES - 1)
    temporaries = Context("PE temporaries", 1, "subtract", ("exponential",))
    yield Slots(
        *("subtract", MatrixOp.EXPONENTIAL, VectorOp.NONE), passes=passes, waits=(returned,), holds=(temporaries,)
    )
    rest = len(shape.numbers.exponential_slots) - 1
    waits = (*tile.after("exponential", "subtract"),)
    yield Slots(*("exponential", MatrixOp.EXPONENTIAL, VectorOp.NONE, rest, shape.stages, 1, passes), waits=waits)


def _elementwise(name: str, slots: range, tile: _Tile) -> Iterator[Slots]:
    """Yield a function of the scores by which weights are made in one go."""
    temporaries = Context("PE temporaries", 1, name, (name,))
    yield Slots(
        *(name, MatrixOp.EXPONENTIAL, VectorOp.NONE, len(slots), tile.shape.stages, slots.start),
        waits=(*tile.after(name, "product"),),
        holds=(temporaries,),
    )


def _summed(tile: _Tile, matrix: MatrixOp, first: int = 0) -> Iterator[Slots]:
    """Yield the sum of weights that results are divided by. Sums that leave are one more of the results instead."""
    if tile.kernel.is_divided:
        vector = VectorOp.DENOMINATOR if "correction" in tile.kernel.roles else VectorOp.ADD_DENOMINATOR
        waits = (*tile.after("sum", *WEIGHTS, "correction"), Dependence("sum", "sum", tile.back, 1))
        yield Slots("sum", matrix, vector, first=first, passes=tile.passes(1, 1), waits=waits, frees_scores=True)


def _combine(tile: _Tile) -> Iterator[Slots]:
    vector = VectorOp.NUMERATOR if "correction" in tile.kernel.roles else VectorOp.ADD
    # Results leave as soon as the last product is there, and the sum that divides them must be there by then.
    waits = (
        *tile.after("combine", *WEIGHTS, "correction"),
        Dependence("sum", "combine"),
        Dependence("combine", "combine", tile.shape.stages, 1, "stream"),
    )
    yield Slots(*("combine", MatrixOp.COMBINE, vector, tile.outputs), passes=tile.last, waits=waits, frees_scores=True)


def _out(tile: _Tile) -> Iterator[Slots]:
    """Yield the slots in which what stands in the rows of PEs leaves, a row in each."""
    waits = (*tile.after("out", "product", *WEIGHTS), Dependence("sum", "out"))
    yield Slots(*("out", MatrixOp.OUT, VectorOp.ADD, tile.shape.rows), passes=tile.last, waits=waits, frees_scores=True)


def _correction(tile: _Tile) -> Iterator[Slots]:
    temporaries = Context("lane temporaries", 1, "correction", ("correction",))
    yield Slots(
        *("correction", MatrixOp.NONE, VectorOp.CORRECTION, len(LANE_STEPS), tile.shape.stages),
        waits=(Dependence("maximum", "correction"),),
        holds=(temporaries,),
    )


_SLOTS: Mapping[Role, Callable[[_Tile], Iterator[Slots]]] = {
    "maximum": _maximum,
    "exponential": _exponential,
    "sigmoid": lambda tile: _elementwise("sigmoid", tile.shape.numbers.sigmoid_slots, tile),
    "feature": lambda tile: _elementwise("feature", tile.shape.numbers.feature_slots, tile),
    "sum": lambda tile: _summed(tile, MatrixOp.SUM),
    # Features are weighted by one more operand of the values, for the sums that divide the results.
    "weighted sum": lambda tile: _summed(tile, MatrixOp.COMBINE, tile.outputs),
    "combine": _combine,
    "weights": _out,
    "correction": _correction,
}
"""The slots of a work. Scores always have theirs (given ones are multiplied by 1); works without any ride on others."""


def kernel_of(kernel: Kernel, shape: ArrayShape, steps: int, outputs: int) -> tuple[Slots, ...]:
    """Return the operations of a tile.

    Parameters
    ----------
    kernel
        The works that are done together.
    shape
        The array.
    steps, outputs
        E, and F.

    """
    tile = _Tile(kernel, shape, steps, outputs)
    works = [_product, *(_SLOTS[role] for role in kernel.roles if role in _SLOTS)]
    if kernel.is_product:
        works.append(_out)
    return tuple(slots for work in works for slots in work(tile))


def tile_graph(
    slots: tuple[Slots, ...], shape: ArrayShape, products: int | None = None, *, keeps_maxima: bool = False
) -> OperationGraph:
    """Return the graph that the scheduler takes.

    Parameters
    ----------
    slots, shape
        The operations of a tile, and the array.
    products
        Tiles that may be in their products at a time; as many as there are contexts if not given.
    keeps_maxima
        Whether a maximum leaves with the sum.

    """
    names = {each.name for each in slots}
    edges = tuple(edge for each in slots for edge in each.waits if edge.producer in names)
    last = tuple(each.name for each in slots if each.frees_scores)
    contexts = [Context("score", shape.contexts, "product", last)]
    if products is not None:
        contexts.append(Context("queries", products, "product", ("product",)))
    for each in slots:
        if each.vector == VectorOp.MAXIMUM:
            is_corrected = any(other.vector == VectorOp.CORRECTION for other in slots)
            users = last if is_corrected or keeps_maxima else ("subtract",)
            contexts.append(Context("queue", shape.queue, each.name, users))
        contexts += each.holds
    return OperationGraph(
        (Resource(MATRIX), Resource(VECTOR)), tuple(each.operation for each in slots), edges, tuple(contexts)
    )


def rows_of(slots: tuple[Slots, ...], schedule: Schedule) -> tuple[Row, ...]:
    """Return the kernel table of a schedule.

    Raises
    ------
    IllegalMappingError
        The interval or a start is no whole number of cycles.

    """
    interval = schedule.interval
    if not isinstance(interval, int):
        raise IllegalMappingError([f"the interval of a kernel must be a whole number of cycles, not {interval}"])
    rows = [Row()] * interval
    for each in slots:
        for index, start in enumerate(schedule.starts(each.name)):
            stage, at = divmod(int(start), interval)
            rest = each.first + index, stage, each.passes
            matrix = Field(each.matrix, *rest) if each.matrix != MatrixOp.NONE else None
            vector = Field(each.vector, *rest) if each.vector != VectorOp.NONE else None
            rows[at] = _joined(rows[at], matrix, vector)
    return tuple(rows)


def _joined(row: Row, matrix: Field | None, vector: Field | None) -> Row:
    assert matrix is None or row.matrix == NOTHING, row
    assert vector is None or row.vector == NOTHING, row
    return replace(row, matrix=matrix or row.matrix, vector=vector or row.vector)
