"""Which operations of an engine an Einsum takes at each point: a cover of its expression.

A product that is summed, or added to something, is one multiply-add where the engine has it; an exponential of a
difference is one `expsub` where the engine has that.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from einsum_cascade.arch.ir import Engine, Operation
from einsum_cascade.cascade.ir import Apply, Einsum, Expression

__all__ = ["Cover", "cover"]

_SUBSTITUTES = {
    "+": ("mac",),
    "-": ("+", "mac"),
    "*": ("mac",),
    "mac": (),
    "min": ("max",),
    "square": ("*", "mac"),
}
"""What does the work of an operator where an engine has none of its own, best first."""


@dataclass(frozen=True, slots=True)
class Cover:
    """The operations of one point.

    Parameters
    ----------
    operations
        Operations and how often each is applied.
    missing
        Operators that the engine cannot do.

    """

    operations: tuple[tuple[Operation, int], ...]
    missing: tuple[str, ...]

    @property
    def slots(self) -> int:
        """Issue slots of a PE per point."""
        return sum(operation.interval_cycles * count for operation, count in self.operations)

    @property
    def components(self) -> Counter[str]:
        """Actions per point, by component."""
        total: Counter[str] = Counter()
        for operation, count in self.operations:
            for name, times in operation.components:
                total[name] += times * count
        return total


def cover(einsum: Einsum, engine: Engine) -> Cover:
    """Cover the expression and the reduction of an Einsum by the operations of an engine."""
    wanted: Counter[str] = Counter(_wanted(einsum.expression, engine, is_summed=_is_sum(einsum)))
    if einsum.reduction is not None and not (_is_sum(einsum) and _is_product(einsum.expression, engine)):
        wanted[einsum.reduction.operator.name] += 1
    found: dict[Operation, int] = {}
    missing: list[str] = []
    for name, count in wanted.items():
        operation = _operation(engine, name)
        if operation is None:
            missing.append(name)
        else:
            found[operation] = found.get(operation, 0) + count
    return Cover(tuple(found.items()), tuple(missing))


def _is_sum(einsum: Einsum) -> bool:
    return einsum.reduction is not None and einsum.reduction.operator.name == "+"


def _is_product(expression: Expression, engine: Engine) -> bool:
    is_product = isinstance(expression, Apply) and expression.operator.name == "*"
    return is_product and engine.operation("mac") is not None


def _operation(engine: Engine, name: str) -> Operation | None:
    names = (name, *_SUBSTITUTES.get(name, ()))
    return next((found for other in names if (found := engine.operation(other)) is not None), None)


def _wanted(expression: Expression, engine: Engine, *, is_summed: bool = False) -> Iterator[str]:
    """Yield the operators of an expression, pairs that one operation does joined."""
    if not isinstance(expression, Apply):
        return
    name, arguments = expression.operator.name, expression.arguments
    product = next((a for a in arguments if _is_product(a, engine)), None) if name in ("+", "-") else None
    inside = arguments
    if product is not None and isinstance(product, Apply):
        yield "mac"
        inside = (*(a for a in arguments if a is not product), *product.arguments)
    elif name == "exp" and _is_difference(arguments[0]) and _operation(engine, "expsub") is not None:
        yield "expsub"
        inside = arguments[0].arguments if isinstance(arguments[0], Apply) else ()
    elif name == "expsub" and _operation(engine, "expsub") is None:
        yield from ("-", "exp")
    elif name == "*" and is_summed and _is_product(expression, engine):
        yield "mac"
    elif name != "neg":
        yield name
    for argument in inside:
        yield from _wanted(argument, engine)


def _is_difference(expression: Expression) -> bool:
    return isinstance(expression, Apply) and expression.operator.name == "-"
