"""Random cascades for comparing the pass analysis with the streaming oracle.

A cascade is made of moves, each of which writes one to three equations over the tensors so far. `M` is the rank whose
passes matter; `C` and `D` ride along, `P` is a second long rank or an alias of `M`, `M1` and `M0` partition `M`, `S` is
a window, `T` counts generations. A tensor that may lack elements is never carried along an iterative rank, where all
that follows would be absent.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from numpy.random import Generator

from einsum_cascade.cascade.checker import check
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.cascade.parser import parse_module
from einsum_cascade.errors import CascadeError

__all__ = ["counted_ranks", "extents_for", "random_cascade", "random_text", "shrink"]

_LONG = ("M", "P")
_MAPS = ("{0} + {1}", "{0} * {1}", "max({0}, {1})", "exp({0} - {1})", "{0} / {1}")


@dataclass(frozen=True)
class _Tensor:
    """What moves know of a tensor: its ranks, and whether elements may be absent or generations are counted."""

    name: str
    ranks: tuple[str, ...]
    is_partial: bool = False
    generations: str | None = None


class _Writer:
    """Draws the equations of one cascade."""

    def __init__(self, rng: Generator) -> None:
        self._rng = rng
        self._is_alias = self._chance(0.3)
        self._lines: list[str] = []
        self._count = 0
        self._inputs = [_Tensor("X", self._pick([("M",), ("C", "M"), ("D", "M")]))]
        if self._chance(0.6):
            self._inputs.append(_Tensor("V", self._pick([("M",), ("D", "M"), ("P",), ("D", "P"), ("C",)])))
        self._pool = list(self._inputs)

    def write(self) -> str:
        """Return the text of a cascade of three to nine Einsums."""
        wanted = int(self._rng.integers(3, 10))
        moves = [self._map, self._reduce, self._barrier, self._running, self._recurrent, self._partition, self._offset]
        moves += [self._filtered, self._shifted, self._outer, self._window, self._prefix, self._pooled, self._solved]
        weights = [3, 2, 4, 1.5, 0.7, 1.2, 1, 1.2, 0.7, 1, 0.5, 2.5 * self._is_alias, 0.5, 0.7 * self._is_alias]
        total = sum(weights)
        while self._count < wanted:
            move = moves[int(self._rng.choice(len(moves), p=[w / total for w in weights]))]
            move()
        return self._text()

    def _text(self) -> str:
        made, read = _made(self._lines), _read(self._lines)
        outputs = [name for name in made if name not in read or self._chance(0.1)] or made[-1:]
        inputs = [f"input {t.name}[{', '.join(f'{r.lower()}:{r}' for r in t.ranks)}]" for t in self._inputs]
        return "\n".join([*self._rank_lines(), *inputs, *self._lines, f"output {', '.join(outputs)}", ""])

    def _rank_lines(self) -> Iterator[str]:
        body = " ".join(self._lines) + " ".join(r.lower() for t in self._inputs for r in t.ranks)
        yield "rank M"
        for rank in ("C", "D", "S", "T", "P", "M0"):
            if re.search(rf"\b{rank.lower()}\b", body) or any(rank in t.ranks for t in self._inputs):
                yield "rank P = M" if rank == "P" and self._is_alias else f"rank {rank}"
        if "- W" in body:
            yield "rank W"
        if "M0" in body:
            yield "rank M1 = M / M0"

    # Draws

    def _chance(self, probability: float) -> bool:
        return bool(self._rng.random() < probability)

    def _pick[T](self, options: list[T]) -> T:
        return options[int(self._rng.integers(len(options)))]

    def _recent(self, accept: Callable[[_Tensor], bool]) -> _Tensor | None:
        """Draw a tensor, the later ones more often."""
        found = [tensor for tensor in self._pool if accept(tensor)]
        if not found:
            return None
        weights = [1.0 + number for number in range(len(found))]
        return found[int(self._rng.choice(len(found), p=[w / sum(weights) for w in weights]))]

    def _streamed(self, *, is_total: bool = False) -> _Tensor:
        found = self._recent(lambda t: bool({"M", "P", "M1"} & set(t.ranks)) and not (is_total and t.is_partial))
        return found or self._pool[0]

    def _partner(self, ranks: tuple[str, ...]) -> _Tensor | None:
        """Draw a tensor that can be read next to those ranks without making too large an iteration space."""
        return self._recent(lambda t: _is_small({*t.ranks, *ranks}))

    # Text

    def _name(self) -> str:
        self._count += 1
        return f"Y{self._count}"

    def _value(self, tensor: _Tensor, changes: dict[str, str] | None = None) -> str:
        index = {rank: rank.lower() for rank in tensor.ranks} | (changes or {})
        if tensor.generations is not None and tensor.generations not in (changes or {}):
            index[tensor.generations] = self._pick([tensor.generations.lower(), tensor.generations.lower() + "+1"])
        return f"{tensor.name}[{', '.join(index[rank] for rank in tensor.ranks)}]"

    def _final(self, tensor: _Tensor) -> tuple[str, tuple[str, ...]]:
        """Read a tensor, sometimes its final generation; return the ranks that are left."""
        rank = tensor.generations
        if rank is not None and self._chance(0.6):
            return self._value(tensor, {rank: rank}), tuple(r for r in tensor.ranks if r != rank)
        return self._value(tensor), tensor.ranks

    def _add(self, name: str, ranks: tuple[str, ...], right: str, *, is_partial: bool = False) -> _Tensor:
        self._lines.append(f"{_left(name, ranks)} = {right}")
        tensor = _Tensor(name, ranks, is_partial)
        self._pool.append(tensor)
        return tensor

    # Moves

    def _map(self) -> None:
        first = self._streamed()
        second = self._partner(first.ranks)
        a, ranks = self._value(first), first.ranks
        if second is None or self._chance(0.2):
            self._add(self._name(), ranks, f"exp({a})", is_partial=first.is_partial)
            return
        b, others = self._final(second)
        ranks = _union(ranks, others)
        right = self._pick(list(_MAPS)).format(a, b)
        self._add(self._name(), ranks, right, is_partial=first.is_partial or second.is_partial)

    def _reduce(self) -> None:
        first = self._streamed()
        second = self._partner(first.ranks) if self._chance(0.5) else None
        ranks = _union(first.ranks, second.ranks if second else ())
        over = self._reduced(ranks)
        a = self._value(first)
        right = a if second is None else f"{a} * {self._value(second)}"
        left = tuple(rank for rank in ranks if rank not in over)
        head = f"{self._pick(['sum', 'max'])}[{', '.join(map(str.lower, over))}]"
        is_partial = first.is_partial or bool(second and second.is_partial)
        self._add(self._name(), left, f"{head}({right})", is_partial=is_partial)

    def _reduced(self, ranks: tuple[str, ...]) -> tuple[str, ...]:
        streams = [rank for rank in ranks if rank in ("M", "P", "M1", "M0")]
        one = self._pick(streams)
        return tuple(rank for rank in ranks if rank == one or self._chance(0.25))

    def _barrier(self) -> None:
        """Reduce a tensor and read the tensor again next to the result."""
        first = self._streamed()
        over = self._reduced(first.ranks)
        left = tuple(rank for rank in first.ranks if rank not in over)
        head = f"{self._pick(['sum', 'max'])}[{', '.join(map(str.lower, over))}]"
        summary = self._add(self._name(), left, f"{head}({self._value(first)})", is_partial=first.is_partial)
        again = first if self._chance(0.7) else self._partner(first.ranks) or first
        ranks = _union(again.ranks, left)
        right = self._pick(list(_MAPS)).format(self._value(again), self._value(summary))
        self._add(self._name(), ranks, right, is_partial=again.is_partial or summary.is_partial)

    def _running(self) -> None:
        """Keep a running maximum or sum along M, P or M1."""
        first = self._streamed(is_total=True)
        rank = next((r for r in first.ranks if r in ("M", "P", "M1")), None)
        if first.is_partial or rank is None or first.generations is not None:
            return
        rest, name, v = tuple(r for r in first.ranks if r != rank), self._name(), rank.lower()
        old, new = _left(name, (v, *rest)), _left(name, (f"{v}+1", *rest))
        self._lines.append(f"init {_left(name, ('0', *rest))} = 0")
        operands = [self._value(first)]
        second = self._recent(lambda t: set(t.ranks) <= set(first.ranks) and not t.is_partial and not t.generations)
        if second is not None and self._chance(0.4):
            operands.append(self._value(second))
        right = self._pick(["max({0}, {1})", "{0} + {1}", "{0} * {2} + {1}"]).format(old, operands[0], operands[-1])
        self._lines.append(f"{new} = {right}")
        self._pool.append(_Tensor(name, (rank, *rest), generations=rank))

    def _recurrent(self) -> None:
        """Read a whole tensor once a generation."""
        first = self._streamed(is_total=True)
        if first.is_partial or first.generations is not None or {"T", "M1"} & set(first.ranks) or len(first.ranks) > 2:
            return
        long = self._pick([rank for rank in first.ranks if rank in _LONG])
        rest = tuple(rank for rank in first.ranks if rank != long)
        name, part = self._name(), self._name()
        self._lines.append(f"init {_left(name, ('0', *rest))} = 1")
        state = _left(name, ("t", *rest))
        self._lines.append(f"{_left(part, ('t', *rest))} = sum[{long.lower()}]({self._value(first)} * {state})")
        self._lines.append(f"{_left(name, ('t+1', *rest))} = tanh({_left(part, ('t', *rest))} + {state})")
        self._pool.append(_Tensor(name, ("T", *rest), generations="T"))

    def _partition(self) -> None:
        first = self._recent(lambda t: "M" in t.ranks and not t.generations and not {"M1", "P"} & set(t.ranks))
        if first is None:
            return
        ranks = tuple(part for r in first.ranks for part in (("M1", "M0") if r == "M" else (r,)))
        tiles = self._add(self._name(), ranks, self._value(first, {"M": "m1*M0 + m0"}), is_partial=True)
        if self._chance(0.8):
            local = tuple(rank for rank in ranks if rank != "M0")
            summary = self._add(self._name(), local, f"max[m0]({self._value(tiles)})")
            right = f"exp({self._value(tiles)} - {self._value(summary)})"
            if self._chance(0.7):
                self._add(self._name(), ranks, right, is_partial=True)

    def _offset(self) -> None:
        first = self._recent(lambda t: "M" in t.ranks and not t.generations)
        if first is None:
            return
        index, condition = self._pick([("m-1", "m >= 1"), ("m-2", "m >= 2"), ("m+1", "m + 1 < M")])
        second = self._partner(first.ranks) if self._chance(0.5) else first
        a = self._value(first, {"M": index})
        b, others = self._final(second or first)
        otherwise = self._pick(["", " else 0"])
        is_partial = first.is_partial or bool(second and second.is_partial) or not otherwise
        right = f"{a} + {b} where {condition}{otherwise}"
        self._add(self._name(), _union(first.ranks, others), right, is_partial=is_partial)

    def _filtered(self) -> None:
        first = self._streamed()
        if {"M", "P"} <= set(first.ranks):
            condition = self._pick(["m <= p", "p - W < m and m <= p", "m < p", "m != p"])
        elif "M" in first.ranks and "C" in first.ranks:
            condition = "m < LEN[c]"
        elif "M" in first.ranks:
            condition = self._pick(["m >= 2", "m + 2 < M"])
        else:
            return
        if "LEN" in condition and all(tensor.name != "LEN" for tensor in self._inputs):
            self._inputs.append(_Tensor("LEN", ("C",)))
        if self._chance(0.4):
            over = self._reduced(first.ranks)
            left = tuple(rank for rank in first.ranks if rank not in over)
            is_partial = not ({"M", "P"} & set(over))
            right = f"sum[{', '.join(map(str.lower, over))}]({self._value(first)})"
            self._add(self._name(), left, f"{right} where {condition}", is_partial=is_partial)
            return
        self._add(self._name(), first.ranks, f"exp({self._value(first)}) where {condition}", is_partial=True)

    def _shifted(self) -> None:
        """Read a tensor at the previous coordinate of a rank that rides along."""
        first = self._recent(lambda t: bool({"C", "D"} & set(t.ranks)) and not t.generations)
        if first is None:
            return
        rank = self._pick([r for r in first.ranks if r in ("C", "D")])
        second = self._partner(first.ranks) or first
        a = self._value(first, {rank: f"{rank.lower()}-1"})
        ranks = _union(first.ranks, second.ranks)
        right = f"{a} + {self._value(second)} where {rank.lower()} >= 1"
        self._add(self._name(), ranks, right, is_partial=True)

    def _outer(self) -> None:
        """Read a tensor by m and, by an alias or from another tensor, by p."""
        first = self._recent(lambda t: "M" in t.ranks and _is_small({*t.ranks, "P"}) and not t.generations)
        if first is None:
            return
        if self._is_alias and "P" not in first.ranks:
            other = self._value(first, {"M": "p"})
        else:
            second = self._recent(lambda t: "P" in t.ranks and _is_small({*t.ranks, *first.ranks}))
            if second is None:
                return
            other = self._value(second)
            first = replace(first, ranks=_union(first.ranks, second.ranks))
            return self._finish_outer(first, other, second.is_partial)
        self._finish_outer(first, other, False)

    def _finish_outer(self, first: _Tensor, other: str, is_partial: bool) -> None:
        own = next(tensor for tensor in self._pool if tensor.name == first.name)
        ranks = _union(first.ranks, ("P",))
        condition = self._pick(["", "", " where m <= p"])
        right = f"{self._value(own)} * {other}{condition}"
        self._add(self._name(), ranks, right, is_partial=is_partial or own.is_partial or bool(condition))

    def _prefix(self) -> None:
        """Reduce over an alias, as far as a filter lets it: up to m, from m on, all but m."""
        first = self._recent(lambda t: "M" in t.ranks and "P" not in t.ranks and _is_small({*t.ranks, "P"}))
        if first is None or first.generations is not None:
            return
        conditions = ["p <= m", "p < m", "p >= m", "p != m", "p <= m and m - W <= p", "m < p", "p <= m + 1", "p <= 2*m"]
        second = self._partner(first.ranks) if self._chance(0.3) else None
        if second is not None and "P" in second.ranks:
            second = None
        right = self._value(first, {"M": "p"}) + ("" if second is None else f" * {self._value(second)}")
        ranks = _union(first.ranks, second.ranks if second else ())
        head = self._pick(["sum", "max"])
        self._add(self._name(), ranks, f"{head}[p]({right}) where {self._pick(conditions)}", is_partial=True)

    def _pooled(self) -> None:
        """Read the sums of tiles beside the elements."""
        first = self._recent(lambda t: t.ranks == ("M",) and not t.generations)
        if first is None:
            return
        pool = self._add(self._name(), ("M1",), f"sum[m0]({self._value(first, {'M': 'm1*M0 + m0'})})")
        condition = self._pick(["", " where m1*M0 + M0 <= m + 1", " where m <= m1*M0", " where m1*M0 <= m"])
        right = f"{self._value(pool)} * {self._value(first)}{condition}"
        self._add(self._name(), ("M1", "M"), right, is_partial=first.is_partial or bool(condition))

    def _solved(self) -> None:
        """Solve a triangular system by forward substitution: generation p + 1 has one more coordinate."""
        first = self._recent(lambda t: t.ranks == ("M",) and not t.is_partial and not t.generations)
        if first is None:
            return
        a, part, name = self._value(first), self._name(), self._name()
        self._lines.append(f"init {name}[0, m] = 0")
        self._lines.append(f"{part}[p] = sum[m]({a} * {name}[p, m]) where m < p")
        self._lines.append(f"{name}[p+1, m] = {a} - {part}[p] where m == p else {name}[p, m]")
        self._pool.append(_Tensor(name, ("P", "M"), generations="P"))

    def _window(self) -> None:
        first = self._recent(lambda t: "M" in t.ranks and len(t.ranks) < 3 and not t.generations)
        if first is None:
            return
        right = f"sum[s]({self._value(first, {'M': 'm + s'})}) where m + s < M"
        if self._chance(0.5):
            if all(tensor.name != "F" for tensor in self._inputs):
                self._inputs.append(_Tensor("F", ("S",)))
            right = right.replace(") where", " * F[s]) where")
        self._add(self._name(), first.ranks, right, is_partial=False)


def _left(name: str, ranks: tuple[str, ...]) -> str:
    return f"{name}[{', '.join(map(_variable, ranks))}]"


def _variable(rank: str) -> str:
    return rank.lower()


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _is_small(ranks: set[str]) -> bool:
    is_mixed = {"M1", "M0"} & ranks and {"M", "P"} & ranks
    return len(ranks) <= 3 and not is_mixed


def random_text(rng: Generator) -> str:
    """Draw the text of a cascade."""
    return _Writer(rng).write()


def random_cascade(rng: Generator) -> Cascade:
    """Draw a checked cascade."""
    return check(parse_module(random_text(rng), "random.cascade"))


def counted_ranks(cascade: Cascade) -> Iterator[tuple[str, tuple[int, ...], str]]:
    """Yield every tensor, axis and the axis' rank; and the axes of M1 and M0 together as the rank `M1*M0`."""
    for tensor in cascade.tensors:
        ranks = [dimension.rank for dimension in tensor.dimensions]
        for axis, rank in enumerate(ranks):
            yield tensor.name, (axis,), rank
        if "M1" in ranks and "M0" in ranks:
            yield tensor.name, (ranks.index("M1"), ranks.index("M0")), "M1*M0"


