"""Random architectures that keep every rule, as a hypothesis strategy."""

from fractions import Fraction

from hypothesis import strategies as st

from einsum_cascade.arch.ir import Architecture, Component, Engine, Memory, Operation, RegisterFile
from einsum_cascade.cascade.operators import OPERATORS

__all__ = ["architectures"]

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True)
COUNTS = st.integers(1, 10**6)
COSTS = st.floats(0, 1e12, allow_nan=False)
TEXTS = st.text(max_size=20)
RATES = st.none() | st.fractions(min_value=Fraction(1, 1000), max_denominator=10**4).map(abs)
LINKS = st.frozensets(st.sampled_from(["broadcast", "reduce", "shift"]))


@st.composite
def architectures(draw):
    word_bits = draw(st.integers(1, 64))
    components = [
        Component(name, draw(COSTS), draw(COSTS), draw(TEXTS))
        for name in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    ]
    return Architecture(
        draw(NAMES),
        draw(st.integers(1, 10**10)),
        word_bits,
        tuple(memory(draw, name, word_bits) for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))),
        tuple(engine(draw, name, components) for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))),
        tuple(components),
        draw(TEXTS),
    )


def memory(draw, name, word_bits):
    access_bits = word_bits * draw(st.integers(1, 300))
    read, is_shared = draw(RATES), draw(st.booleans())
    return Memory(
        name,
        draw(st.none() | st.integers(1, 10**6).map(lambda rows: rows * access_bits)),
        access_bits,
        read,
        read if is_shared else draw(RATES),
        is_shared,
        draw(COUNTS),
        draw(COSTS),
        draw(COSTS),
        draw(st.none() | COSTS),
        draw(TEXTS),
    )


def engine(draw, name, components):
    return Engine(
        name,
        draw(COUNTS),
        draw(COUNTS),
        tuple(
            operation(draw, it, components) for it in draw(st.sets(st.sampled_from(["mac", *OPERATORS]), min_size=1))
        ),
        RegisterFile(draw(COUNTS), draw(COUNTS), draw(COSTS), draw(COSTS), draw(COSTS), draw(TEXTS)),
        draw(st.none() | COUNTS),
        draw(LINKS),
        draw(LINKS),
    )


def operation(draw, name, components):
    used = draw(st.lists(st.sampled_from(components), max_size=3, unique=True))
    return Operation(name, draw(COUNTS), draw(COUNTS), tuple((it.name, draw(COUNTS)) for it in used))
