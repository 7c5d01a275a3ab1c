"""The kernel table of an array: the slots of a tile, scheduled.

Every operation of a tile is a chain of slots. Times are those of the corner: an instruction reaches the vector row
`stages * rows` cycles later, together with what the array computed for it, so a vector operation that takes what
arrives is one with the operation that sends it. Source of the slots: FuseMax (arXiv 2406.10491), Sec. V; we differ in
scheduling single slots, so that dependent steps of a pipelined multiply-add lose none.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from einsum_cascade.array.instruction import EVERY_PASS, NOTHING, RETURN_CYCLES, Field, MatrixOp, Row, VectorOp
from einsum_cascade.array.numbers import LANE_STEPS
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.schedule.graph import Context, Dependence, Operation, OperationGraph, Resource, Use
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

    """

    name: str
    matrix: MatrixOp
    vector: VectorOp
    count: int = 1
    spacing: int = 1
    first: int = 0
    passes: int = EVERY_PASS

    @property
    def operation(self) -> Operation:
        """The operation for the scheduler."""
        if self.matrix == MatrixOp.NONE:
            return Operation(self.name, VECTOR, slots=self.count, spacing=self.spacing)
        rides = (Use(VECTOR),) if self.vector != VectorOp.NONE else ()
        return Operation(self.name, MATRIX, slots=self.count, spacing=self.spacing, uses=rides)


def kernel_of(kernel: str, shape: ArrayShape, steps: int, outputs: int) -> tuple[Slots, ...]:
    """Return the operations of a tile.

    Parameters
    ----------
    kernel
        A name of `recognition.KERNELS`.
    shape
        The array.
    steps, outputs
        E, and F.

    """
    stages, exponential = shape.stages, len(shape.numbers.exponential_slots)
    product = Slots("product", MatrixOp.PRODUCT, VectorOp.NONE, steps, stages)
    maximum = Slots("maximum", MatrixOp.MAXIMUM, VectorOp.MAXIMUM)

    def weights(passes: int) -> tuple[Slots, ...]:
        rest = Slots(
            "exponential", MatrixOp.EXPONENTIAL, VectorOp.NONE, exponential - 1, stages, first=1, passes=passes
        )
        return Slots("subtract", MatrixOp.EXPONENTIAL, VectorOp.NONE, passes=passes), rest

    match kernel:
        case "product":
            return product, Slots("out", MatrixOp.OUT, VectorOp.ADD, shape.rows)
        case "attention":
            return (
                product,
                maximum,
                *weights(EVERY_PASS),
                Slots("sum", MatrixOp.SUM, VectorOp.DENOMINATOR),
                Slots("combine", MatrixOp.COMBINE, VectorOp.NUMERATOR, outputs),
                Slots("correction", MatrixOp.NONE, VectorOp.CORRECTION, len(LANE_STEPS), stages),
            )
        case "sigmoid attention":
            slots = shape.numbers.sigmoid_slots
            return (
                product,
                Slots("sigmoid", MatrixOp.EXPONENTIAL, VectorOp.NONE, len(slots), stages, first=slots.start),
                Slots("combine", MatrixOp.COMBINE, VectorOp.ADD, outputs),
            )
        case "feature product" | "feature sums" | "feature attention" | "linear attention":
            return product, *_features(kernel, shape, outputs)
        case "two-pass attention":
            return (
                product,
                maximum,
                *weights(0b10),
                Slots("sum", MatrixOp.SUM, VectorOp.ADD_DENOMINATOR, passes=0b10),
                Slots("combine", MatrixOp.COMBINE, VectorOp.ADD, outputs, passes=0b10),
            )
        case "softmax":
            return (
                product,
                maximum,
                *weights(0b110),
                Slots("sum", MatrixOp.SUM, VectorOp.ADD_DENOMINATOR, passes=0b010),
                Slots("out", MatrixOp.OUT, VectorOp.ADD, shape.rows, passes=0b100),
            )
        case _:
            raise AssertionError(kernel)


def _features(kernel: str, shape: ArrayShape, outputs: int) -> Iterator[Slots]:
    """Yield the slots of a feature map, what divides its results if anything does, and its products with values."""
    slots = shape.numbers.feature_slots
    yield Slots("feature", MatrixOp.EXPONENTIAL, VectorOp.NONE, len(slots), shape.stages, first=slots.start)
    if kernel == "feature attention":
        yield Slots("sum", MatrixOp.SUM, VectorOp.ADD_DENOMINATOR)
    if kernel == "linear attention":
        # Features are weighted by one more operand of the values, for the sums that divide the results.
        yield Slots("sum", MatrixOp.COMBINE, VectorOp.ADD_DENOMINATOR, first=outputs)
    yield Slots("combine", MatrixOp.COMBINE, VectorOp.ADD, outputs)


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
    edges = tuple(edge for edge in _dependences(shape) if {edge.producer, edge.consumer} <= names)
    last = tuple(name for name in ("sum", "combine", "out") if name in names)
    contexts = [Context("score", shape.contexts, "product", last)]
    if products is not None:
        contexts.append(Context("queries", products, "product", ("product",)))
    if "maximum" in names:
        users = last if "correction" in names or keeps_maxima else ("subtract",)
        contexts.append(Context("queue", shape.queue, "maximum", users))
        contexts.append(Context("PE temporaries", 1, "subtract", ("exponential",)))
    contexts += [Context("PE temporaries", 1, name, (name,)) for name in ("sigmoid", "feature") if name in names]
    if "correction" in names:
        contexts.append(Context("lane temporaries", 1, "correction", ("correction",)))
    return OperationGraph(
        (Resource(MATRIX), Resource(VECTOR)), tuple(each.operation for each in slots), edges, tuple(contexts)
    )


def _dependences(shape: ArrayShape) -> Iterator[Dependence]:
    """Yield what waits for what: a result of the multiply-add is there `stages` cycles after its slot."""
    back, down = shape.stages - 1, shape.stages * shape.rows
    for producer, consumer in (
        ("product", "maximum"),
        ("product", "out"),
        ("product", "sigmoid"),
        ("sigmoid", "combine"),
        ("product", "feature"),
        ("feature", "sum"),
        ("feature", "combine"),
        ("subtract", "exponential"),
        ("exponential", "sum"),
        ("exponential", "combine"),
        ("exponential", "out"),
        ("correction", "sum"),
        ("correction", "combine"),
    ):
        yield Dependence(producer, consumer, back)
    # Results leave as soon as the last product is there, and the sum that divides them must be there by then.
    yield Dependence("sum", "combine")
    yield Dependence("sum", "out")
    yield Dependence("maximum", "subtract", down + RETURN_CYCLES - 1)
    yield Dependence("maximum", "correction")
    yield Dependence("sum", "sum", back, 1)
    yield Dependence("combine", "combine", shape.stages, 1, "stream")


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