def extents_for(cascade: Cascade, rng: Generator, rank: str = "M") -> dict[str, int]:
    """Draw extents of the free ranks: 6 to 8 for the rank that is counted, 2 or 3 (M and P: 5) for others.

    M and P are long together, and a window W nearly as long, so that a filter leaves fibers long enough. For a rank
    that a partition makes, M is as long as that rank needs, its last tile incomplete half of the time.
    """
    extents = {name: int(rng.integers(2, 4)) for name in cascade.free_ranks}
    rank = cascade.base_rank(rank) if rank in cascade.rank else rank
    if "P" in cascade.rank:
        extents |= dict.fromkeys({"C", "D"} & extents.keys(), 2)
    long = int(rng.integers(6, 9))
    for name in extents:
        if name in _LONG:
            extents[name] = long if rank in _LONG else 5
        elif name == rank:
            extents[name] = long
    if "W" in extents:
        extents["W"] = 5
    if "M0" in cascade.free_ranks:
        tiles = {"M1": (long, 2), "M1*M0": (long, 2), "M": (long, 2), "M0": (2, long)}.get(rank, (3, 2))
        extents["M0"], extents["M"] = tiles[1], tiles[0] * tiles[1] - int(rng.integers(0, 2))
    return extents


def shrink(text: str, fails: Callable[[str], bool]) -> str:
    """Drop tensors, filters and outputs greedily while the cascade is valid and still fails."""
    text = _one_a_line(text)
    while True:
        for smaller in _smaller(text):
            if _weight(smaller) < _weight(text) and _is_valid(smaller) and fails(smaller):
                text = smaller
                break
        else:
            return text


