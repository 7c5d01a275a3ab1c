"""What the equations of one cascade say by themselves, each worked out once.

A loop evaluates the same equations thousands of times. Expressions are remembered by identity: the cascade, which holds
them, lives as long as this object.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from einsum_cascade.cascade.affine import Affine
from einsum_cascade.cascade.ir import Apply, Cascade, Constant, Einsum, Expression, Read, expression_variables, walk
from einsum_cascade.cascade.reach import coordinate_counts
from einsum_cascade.interpreter.space import Space
from einsum_cascade.interpreter.views import IndexNumbers

__all__ = ["EquationFacts"]

_MINUS_ONE = Constant(-1.0)


class EquationFacts:
    """Facts about the equations of a cascade with given extents."""

    def __init__(self, cascade: Cascade, extents: Mapping[str, int]) -> None:
        """Know nothing yet."""
        self._cascade, self._extents = cascade, extents
        self._known: dict[tuple[Hashable, int], Any] = {}

    def _once[T](self, kind: Hashable, node: object, work_out: Callable[[], T]) -> T:
        key = (kind, id(node))
        if key not in self._known:
            self._known[key] = work_out()
        return self._known[key]

    def reads(self, expression: Expression) -> tuple[Read, ...]:
        """Return the reads of an expression."""
        return self._once("reads", expression, lambda: tuple(n for n in walk(expression) if isinstance(n, Read)))

    def variables(self, expression: Expression) -> frozenset[str]:
        """Return the rank variables of an expression."""
        return self._once("variables", expression, lambda: frozenset(expression_variables(expression)))

    def divisors(self, expression: Expression) -> tuple[Expression, ...]:
        """Return what an expression divides by."""
        return self._once(
            "divisors",
            expression,
            lambda: tuple(n.arguments[1] for n in walk(expression) if isinstance(n, Apply) and n.operator.name == "/"),
        )

    def has_user_operator(self, expression: Expression) -> bool:
        """Tell whether an expression applies an operator that is not built in."""
        return self._once(
            "user",
            expression,
            lambda: any(isinstance(node, Apply) and not node.operator.is_builtin for node in walk(expression)),
        )

    def dimensions(
        self, read: Read, cuts: tuple[tuple[str, int], ...], numbers: IndexNumbers
    ) -> tuple[tuple[Affine, ...], dict[str, Affine], frozenset[int]]:
        """Return the indices into a tile, those that loops cut off, and the dimensions that can have a tail."""
        return self._once(("dimensions", cuts), read, lambda: self._dimensions(read, cuts, numbers))

    def _dimensions(
        self, read: Read, cuts: tuple[tuple[str, int], ...], numbers: IndexNumbers
    ) -> tuple[tuple[Affine, ...], dict[str, Affine], frozenset[int]]:
        axes = frozenset(axis for _, axis in cuts)
        kept = [axis for axis in range(len(read.indices)) if axis not in axes]
        dimensions = self._cascade.tensor[read.tensor].dimensions
        tails = (
            at
            for at, axis in enumerate(kept)
            if not dimensions[axis].is_generational
            and len(read.indices[axis].terms) > 1
            and numbers.is_partition(read.indices[axis])
        )
        indices = tuple(read.indices[axis] for axis in kept)
        return indices, {name: read.indices[axis] for name, axis in cuts}, frozenset(tails)

    def product(self, einsum: Einsum, expression: Expression) -> tuple[list[Expression], list[Expression]]:
        """Return the factors of an expression as a product, and those divisors in which no reduced variable occurs."""
        reduced = frozenset(einsum.reduction.variables if einsum.reduction else ())
        return self._once("product", expression, lambda: self._product(expression, reduced))

    def _product(self, expression: Expression, reduced: frozenset[str]) -> tuple[list[Expression], list[Expression]]:
        if isinstance(expression, Apply):
            name, arguments = expression.operator.name, expression.arguments
            if name == "*":
                parts = [self._product(argument, reduced) for argument in arguments]
                return [f for factors, _ in parts for f in factors], [d for _, divisors in parts for d in divisors]
            if name == "/" and reduced.isdisjoint(self.variables(arguments[1])):
                factors, divisors = self._product(arguments[0], reduced)
                return factors, [*divisors, arguments[1]]
            if name == "neg":
                factors, divisors = self._product(arguments[0], reduced)
                return [*factors, _MINUS_ONE], divisors
        return [expression], []

    def space(self, einsum: Einsum, fixed: Mapping[str, int]) -> Space:
        """Return the points of an Einsum; `fixed` may go on changing, but not by other variables."""
        return self._once(("space", *fixed), einsum, lambda: self._space(einsum, fixed))

    def _space(self, einsum: Einsum, fixed: Mapping[str, int]) -> Space:
        counts = coordinate_counts(self._cascade, einsum, self._extents)
        names = tuple(name for name in einsum.variables if name not in fixed)
        reduced = len(einsum.reduction.variables) if einsum.reduction else 0
        return Space(names, (0,) * len(names), tuple(counts[name] for name in names), reduced, fixed)

    def is_read_once(self, einsum: Einsum, name: str) -> bool:
        """Tell whether an Einsum reads a tensor in one place only."""
        return self._once(("once", name), einsum, lambda: sum(read.tensor == name for read in einsum.reads) == 1)

    def is_neutral_init(self, einsum: Einsum) -> bool:
        """Tell whether an `init` gives the identity of the outermost operator of its tensor's recurrence."""
        return self._once("neutral", einsum, lambda: self._is_neutral_init(einsum))

    def _is_neutral_init(self, einsum: Einsum) -> bool:
        if not einsum.is_init or not isinstance(einsum.expression, Constant) or einsum.reduction is not None:
            return False
        update = next(e for e in self._cascade.einsums if e.tensor == einsum.tensor and not e.is_init)
        if update.reduction is not None:
            operator = update.reduction.operator
        elif isinstance(update.expression, Apply):
            operator = update.expression.operator
        else:
            return False
        return operator.identity is not None and einsum.expression.value == operator.identity
