"""Microinstructions: what a PE and a lane of the vector row do in a cycle, and how a kernel row says so."""

from dataclasses import dataclass

from einsum_cascade.array.told import ToldEnum, told

__all__ = [
    "EVERY_PASS",
    "INDEX_BITS",
    "NOTHING",
    "OP_BITS",
    "PASSES",
    "RETURN_CYCLES",
    "STAGE_BITS",
    "Field",
    "MatrixOp",
    "Row",
    "VectorOp",
    "decode",
    "encode",
]


class MatrixOp(ToldEnum):
    """What the PEs of the array do; `index` is the field of the row."""

    NONE = told(0, "Nothing.")
    PRODUCT = told(
        1, "score = (0 if index is 0, else score) + key[index] * query[index]; at index 0, the mask bit is set too."
    )
    MAXIMUM = told(2, "down = max(up, score), or up where masked.")
    EXPONENTIAL = told(
        3, "Slot `index` of score = exp(score - up); the last one rounds to the score format, and gives 0 where masked."
    )
    SUM = told(4, "down = up + score.")
    COMBINE = told(5, "down = up + value[index] * score, or up where masked.")
    OUT = told(6, "down = score in row `index`, or 0 where masked; up in all other rows.")


class VectorOp(ToldEnum):
    """What the lanes of the vector row do; what arrives is the `down` of the last row."""

    NONE = told(0, "Nothing.")
    MAXIMUM = told(1, "old = maximum, or the lowest number on the first tile; new = maximum = max(old, arriving).")
    CORRECTION = told(2, "Slot `index` of correction = exp(old - new).")
    DENOMINATOR = told(
        3, "sum = arriving on the first tile of a pass, else sum * correction + arriving; captured on the last tile."
    )
    NUMERATOR = told(
        4, "accumulator[index] = arriving on the first tile, else accumulator[index] * correction + arriving."
    )
    ADD = told(5, "accumulator[index] = arriving on the first tile, else accumulator[index] + arriving: no correction.")
    ADD_DENOMINATOR = told(
        6, "sum = arriving on the first tile of a pass, else sum + arriving; captured on the last tile."
    )


RETURN_CYCLES = 2
"""From a lane taking a maximum to the top of its column feeding it down."""

OP_BITS, STAGE_BITS, INDEX_BITS = 4, 6, 14
"""Of a word of the kernel table, from bit 0 on."""

PASSES = 3
"""Over the keys, at most, for a tile of queries. A word has a bit for each, above its index."""

EVERY_PASS = (1 << PASSES) - 1
"""The passes of an instruction that is in all of them."""


@dataclass(frozen=True, slots=True)
class Field:
    """One half of a row.

    Parameters
    ----------
    op
        A `MatrixOp` or a `VectorOp`.
    index
        Its index.
    stage
        How many tiles behind the newest one it works.
    passes
        In which passes over the keys it is done: bit n for pass n.

    """

    op: int = 0
    index: int = 0
    stage: int = 0
    passes: int = EVERY_PASS


NOTHING = Field()


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the kernel table: what leaves the corner in one cycle of every interval."""

    matrix: Field = NOTHING
    vector: Field = NOTHING


def encode(field: Field) -> int:
    """Return a field as a word: operation in bits 3..0, stage in 9..4, index in 23..10, passes in 26..24.

    Raises
    ------
    ValueError
        The stage, the index or the passes have more bits than the word has for them.

    Examples
    --------
    >>> hex(encode(Field(MatrixOp.COMBINE, index=3, stage=1)))
    '0x7000c15'

    """
    word, at = int(field.op), OP_BITS
    for what, value, bits in (
        ("stage", field.stage, STAGE_BITS),
        ("index", field.index, INDEX_BITS),
        ("passes", field.passes, PASSES),
    ):
        if not 0 <= value < 1 << bits:
            raise ValueError(f"the {what} of a microinstruction must be from 0 to {(1 << bits) - 1}, not {value}")
        word |= value << at
        at += bits
    return word


def decode(word: int) -> Field:
    """Return the field of a word.

    Examples
    --------
    >>> decode(0x7000C15)
    Field(op=5, index=3, stage=1, passes=7)

    """
    op = word & ((1 << OP_BITS) - 1)
    stage = word >> OP_BITS & ((1 << STAGE_BITS) - 1)
    index = word >> (OP_BITS + STAGE_BITS) & ((1 << INDEX_BITS) - 1)
    return Field(op, index, stage, word >> (OP_BITS + STAGE_BITS + INDEX_BITS))