def _one_a_line(text: str) -> str:
    """Give every input and param a line of its own."""
    lines: list[str] = []
    for line in text.splitlines():
        found = re.match(r"(input|param) ", line)
        parts = re.findall(r"\w+\[[^\]]*\]", line) if found else []
        lines += [f"{found[0]}{part}" for part in parts] if found else [line]
    return "\n".join([*lines, ""])


def _weight(text: str) -> tuple[int, ...]:
    """Measure a text so that every step of shrinking makes it smaller."""
    lines = text.splitlines()
    equations = [line for line in lines if re.match(r"(init )?\w+\[[^\]]*\] *=", line)]
    return len(equations), text.count(" where "), len(lines), len(text)


def _is_valid(text: str) -> bool:
    try:
        check(parse_module(text, "shrunk.cascade"))
    except CascadeError:
        return False
    return True


def _smaller(text: str) -> Iterator[str]:
    cascade = check(parse_module(text, "shrinking.cascade"))
    lines = text.splitlines()
    for tensor in reversed(cascade.tensors):
        rest = [line for line in lines if not re.match(rf"\s*(init |input |param |tensor )?{tensor.name}\[", line)]
        yield _with_outputs(rest)
        if not tensor.is_given and tensor.generation_axis is None:
            given = ", ".join(f"{d.rank.lower()}:{d.rank}" for d in tensor.dimensions)
            first = next(number for number, line in enumerate(rest) if not line.startswith("rank"))
            yield _with_outputs([*rest[:first], f"input {tensor.name}[{given}]", *rest[first:]])
    for number, line in enumerate(lines):
        if " where " in line:
            yield "\n".join([*lines[:number], line.partition(" where ")[0], *lines[number + 1 :], ""])


