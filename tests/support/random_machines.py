"""Random machines that a cascade can run on: names, levels, shapes, links and abilities are drawn."""

from fractions import Fraction

from numpy.random import Generator

from einsum_cascade.arch.ir import Architecture, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cascade.operators import OPERATORS

__all__ = ["random_machine"]

WORD_BITS = 16
LINKS = ("broadcast", "reduce", "shift")


def random_machine(rng: Generator, names: tuple[str, ...] = tuple(OPERATORS)) -> Architecture:
    """Draw a machine of one to three memories and one to three engines, of which the last can do all.

    The outermost memory holds everything; the capacities of the others go from less than a word to more than enough.
    """
    memories = [_memory(rng, "far", None, 1)]
    for name in ("middle", "near")[: int(rng.integers(0, 3))]:
        capacity = None if rng.random() < 0.1 else int(2 ** rng.uniform(0, 14))
        memories.append(_memory(rng, name, capacity, int(rng.choice([1, 1, 1, 3, 8]))))
    engines = [_engine(rng, f"helper{number}", _some(rng, names)) for number in range(int(rng.integers(0, 3)))]
    engines.append(_engine(rng, "able", names))
    return Architecture("drawn", 10**9, WORD_BITS, tuple(memories), tuple(engines), ())


def _some(rng: Generator, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if rng.random() < 0.4)


def _memory(rng: Generator, name: str, capacity: int | None, instances: int) -> Memory:
    rate = None if rng.random() < 0.4 else Fraction(int(rng.integers(1, 64)) * 10**9)
    return Memory(name, capacity, WORD_BITS, rate, rate, bool(rng.random() < 0.5), instances, 1.0, 1.0)


def _engine(rng: Generator, name: str, names: tuple[str, ...]) -> Engine:
    has_mac = ("mac",) if rng.random() < 0.7 else ()
    operations = tuple(Operation(own, int(rng.integers(1, 4)), 4, ()) for own in (*has_mac, *names) or ("mac",))
    registers = RegisterFile(int(rng.integers(1, 5)), int(rng.choice([8, 16, 32])), 1.0, 1.0, 0.0)
    rows, columns = (int(rng.choice([1, 1, 2, 3, 4, 8])) for _ in range(2))
    along = [frozenset(link for link in LINKS if rng.random() < 0.4) for _ in range(2)]
    return Engine(name, rows, columns, operations, registers, None, along[0], along[1])
