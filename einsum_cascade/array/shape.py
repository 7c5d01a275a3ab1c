"""The parameters that an array is generated from."""

from dataclasses import dataclass, field

from einsum_cascade.array.numbers import OPERANDS, Numbers
from einsum_cascade.formats import Format

__all__ = ["ArrayShape"]

_LARGEST = 512
_MOST_BANK_BEATS = 1 << 23
"""The array counts tiles in 24 bits and compares the counts modulo their range; a tile has a beat at least."""


@dataclass(frozen=True, slots=True)
class ArrayShape:
    """What an array is, whatever runs on it.

    Parameters
    ----------
    rows, columns
        PEs.
    stages
        Of every multiply-add and what becomes of its result, 1 to 8.
    contexts
        Scores in flight per PE.
    queue
        Corrections in flight per lane of the vector row.
    product_steps, output_steps
        Operands of the longest key and query (E), and of the longest value (F).
    slots
        Tiles of the longest keys and values that the buffer holds.
    kernel_rows
        Rows of the kernel table.
    dividers
        Quotients a cycle at the drain.
    numbers
        Its number formats.

    Raises
    ------
    ValueError
        A parameter is out of its range.

    """

    rows: int
    columns: int
    stages: int = 1
    contexts: int = 2
    queue: int = 2
    product_steps: int = 64
    output_steps: int = 64
    slots: int = 16
    kernel_rows: int = 512
    dividers: int = 1
    numbers: Numbers = field(default_factory=Numbers)

    def __post_init__(self) -> None:
        """Check every parameter."""
        if self.numbers.operand not in OPERANDS.values():
            *names, last = OPERANDS
            raise ValueError(f"operands of an array must be {', '.join(names)} or {last}, not {self.numbers.operand!r}")
        ranges = {
            "rows": (2, _LARGEST),
            "columns": (2, _LARGEST),
            "stages": (1, 8),
            "contexts": (1, 64),
            "queue": (1, 64),
            "product_steps": (1, 4096),
            "output_steps": (1, 4096),
            "slots": (1, self.most_slots),
            "kernel_rows": (1, 1 << 14),
            "dividers": (1, self.columns),
        }
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} of an array must be from {least} to {most}, not {value!r}")
        if self.columns % self.dividers or self.beat_words % self.dividers:
            raise ValueError(
                f"dividers of an array must divide its {self.columns} columns and the {self.beat_words} results of a "
                f"beat, not be {self.dividers}"
            )
        _check_score(self.numbers.score)

    @property
    def operand_bytes(self) -> int:
        """Bytes of an operand in memory."""
        return self.numbers.operand.width_bits // 8

    @property
    def beat_bytes(self) -> int:
        """Bytes of a beat of the memory port: about what the columns take in a cycle, a power of two from 8 to 128."""
        return max(8, min(128, 1 << (2 * self.columns - 1).bit_length()))

    @property
    def beat_bits(self) -> int:
        """Bits of a beat."""
        return 8 * self.beat_bytes

    @property
    def beat_operands(self) -> int:
        """Operands of a beat."""
        return self.beat_bytes // self.operand_bytes

    @property
    def beat_words(self) -> int:
        """Results (fp32) of a beat."""
        return self.beat_bytes // 4

    @property
    def result_bytes(self) -> int:
        """Bytes from a query tile to the next in a row of results: a power of two, so that none crosses a page."""
        return 1 << (4 * self.columns - 1).bit_length()

    @property
    def key_beats(self) -> int:
        """Beats of the longest key, and of the longest query."""
        return self.beats_of(self.product_steps)

    @property
    def value_beats(self) -> int:
        """Beats of the longest value."""
        return self.beats_of(self.output_steps)

    @property
    def most_slots(self) -> int:
        """Slots that a bank can have."""
        return _MOST_BANK_BEATS // max(1, self.key_beats + self.value_beats)

    @property
    def bank_beats(self) -> int:
        """Beats that a row's bank of the buffer holds."""
        return self.slots * (self.key_beats + self.value_beats)

    @property
    def depth_cycles(self) -> int:
        """Cycles from the corner to the last lane of the vector row."""
        return self.stages * self.rows + self.columns - 1

    def beats_of(self, operands: int) -> int:
        """Return the beats that a row of operands takes.

        Examples
        --------
        >>> ArrayShape(16, 16).beats_of(64)
        4

        """
        return -(-operands // self.beat_operands)


def _check_score(form: Format) -> None:
    is_known = form.specials == "ieee" or (form.specials == "nan" and form.exponent_bits < 8)
    if not is_known or not form.has_standard_bias:
        raise ValueError(
            f"the score format must have the bias and the infinities of IEEE 754, or be fp8_e4m3, not {form!r}"
        )