def _with_outputs(lines: list[str]) -> str:
    """Make every computed tensor that nothing reads an output, and no other."""
    body = [line for line in lines if not line.startswith("output ")]
    equations = [line for line in body if re.match(r"(init )?\w+\[[^\]]*\] *=", line)]
    made, read = _made(equations), _read(equations)
    outputs = [name for name in made if name not in read] or made[-1:]
    return "\n".join([*_without_idle_ranks(body), f"output {', '.join(outputs)}", ""])


def _without_idle_ranks(lines: list[str]) -> list[str]:
    """Drop the ranks that no other line mentions, nor their variables; those are errors."""
    kept = list(lines)
    for number in reversed(range(len(lines))):
        if lines[number].startswith("rank "):
            others = "\n".join(kept[:number] + kept[number + 1 :])
            parts = [part.strip() for part in lines[number].removeprefix("rank ").split(",")]
            used = [part for part in parts if _mentions(others, part.partition("=")[0].strip())]
            kept[number] = f"rank {', '.join(used)}" if used else ""
    return [line for line in kept if line]


def _mentions(text: str, rank: str) -> bool:
    body = "\n".join(line for line in text.splitlines() if not line.startswith("rank ") or "=" in line)
    return re.search(rf"\b({rank}|{rank.lower()})\b", body) is not None


def _made(equations: list[str]) -> list[str]:
    return list(dict.fromkeys(re.findall(r"^(?:init )?(\w+)\[", "\n".join(equations), re.MULTILINE)))


def _read(equations: list[str]) -> set[str]:
    """Name what is read by equations of other tensors."""
    read: set[str] = set()
    for line in equations:
        left, _, right = line.partition("=")
        read |= set(re.findall(r"(\w+)\[", right)) - set(_made([left]))
    return read
