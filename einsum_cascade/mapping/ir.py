"""The mapping: a tree of loops, of tensors kept at levels, and of Einsums bound to engines.

A block is a run of steps with something inside: `for p by 256: keep K, V in buffer: for m0 on rows: ...`. What several
Einsums share stands above them; a path from the root to an Einsum is its loop nest, from the outermost memory inwards.
Every node of a mapping that was read from a file knows its place there, which takes no part in equality.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from einsum_cascade.cascade.extent import ONE, ZERO, Extent
from einsum_cascade.errors import Span
from einsum_cascade.mapping.parameters import Rule

__all__ = [
    "NOWHERE",
    "Axis",
    "Block",
    "Compute",
    "Keep",
    "Loop",
    "Mapping",
    "Order",
    "Step",
    "leaves",
    "normalised",
    "paths",
]

NOWHERE = Span("", 0)
"""The place of what was not read from a file."""

type Axis = Literal["rows", "columns"]
type Order = Literal["sequence", "overlap", "lock-step"]


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop over tiles of a rank variable.

    Parameters
    ----------
    variable
        The rank variable of the cascade.
    tile
        Coordinates that one iteration covers; an expression over extents and parameters. The last may cover fewer.
    axis
        The dimension of the engine that the iterations are spread over; None for a loop in time.

    """

    variable: str
    tile: Extent = ONE
    axis: Axis | None = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        by = "" if self.tile == ONE else f" by {self.tile}"
        return f"for {self.variable}{by}" + (f" on {self.axis}" if self.axis else "")


@dataclass(frozen=True, slots=True)
class Keep:
    """Tensors whose tiles a level holds while what is inside runs.

    Parameters
    ----------
    level
        A memory of the architecture, or an engine, whose register files are meant.
    tensors
        The tensors.
    copies
        Tiles of each that are held at once: 2 for double buffering.
    share
        Name of the parameter that says which share of every tile fits, from 0 to 1; all other accesses go to the level
        outside. Empty if all of it fits.

    """

    level: str
    tensors: tuple[str, ...]
    copies: int = 1
    share: str = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        times = f" x{self.copies}" if self.copies != 1 else ""
        share = f" up to {self.share}" if self.share else ""
        return f"keep {', '.join(self.tensors)} in {self.level}{times}{share}"


@dataclass(frozen=True, slots=True)
class Compute:
    """An Einsum, bound to an engine.

    Parameters
    ----------
    task
        The tensor that the Einsum defines; of several equations of a tensor `T`, `T#2` is the second.
    engine
        Where it runs.
    stage
        The lock-step stage that it belongs to, counted from 1; 0 where the schedule decides.
    overhead_cycles
        Cycles that each run of the innermost tile takes beyond its operations, such as filling and draining an array.

    """

    task: str
    engine: str
    stage: int = 0
    overhead_cycles: Extent = field(default=ZERO)
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.task} on {self.engine}"


type Step = Loop | Keep


@dataclass(frozen=True, slots=True)
class Block:
    """Steps, outermost first, and what runs inside.

    Parameters
    ----------
    steps
        Loops, and tensors that are kept.
    body
        What runs inside, in order.
    order
        Whether the parts of the body follow one another, overlap across iterations as far as dependences and engines
        allow, or start together in stages.

    """

    steps: tuple[Step, ...]
    body: "tuple[Block | Compute, ...]"
    order: Order = "sequence"
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True, repr=False)
class Mapping:
    """A mapping of a cascade.

    Parameters
    ----------
    name
        Its name.
    root
        The tree.
    parameters
        Names in tile sizes that are no ranks, with their values or the rules that they follow.
    word_bits
        Widths of tensors that are not the architecture's.
    cascade
        The name of what it maps; empty if it does not say.
    source
        Where it is from.
    span
        Its place in a file.
    places
        Those of parameters and of words, by name.

    """

    name: str
    root: Block
    parameters: tuple[tuple[str, Rule], ...] = ()
    word_bits: tuple[tuple[str, int], ...] = ()

    def __repr__(self) -> str:
        return f"<Mapping {self.name}: {', '.join(map(str, leaves(self.root)))}>"

    @property
    def numbers(self) -> dict[str, int]:
        """The parameters that are numbers and follow no rule."""
        return {name: rule for name, rule in self.parameters if isinstance(rule, int)}

    cascade: str = ""
    source: str = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    places: dict[str, Span] = field(default_factory=dict[str, Span], compare=False, repr=False)

    def place(self, name: str) -> Span:
        """Return where a parameter, or the words of a tensor, are given; the mapping's own place if that is unknown."""
        return self.places.get(name, self.span)


def leaves(node: Block | Compute) -> Iterator[Compute]:
    """Yield every Einsum of a tree, in order."""
    if isinstance(node, Compute):
        yield node
    else:
        for part in node.body:
            yield from leaves(part)


def paths(node: Block | Compute, above: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], Compute]]:
    """Yield every Einsum of a tree with the steps from the root to it."""
    if isinstance(node, Compute):
        yield above, node
    else:
        for part in node.body:
            yield from paths(part, (*above, *node.steps))


def normalised(root: Block) -> Block:
    """Return a tree in which no block stands alone inside another, or only groups what its surroundings group alike.

    What a mapping does depends on this tree alone, but for `Compute.overhead_cycles`.
    """
    found = _normalised(root)
    return found if isinstance(found, Block) else Block((), (found,))


def _normalised(node: Block | Compute) -> Block | Compute:
    if isinstance(node, Compute):
        return node
    parts: list[Block | Compute] = []
    for part in map(_normalised, node.body):
        is_open = isinstance(part, Block) and not part.steps and part.order == node.order
        parts += part.body if isinstance(part, Block) and is_open else (part,)
    if len(parts) > 1:
        return Block(node.steps, tuple(parts), node.order)
    (only,) = parts
    if isinstance(only, Block):
        return Block((*node.steps, *only.steps), only.body, only.order)
    return Block(node.steps, (only,)) if node.steps else only
