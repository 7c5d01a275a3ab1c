"""The checked intermediate representation: frozen values that every later stage reads.

A `Cascade` is only made by `einsum_cascade.cascade.checker.check`; whoever holds one may rely on all the rules of the
language. The representation holds no array and no number for an extent: those come with `run` and `--set`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.extent import ONE, Extent, symbol
from einsum_cascade.cascade.operators import Operator
from einsum_cascade.cascade.relation import Relation
from einsum_cascade.errors import Span

__all__ = [
    "And",
    "Apply",
    "Cascade",
    "Comparison",
    "Constant",
    "Coordinate",
    "Dimension",
    "Einsum",
    "Expression",
    "Not",
    "Or",
    "Predicate",
    "Rank",
    "RankExtent",
    "Read",
    "Reduction",
    "Tensor",
    "conjuncts",
    "expression_variables",
    "is_product",
    "predicate_expressions",
    "predicate_variables",
    "reads_of",
    "reads_of_predicate",
    "walk",
]

_NOWHERE = Span("", 0)


@dataclass(frozen=True, slots=True)
class Rank:
    """A rank: its name and what its extent is.

    Parameters
    ----------
    name
        Starts upper-case.
    extent
        The default, over other ranks; None if only the user can give it.
    alias_of
        The rank whose coordinates it shares under a variable of its own, if any.

    """

    name: str
    extent: Extent | None = None
    alias_of: str | None = None


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension of a tensor.

    Parameters
    ----------
    rank
        The rank whose coordinates it has.
    variable
        The rank variable that the tensor was declared with.
    is_generational
        Whether it counts generations 0..n of an iterative rank of extent n, n + 1 coordinates in all.

    """

    rank: str
    variable: str = field(compare=False)
    is_generational: bool = False

    @property
    def extent(self) -> Extent:
        """Number of coordinates, over rank names."""
        return symbol(self.rank) + ONE if self.is_generational else symbol(self.rank)


@dataclass(frozen=True)
class Tensor:
    """A tensor of the cascade.

    Parameters
    ----------
    name
        Unique in the cascade.
    dimensions
        In order.
    role
        `input`, `param` (an input that is static) or `computed`.
    is_declared
        Whether a `tensor` statement gives the dimensions, because the left indices do not.

    """

    name: str
    dimensions: tuple[Dimension, ...]
    role: str = "computed"
    is_declared: bool = False

    @property
    def is_given(self) -> bool:
        """Whether the user supplies it."""
        return self.role != "computed"

    @cached_property
    def generation_axis(self) -> int | None:
        """Position of the generational dimension, None if there is none."""
        return next((axis for axis, d in enumerate(self.dimensions) if d.is_generational), None)


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, `inf` and `pi` included."""

    value: float


@dataclass(frozen=True, slots=True)
class RankExtent:
    """The extent of a rank, as a value."""

    rank: str


@dataclass(frozen=True, slots=True)
class Coordinate:
    """The coordinate of a rank variable, as a value."""

    variable: str


@dataclass(frozen=True, slots=True)
class Read:
    """A tensor at affine indices, one per dimension."""

    tensor: str
    indices: tuple[Affine, ...]
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return f"{self.tensor}[{', '.join(map(str, self.indices))}]"


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator mapped over points."""

    operator: Operator
    arguments: tuple["Expression", ...]


type Expression = Constant | RankExtent | Coordinate | Read | Apply


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison (`<`, `<=`, `>`, `>=`, `==`, `!=`) of affine expressions and reads of inputs."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class And:
    """All of the predicates."""

    operands: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the predicates."""

    operands: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a predicate."""

    operand: "Predicate"


type Predicate = Comparison | And | Or | Not


@dataclass(frozen=True, slots=True)
class Reduction:
    """The operator that folds the listed rank variables away, in order of iteration."""

    operator: Operator
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Einsum:
    """One Extended Einsum: map the expression over the iteration space, reduce, populate the left side.

    Parameters
    ----------
    tensor, indices
        The left side. For an iterative tensor one index is `v + step`, or a constant in an `init`.
    expression
        What is mapped at every point, the reduction stripped off.
    reduction
        None if every variable is on the left.
    where
        The filter; points that fail it are absent.
    otherwise
        The value that points absent by the filter get instead; also the result of a division by an empty reduction.
    is_init
        Whether it gives an early generation of an iterative tensor.

    """

    tensor: str
    indices: tuple[Affine, ...]
    expression: Expression
    reduction: Reduction | None = None
    where: Predicate | None = None
    otherwise: Expression | None = None
    is_init: bool = False
    span: Span = field(default=_NOWHERE, compare=False)

    @property
    def left_variables(self) -> tuple[str, ...]:
        """Rank variables on the left, in order."""
        return tuple(dict.fromkeys(name for index in self.indices for name in index.variables))

    @property
    def variables(self) -> tuple[str, ...]:
        """The iteration space: the variables on the left, then those reduced."""
        return self.left_variables + (self.reduction.variables if self.reduction else ())

    @property
    def reads(self) -> tuple[Read, ...]:
        """Every read of the expression and of `else`, in order, repetitions included; the filter's are apart."""
        return tuple(reads_of(self.expression)) + (tuple(reads_of(self.otherwise)) if self.otherwise else ())

    @property
    def is_constant_start(self) -> bool:
        """Whether it gives an early generation of an iterative tensor by a value and a filter that read nothing."""
        return self.is_init and not self.all_reads

    @property
    def all_reads(self) -> tuple[Read, ...]:
        """Every read, those of the filter last."""
        return self.reads + (tuple(reads_of_predicate(self.where)) if self.where else ())

    def __str__(self) -> str:
        return f"{self.tensor}[{', '.join(map(str, self.indices))}]"


