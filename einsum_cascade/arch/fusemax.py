"""The family `fusemax-NxN`: a square array with a vector row, for every N, as the RTL builds it.

It has FuseMax's arrays at any size. It differs from the published machine (`fusemax-cloud`) in that every PE has as
many contexts as the interval needs, the running state of the vector row is in fp32, and the buffer has a bandwidth.

References
----------
Nayak et al., FuseMax (arXiv 2406.10491), for operations, energies and areas; `docs/machines.md` for the rest.

"""

from fractions import Fraction

from einsum_cascade.arch.components import (
    CITATION,
    PUBLISHED_COMPONENTS,
    PUBLISHED_MEMORIES,
    published_memory,
    register_file_area_um2,
    register_file_energies,
    scaled_memory,
)
from einsum_cascade.arch.ir import Architecture, Engine, Link, Memory, Operation, RegisterFile
from einsum_cascade.arch.validation import check

__all__ = ["contexts_for", "fusemax"]

_MEBIBYTE, _GIBIBYTE = 1 << 20, 1 << 30
_STATE_BITS = 32


def fusemax(
    n: int,
    *,
    e: int = 64,
    f: int = 64,
    largest_f: int = 128,
    stages: int = 1,
    exp_slots: int = 6,
    contexts: int | None = None,
    temporaries: int = 2,
    clock_hz: int = 940_000_000,
    word_bits: int = 16,
    buffer_bytes: int | None = None,
    buffer_rows_per_cycle: Fraction | int = 2,
    dram_bytes_per_s: Fraction | None = None,
    name: str | None = None,
) -> Architecture:
    """Return an N x N array with a vector row of N, a buffer and DRAM.

    Parameters
    ----------
    n
        Rows and columns.
    e, f
        Extents of a query and of a value that the contexts are enough for.
    largest_f
        The largest F whose running state fits the vector row: 2F + 6 words a column (RNV in two banks; RM and RD, and
        what is captured of each, in two banks).
    stages
        Stages of the multiply-add, which is the distance of dependent steps.
    exp_slots
        Multiply-adds of an exponential; subtracting first takes one slot more.
    contexts
        Scores in flight per PE; as many as `e`, `f` and `stages` need if not given.
    temporaries
        Words of a PE beside its contexts: fraction and exponent of the exponential that is being computed.
    clock_hz, word_bits
        The clock, and the width of an operand.
    buffer_bytes
        Capacity of the buffer; max(N/256 x 16 MiB, 512 KiB) in whole rows of N operands if not given.
    buffer_rows_per_cycle
        Rows of N operands that the buffer reads and writes a cycle.
    dram_bytes_per_s
        Bandwidth of DRAM; N/256 x 400 GiB/s if not given.
    name
        Its name; `fusemax-NxN` if not given.

    Raises
    ------
    ValueError
        A size that contexts and registers are worked out from is not above 0.
    ArchitectureError
        The sizes do not fit together.

    Examples
    --------
    >>> machine = fusemax(16)
    >>> machine.name, machine.engine("2d").contexts, machine.memory("buffer").capacity_bytes
    ('fusemax-16x16', 2, 1048576)

    """
    for key, value in (
        ("n", n),
        ("e", e),
        ("f", f),
        ("largest_f", largest_f),
        ("stages", stages),
        ("exp_slots", exp_slots),
    ):
        if value < 1:
            raise ValueError(f"{key} of a fusemax array must be at least 1, not {value}")
    row_bits = n * word_bits
    capacity = max(16 * _MEBIBYTE * n // 256, _MEBIBYTE // 2) if buffer_bytes is None else buffer_bytes
    if buffer_bytes is None:
        capacity = -(-8 * capacity // row_bits) * row_bits // 8
    bandwidth = Fraction(buffer_rows_per_cycle) * row_bits / 8 * clock_hz
    in_flight = contexts_for(n, e=e, f=f, stages=stages) if contexts is None else contexts
    machine = Architecture(
        name or f"fusemax-{n}x{n}",
        clock_hz,
        word_bits,
        (
            _dram(Fraction(400 * _GIBIBYTE * n, 256) if dram_bytes_per_s is None else dram_bytes_per_s),
            _buffer(capacity, row_bits, bandwidth),
        ),
        (
            _array(n, _matrix_operations(stages, exp_slots), in_flight, _registers(in_flight + temporaries)),
            _vector(n, _vector_operations(stages, exp_slots), _registers(2 * largest_f + 6)),
        ),
        tuple(PUBLISHED_COMPONENTS[part] for part in ("mac", "add", "max", "divide")),
        f"the machine that the RTL builds, after {CITATION}",
    )
    return check(machine)


def contexts_for(n: int, *, e: int, f: int, stages: int) -> int:
    """Return how many scores a PE has in flight when the array takes a tile every E + F + 9 slots.

    ceil((L(E - 1) + L N + 8 L + F + 3) / (E + F + 9)), for L stages, is what slot-by-slot schedules have for one stage.
    With more, waiting for a free slot may take one context more: 3 instead of 2 at N = 16, E = F = 64, L = 2.

    Parameters
    ----------
    n
        Rows of the array.
    e, f
        Extents of a query and of a value.
    stages
        Stages of the multiply-add.

    Examples
    --------
    >>> [contexts_for(256, e=64, f=64, stages=stages) for stages in (1, 2, 3, 4)]
    [3, 6, 8, 11]

    """
    return -(-(stages * (e - 1) + stages * n + 8 * stages + f + 3) // (e + f + 9))


def _dram(bandwidth: Fraction) -> Memory:
    energies = PUBLISHED_MEMORIES["dram-64b"].energies
    return Memory("dram", None, 64, bandwidth, bandwidth, True, 1, energies.read_pj, energies.write_pj, None, CITATION)


def _buffer(capacity: int, row_bits: int, bandwidth: Fraction) -> Memory:
    published = published_memory(capacity, row_bits)
    energies = scaled_memory(capacity, row_bits) if published is None else published.energies
    return Memory(
        "buffer",
        capacity,
        row_bits,
        bandwidth,
        bandwidth,
        True,
        1,
        energies.read_pj,
        energies.write_pj,
        None,
        energies.source,
    )


def _registers(words: int) -> RegisterFile:
    energies = register_file_energies(words)
    area = register_file_area_um2(words)
    return RegisterFile(words, _STATE_BITS, energies.read_pj, energies.write_pj, area, energies.source)


def _array(n: int, operations: tuple[Operation, ...], contexts: int, registers: RegisterFile) -> Engine:
    # Operands pass to the right, state passes down and is combined on its way.
    right: frozenset[Link] = frozenset({"broadcast", "shift"})
    down: frozenset[Link] = frozenset({"broadcast", "reduce", "shift"})
    return Engine("2d", n, n, operations, registers, contexts, right, down)


def _vector(n: int, operations: tuple[Operation, ...], registers: RegisterFile) -> Engine:
    return Engine("1d", 1, n, operations, registers, None, frozenset(), frozenset())


def _matrix_operations(stages: int, exp_slots: int) -> tuple[Operation, ...]:
    return (
        Operation("mac", 1, stages, (("mac", 1),)),
        Operation("+", 1, stages, (("add", 1),)),
        Operation("max", 1, 1, (("max", 1),)),
        Operation("exp", exp_slots, exp_slots * stages, (("mac", exp_slots),)),
        Operation("expsub", exp_slots + 1, (exp_slots + 1) * stages, (("add", 1), ("mac", exp_slots))),
    )


def _vector_operations(stages: int, exp_slots: int) -> tuple[Operation, ...]:
    return (
        *_matrix_operations(stages, exp_slots),
        Operation("-", 1, stages, (("add", 1),)),
        Operation("*", 1, stages, (("mac", 1),)),
        # The dividers are pipelined, and shared where results are drained.
        Operation("/", 1, 1, (("divide", 1),)),
    )
