"""Which rows a tile has in memory, and how they are split into bursts: a burst stays within a page of 4 KiB."""

from dataclasses import dataclass

from einsum_cascade.array.program import STATE_WORDS, Layout, Program

__all__ = ["PageSplit", "TileRows"]

_PAGE_BYTES, _LONGEST_BEATS = 4096, 256


@dataclass(frozen=True, slots=True)
class TileRows:
    """The rows of a tile.

    Parameters
    ----------
    bursts
        The beats of the bursts of each row.
    offsets
        Where in a page its first keys and values, or queries, begin: one for each tensor.

    """

    bursts: tuple[tuple[int, ...], ...] = ()
    offsets: tuple[int, ...] = ()

    @property
    def lines(self) -> int:
        """Rows or columns of the array that they are for; each has a row of every tensor."""
        return len(self.bursts) // max(1, len(self.offsets))


class PageSplit:
    """Splits rows of a program's tensors.

    Parameters
    ----------
    program
        Says where they lie.

    """

    def __init__(self, program: Program) -> None:
        """Find out whether it matters where a row lies."""
        self.program = program
        values = () if program.value is None else ((program.value, program.value_beats),)
        self._tensors: dict[str, tuple[tuple[Layout, int], ...]] = {
            "queries": ((program.query, program.key_beats),),
            "keys": ((program.key, program.key_beats), *values),
        }
        self.is_alike = all(
            _is_split_alike(layout, beats * program.shape.beat_bytes)
            for parts in self._tensors.values()
            for layout, beats in parts
        )
        self._known: dict[tuple[str, int], TileRows] = {}

    def queries(self, head: int, tile: int) -> TileRows:
        """Return the rows of a tile of queries."""
        program, first = self.program, tile * self.program.shape.columns
        count = min(program.shape.columns, program.queries - first)
        return self._rows("queries", head, first, count)

    def keys(self, head: int, tile: int) -> TileRows:
        """Return the rows of a tile of keys and values: all keys, then all values."""
        program, first = self.program, tile * self.program.shape.rows
        count = min(program.shape.rows, program.keys - first)
        return self._rows("keys", head, first, count)

    def state(self, tile: int) -> TileRows:
        """Return the rows of the running state of a tile of queries: none crosses a page."""
        program, shape = self.program, self.program.shape
        columns = min(shape.columns, program.queries - tile * shape.columns)
        return TileRows(((-(-columns // shape.beat_words),),) * (program.output_steps + STATE_WORDS))

    def _rows(self, what: str, head: int, first: int, count: int) -> TileRows:
        if not self.is_alike:
            return self._split(what, head, first, count)
        if (what, count) not in self._known:
            self._known[what, count] = self._split(what, head, first, count)
        return self._known[what, count]

    def _split(self, what: str, head: int, first: int, count: int) -> TileRows:
        bursts: list[tuple[int, ...]] = []
        offsets: list[int] = []
        for layout, beats in self._tensors[what]:
            address = layout.address + head * layout.head_stride_bytes + first * layout.stride_bytes
            offsets.append(address % _PAGE_BYTES)
            bursts += [self._bursts(address + row * layout.stride_bytes, beats) for row in range(count)]
        return TileRows(tuple(bursts), tuple(offsets))

    def _bursts(self, address: int, beats: int) -> tuple[int, ...]:
        """Return the beats of the bursts of a row."""
        found: list[int] = []
        beat_bytes = self.program.shape.beat_bytes
        while beats:
            room = (_PAGE_BYTES - address % _PAGE_BYTES) // beat_bytes
            found.append(min(beats, room, _LONGEST_BEATS))
            beats -= found[-1]
            address += found[-1] * beat_bytes
        return tuple(found)


def _is_split_alike(layout: Layout, row_bytes: int) -> bool:
    """Return whether all rows of a tensor are split into the same bursts, as none crosses a page or all lie alike."""
    stride, head_stride = layout.stride_bytes, layout.head_stride_bytes
    if row_bytes <= stride and _PAGE_BYTES % stride == 0:
        return layout.address % stride == head_stride % stride == 0
    return stride % _PAGE_BYTES == head_stride % _PAGE_BYTES == 0