@dataclass(frozen=True, repr=False)
class Cascade:
    """A checked cascade.

    Parameters
    ----------
    name
        Its name.
    ranks
        In an order in which every default extent follows what it is made of.
    variables
        Pairs of a rank variable and its rank, sorted.
    tensors
        Inputs and params in order of declaration, then computed tensors in order of definition.
    einsums
        In an order in which each follows what it reads, earlier generations excepted: the order of the source.
    outputs
        Names of the output tensors.
    relations
        What is stated of extents, in order.
    documentation
        Free text; takes no part in equality.

    """

    name: str
    ranks: tuple[Rank, ...]
    variables: tuple[tuple[str, str], ...]
    tensors: tuple[Tensor, ...]
    einsums: tuple[Einsum, ...]
    outputs: tuple[str, ...]
    relations: tuple[Relation, ...] = ()
    documentation: str = field(default="", compare=False)

    def __repr__(self) -> str:
        inputs = ", ".join(tensor.name for tensor in self.inputs)
        return f"<Cascade {self.name}: {inputs} to {', '.join(self.outputs)}, {len(self.einsums)} Einsums>"

    @cached_property
    def tensor(self) -> dict[str, Tensor]:
        """Tensors by name."""
        return {tensor.name: tensor for tensor in self.tensors}

    @cached_property
    def rank(self) -> dict[str, Rank]:
        """Ranks by name."""
        return {rank.name: rank for rank in self.ranks}

    @cached_property
    def rank_of(self) -> dict[str, str]:
        """The rank of every rank variable."""
        return dict(self.variables)

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors that the user supplies, params included."""
        return tuple(tensor for tensor in self.tensors if tensor.is_given)

    @cached_property
    def free_ranks(self) -> tuple[str, ...]:
        """Ranks whose extent only the user can give."""
        return tuple(rank.name for rank in self.ranks if rank.extent is None and rank.alias_of is None)

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """The operators that are not built in, sorted by name."""
        found = {node.operator for einsum in self.einsums for node in _nodes(einsum) if isinstance(node, Apply)}
        found |= {einsum.reduction.operator for einsum in self.einsums if einsum.reduction}
        return tuple(sorted((op for op in found if not op.is_builtin), key=lambda op: op.name))

    def step(self, name: str) -> int | None:
        """Return by how many generations an iterative tensor's equation steps; None if the tensor is not iterative."""
        axis = self.tensor[name].generation_axis
        if axis is None:
            return None
        update = next(e for e in self.einsums if e.tensor == name and not e.is_init)
        return update.indices[axis].offset.value

    def base_rank(self, name: str) -> str:
        """Return the rank at the end of a chain of aliases."""
        while (alias := self.rank[name].alias_of) is not None:
            name = alias
        return name

    def __str__(self) -> str:
        from einsum_cascade.cascade.text import to_text

        return to_text(self)

    def _repr_latex_(self) -> str:
        from einsum_cascade.cascade.latex import to_latex

        return to_latex(self)

    def _repr_html_(self) -> str:
        from einsum_cascade.cascade.html import to_html

        return to_html(self)


def _nodes(einsum: Einsum) -> Iterator[Expression]:
    yield from walk(einsum.expression)
    if einsum.otherwise:
        yield from walk(einsum.otherwise)
    if einsum.where:
        for side in predicate_expressions(einsum.where):
            yield from walk(side)


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield an expression and everything inside it, from the outside in."""
    yield expression
    if isinstance(expression, Apply):
        for argument in expression.arguments:
            yield from walk(argument)


def is_constant(expression: Expression) -> bool:
    """Tell whether an expression is made of numbers and extents only, the same at every point."""
    return not any(isinstance(node, Read | Coordinate) for node in walk(expression))


def reads_of(expression: Expression) -> Iterator[Read]:
    """Yield the reads of an expression in order."""
    return (node for node in walk(expression) if isinstance(node, Read))


def expression_variables(expression: Expression) -> Iterator[str]:
    """Yield the rank variables of an expression in order, with repetitions."""
    for node in walk(expression):
        if isinstance(node, Read):
            for index in node.indices:
                yield from index.variables
        elif isinstance(node, Coordinate):
            yield node.variable


def is_product(expression: Expression) -> bool:
    """Tell whether an expression is one read, or a product or quotient of reads and constants, which may be negated.

    A constant is whatever no rank variable occurs in, such as `sqrt(E)`.
    """
    match expression:
        case Read() | Constant() | RankExtent():
            return True
        case Apply(Operator(name="*" | "/" | "neg"), arguments) if all(map(is_product, arguments)):
            return True
        case _:
            return not any(True for _ in expression_variables(expression))


def predicate_expressions(predicate: Predicate) -> Iterator[Expression]:
    """Yield both sides of every comparison."""
    match predicate:
        case Comparison():
            yield predicate.left
            yield predicate.right
        case And() | Or():
            for operand in predicate.operands:
                yield from predicate_expressions(operand)
        case Not():
            yield from predicate_expressions(predicate.operand)


def predicate_variables(predicate: Predicate) -> frozenset[str]:
    """Return the rank variables of a predicate."""
    return frozenset(name for side in predicate_expressions(predicate) for name in expression_variables(side))


def reads_of_predicate(predicate: Predicate) -> Iterator[Read]:
    """Yield the reads of a predicate."""
    return (read for side in predicate_expressions(predicate) for read in reads_of(side))


def conjuncts(predicate: Predicate | None) -> tuple[Predicate, ...]:
    """Return the predicates that must all hold."""
    match predicate:
        case None:
            return ()
        case And():
            return tuple(part for operand in predicate.operands for part in conjuncts(operand))
        case _:
            return (predicate,)
