"""The parameters of an array, and the widths that follow from them."""

from dataclasses import dataclass, field

from einsum_cascade.cascade.formats import Format
from einsum_cascade.program.numbers import Numbers

__all__ = ["ArrayShape", "beat_bytes_of"]


def beat_bytes_of(rows: int) -> int:
    """Return the bytes of a beat: two a row, at least 8, at most 128, and a power of two.

    Examples
    --------
    >>> [beat_bytes_of(rows) for rows in (2, 16, 24, 256)]
    [8, 32, 32, 128]

    """
    return min(128, max(8, 1 << (2 * rows).bit_length() - 1))


@dataclass(frozen=True, slots=True)
class ArrayShape:
    """What an array is built for.

    Parameters
    ----------
    rows, columns
        PEs.
    stages
        L, of every multiply-add.
    contexts
        Of a PE.
    queue
        Entries of the correction queue of a lane.
    numbers
        Formats and multiplier.
    product_steps_max, output_steps_max
        The greatest E and F.
    slots
        Tiles of keys and values that a bank holds.
    dividers
        Columns that leave at a time.
    beat_bytes
        Bytes of a beat of memory.

    Raises
    ------
    ValueError
        A number is out of range, or does not fit another one.

    """

    rows: int
    columns: int
    stages: int = 1
    contexts: int = 4
    queue: int = 4
    numbers: Numbers = field(default_factory=Numbers)
    product_steps_max: int = 64
    output_steps_max: int = 64
    slots: int = 4
    dividers: int = 1
    beat_bytes: int = 8

    def __post_init__(self) -> None:
        """Check every number, then those that depend on one another."""
        for what, value, greatest in (
            ("rows", self.rows, 1024),
            ("columns", self.columns, 1024),
            ("stages", self.stages, 4),
            ("contexts", self.contexts, 1024),
            ("queue", self.queue, 1024),
            ("product_steps_max", self.product_steps_max, 1 << 14),
            ("output_steps_max", self.output_steps_max, 1 << 14),
            ("slots", self.slots, 1 << 16),
            ("dividers", self.dividers, self.columns),
        ):
            if not 1 <= value <= greatest:
                raise ValueError(f"{what} of an array must be from 1 to {greatest}, not {value!r}")
        if self.beat_bytes not in (8, 16, 32, 64, 128):
            raise ValueError(f"a beat must have 8, 16, 32, 64 or 128 bytes, not {self.beat_bytes!r}")
        if self.columns % self.dividers:
            raise ValueError(f"dividers must divide the {self.columns} columns, not be {self.dividers!r}")
        _check_format("operand", self.numbers.operand)
        _check_format("score", self.numbers.score)
        if self.numbers.operand.width_bits not in (8, 16, 32):
            raise ValueError(
                f"operands must have 8, 16 or 32 bits, not the {self.numbers.operand.width_bits} of theirs"
            )

    @property
    def beat_bits(self) -> int:
        """Bits of a beat."""
        return 8 * self.beat_bytes

    @property
    def beat_operands(self) -> int:
        """Operands of a beat."""
        return self.beat_bits // self.numbers.operand.width_bits

    @property
    def key_beats(self) -> int:
        """Beats of the longest query or key row."""
        return -(-self.product_steps_max // self.beat_operands)

    @property
    def value_beats(self) -> int:
        """Beats of the longest value row."""
        return -(-self.output_steps_max // self.beat_operands)

    @property
    def bank_beats(self) -> int:
        """Beats of a bank."""
        return self.slots * (self.key_beats + self.value_beats)


def _check_format(what: str, form: Format) -> None:
    is_standard = form.bias is None or form.bias == (1 << (form.exponent_bits - 1)) - 1
    if form.specials not in ("ieee", "nan") or not is_standard or (form.exponent_bits == 8 and form.specials != "ieee"):
        raise ValueError(
            f"the {what} format must have the bias and the infinities of IEEE 754, or be fp8_e4m3, not {form!r}"
        )
