"""Which engine does an Einsum, and which of its rank variables are spread over the rows and columns: the fastest way.

A way is judged by the cycles of its issue slots and by the bytes that the innermost memory moves meanwhile. A variable
that is reduced goes along an axis only where PEs can add up along it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod

from einsum_cascade.arch.ir import Architecture, Engine, Link
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.mapper.recurrences import is_inside
from einsum_cascade.mapping.covers import cover
from einsum_cascade.mapping.ir import Axis
from einsum_cascade.mapping.workload import Task, Workload
from einsum_cascade.wording import listed

__all__ = ["Spreading", "sizes_of", "spreadings"]


@dataclass(frozen=True, slots=True)
class Spreading:
    """Where a task runs.

    Parameters
    ----------
    engine
        The engine.
    pes
        By rank variable that is spread, the axis and the coordinates that run side by side along it.
    holds_result
        Whether every PE adds up its results in registers.

    """

    engine: Engine
    pes: Mapping[str, tuple[Axis, int]]
    holds_result: bool

    def width(self, variable: str) -> int:
        """Return the coordinates of a variable that run side by side."""
        return self.pes[variable][1] if variable in self.pes else 1


def spreadings(
    workload: Workload, architecture: Architecture, extents: Mapping[str, int], single: Mapping[str, frozenset[str]]
) -> dict[str, Spreading]:
    """Return for every task, by name, the way that takes the least time.

    Parameters
    ----------
    workload, architecture, extents
        What runs, on what, and how large it is.
    single
        By task, the variables that loops around it have down to one coordinate.

    Raises
    ------
    IllegalMappingError
        No engine can do all operations of an Einsum; all such are told.

    """
    refused = [why for task in workload.tasks if (why := _refusal(workload, architecture, task))]
    if refused:
        raise IllegalMappingError(refused)
    return {
        task.name: _fastest(workload, architecture, task, sizes_of(workload, extents, task, single[task.name]))
        for task in workload.tasks
    }


def sizes_of(workload: Workload, extents: Mapping[str, int], task: Task, single: frozenset[str]) -> dict[str, int]:
    """Return by variable the coordinates of a task inside loops that have some variables down to one of them."""
    ranks = workload.cascade.rank_of
    return {name: 1 if name in single else extents[ranks[name]] for name in task.variables}


def _refusal(workload: Workload, architecture: Architecture, task: Task) -> str:
    """Say what no engine can do for a task; nothing if one can do all of it."""
    einsum = workload.cascade.einsums[task.number]
    missing = {engine.name: cover(einsum, engine).missing for engine in architecture.engines}
    if not all(missing.values()):
        return ""
    name, least = min(missing.items(), key=lambda item: len(item[1]))
    lacking = "; ".join(f"{engine!r} lacks {listed(operators)}" for engine, operators in missing.items())
    return (
        f"Einsum {task.name!r} must have an engine of {architecture.name} that can do all of it, but none can: "
        f"{lacking}; add {listed(least)} to the operations of {name!r}"
    )


def _fastest(workload: Workload, architecture: Architecture, task: Task, sizes: Mapping[str, int]) -> Spreading:
    einsum = workload.cascade.einsums[task.number]
    covers = {engine.name: cover(einsum, engine) for engine in architecture.engines}
    ways = (
        way
        for engine in architecture.engines
        if not covers[engine.name].missing
        for way in _ways(workload, architecture, task, sizes, engine)
    )
    return min(ways, key=lambda way: _effort(architecture, task, sizes, way, covers[way.engine.name].slots))


def _ways(
    workload: Workload, architecture: Architecture, task: Task, sizes: Mapping[str, int], engine: Engine
) -> Iterator[Spreading]:
    """Yield the ways of an engine: every pair of variables, and what else there is room for beside each."""
    usable: dict[Axis, list[str]] = {axis: _usable(task, sizes, engine, axis) for axis in _limits(engine)}
    for row, column in product((None, *usable["rows"]), (None, *usable["columns"])):
        if row is None or row != column:
            pes = _pes(usable, {"rows": row, "columns": column}, sizes, engine)
            pes = {name: own for name, own in pes.items() if _is_free(workload, task, sizes, pes, name)}
            yield Spreading(engine, pes, _holds_result(architecture, task, sizes, engine, pes))


def _pes(
    usable: Mapping[Axis, list[str]], first: Mapping[Axis, str | None], sizes: Mapping[str, int], engine: Engine
) -> dict[str, tuple[Axis, int]]:
    """Return the axis and the width of every variable: one first along each axis, then the longest of the others."""
    pes: dict[str, tuple[Axis, int]] = {}
    for axis, name in first.items():
        _place(pes, axis, [name] if name is not None else [], sizes, engine)
    for axis, name in first.items():
        others = sorted(usable[axis], key=lambda other: -sizes[other])
        _place(pes, axis, others if name is not None else [], sizes, engine)
    return pes


def _limits(engine: Engine) -> dict[Axis, int]:
    return {"rows": engine.rows, "columns": engine.columns}


def _links(engine: Engine, axis: Axis) -> frozenset[Link]:
    """Return the links that join the PEs along an axis: rows are joined by what runs along a column."""
    return engine.along_columns if axis == "rows" else engine.along_rows


def _usable(task: Task, sizes: Mapping[str, int], engine: Engine, axis: Axis) -> list[str]:
    """Return the variables that may be spread over an axis."""
    is_reducing = "reduce" in _links(engine, axis)
    own = task.write.variables
    return [name for name in task.variables if sizes[name] > 1 and (is_reducing or name in own)]


def _place(
    pes: dict[str, tuple[Axis, int]], axis: Axis, names: list[str], sizes: Mapping[str, int], engine: Engine
) -> None:
    """Spread variables over what is left of an axis."""
    for name in names:
        left = _limits(engine)[axis] // prod(width for own, width in pes.values() if own == axis)
        if name not in pes and left > 1:
            pes[name] = axis, min(sizes[name], left)


def _is_free(
    workload: Workload, task: Task, sizes: Mapping[str, int], pes: Mapping[str, tuple[Axis, int]], name: str
) -> bool:
    """Tell whether a variable can be spread: an outer part of a partition only where its inner parts are as a whole."""
    inner = (other for other in task.variables if is_inside(workload, other, name))
    return all(sizes[other] == (pes[other][1] if other in pes else 1) for other in inner)


def _holds_result(
    architecture: Architecture,
    task: Task,
    sizes: Mapping[str, int],
    engine: Engine,
    pes: Mapping[str, tuple[Axis, int]],
) -> bool:
    reduced = (name for name in task.variables if name not in task.write.variables)
    is_again = any(sizes[name] > (pes[name][1] if name in pes else 1) for name in reduced)
    is_read = any(access.tensor == task.write.tensor for access in task.reads)
    words = -(-architecture.word_bits // engine.registers.word_bits)
    return is_again and not is_read and words <= engine.registers.words


def _effort(
    architecture: Architecture, task: Task, sizes: Mapping[str, int], way: Spreading, slots: int
) -> tuple[Fraction, int, int]:
    """Return the seconds of a way, its cycles, and the words that it moves: less of the first is better."""
    steps = prod(-(-sizes[name] // way.width(name)) for name in task.variables)
    read = sum(_words(way, access.variables, {"broadcast", "shift"}) for access in task.reads)
    written = 0 if way.holds_result else _words(way, task.write.variables, {"reduce"})
    again = written if any(name not in task.write.variables for name in task.variables) else 0
    seconds = max(
        Fraction(steps * slots, architecture.clock_hz),
        steps * _seconds(architecture, way, read + again, written),
    )
    return seconds, steps * slots, steps * (read + again + written)


def _words(way: Spreading, indexed: frozenset[str], links: set[str]) -> int:
    """Return the words that PEs move of a tensor in one step, what they share counted once."""
    own = (width for name, (axis, width) in way.pes.items() if name in indexed or not links & _links(way.engine, axis))
    return prod(own)


def _seconds(architecture: Architecture, way: Spreading, read: int, written: int) -> Fraction:
    """Return the time in which the innermost memory moves so many words."""
    memory = architecture.memories[-1]
    if memory.read_bytes_per_s is None or memory.write_bytes_per_s is None:
        return Fraction(0)
    used = min(memory.instances, prod(width for _, width in way.pes.values()))
    each = [
        Fraction(words) * architecture.word_bytes / rate / used
        for words, rate in ((read, memory.read_bytes_per_s), (written, memory.write_bytes_per_s))
    ]
    return sum(each, Fraction(0)) if memory.is_shared else max(each)
