"""Expressions of the Python builder: what arithmetic, comparisons, reductions and NumPy's functions make of reads.

What cannot be written down as a cascade is refused with the user's line and what to write instead.
"""

from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import Any, Never

import numpy as np

from einsum_cascade.cascade import syntax
from einsum_cascade.cascade.misuse import INSTEAD, PRODUCT, arrays_only, refuse_arithmetic, undecided
from einsum_cascade.cascade.operators import OPERATORS, Operator
from einsum_cascade.cascade.position import here, refusal
from einsum_cascade.cascade.syntax import Expression
from einsum_cascade.units import MOST_DIGITS, has_many_digits

__all__ = [
    "Filtered",
    "Function",
    "Operand",
    "RankHandle",
    "Value",
    "node_of",
    "where",
]

_COMPARISONS: dict[object, str] = {
    np.less: "<",
    np.less_equal: "<=",
    np.greater: ">",
    np.greater_equal: ">=",
    np.equal: "==",
    np.not_equal: "!=",
}
_POWERS = {2: "square", 0.5: "sqrt", -0.5: "rsqrt"}


class Value:
    """An expression under construction: anything arithmetic, comparisons and reductions can be done with.

    Examples
    --------
    `c.QK[m, p] - c.GM[p]`, `m1 * M0 + m0`, `(m <= p) & (p - W < m)`, `c.QK[m, p].max(m)`, `X[m] ** 2`, `np.exp(X[m])`.

    """

    __slots__ = ("node",)

    def __init__(self, node: Expression) -> None:
        """Wrap a piece of syntax."""
        self.node = node

    def __add__(self, other: "Operand") -> "Value":
        return _infix("+", self, other)

    def __radd__(self, other: "Operand") -> "Value":
        return _infix("+", other, self)

    def __sub__(self, other: "Operand") -> "Value":
        return _infix("-", self, other)

    def __rsub__(self, other: "Operand") -> "Value":
        return _infix("-", other, self)

    def __mul__(self, other: "Operand") -> "Value":
        return _infix("*", self, other)

    def __rmul__(self, other: "Operand") -> "Value":
        return _infix("*", other, self)

    def __truediv__(self, other: "Operand") -> "Value":
        return _infix("/", self, other)

    def __rtruediv__(self, other: "Operand") -> "Value":
        return _infix("/", other, self)

    def __floordiv__(self, other: "Operand") -> "Value":
        return _infix("//", self, other)

    def __mod__(self, other: "Operand") -> "Value":
        return _infix("%", self, other)

    def __pow__(self, power: object) -> "Value":
        """Raise to the power 2, 1/2 or -1/2, which are operators."""
        name = _POWERS.get(power) if isinstance(power, int | float) else None
        if name is None:
            raise refusal(
                f"a power must be 2, 0.5 or -0.5, not {_shown(power)}; multiply the value with itself, "
                "or write exp(y * log(x)) for x ** y"
            )
        return Value(syntax.Call(name, (self.node,), None, here()))

    def __rpow__(self, base: object) -> Never:
        raise refusal(f"a power must be 2, 0.5 or -0.5, not a value; write exp(x * log({_shown(base)}))")

    def __matmul__(self, other: object) -> Never:
        raise refusal(f"a product must name its indices, and @ does not; {PRODUCT}")

    __rmatmul__ = __matmul__

    def __neg__(self) -> "Value":
        return Value(syntax.negate(self.node, here()))

    def __pos__(self) -> "Value":
        return self

    def __abs__(self) -> "Value":
        return Value(syntax.Call("abs", (self.node,), None, here()))

    def __lt__(self, other: "Operand") -> "Value":
        return _infix("<", self, other)

    def __le__(self, other: "Operand") -> "Value":
        return _infix("<=", self, other)

    def __gt__(self, other: "Operand") -> "Value":
        return _infix(">", self, other)

    def __ge__(self, other: "Operand") -> "Value":
        return _infix(">=", self, other)

    def __eq__(self, other: object) -> "Value":  # pyright: ignore[reportIncompatibleMethodOverride] - a comparison
        return _infix("==", self, other)

    def __ne__(self, other: object) -> "Value":  # pyright: ignore[reportIncompatibleMethodOverride] - a comparison
        return _infix("!=", self, other)

    def __hash__(self) -> int:
        return id(self)

    def equals(self, other: "Operand") -> "Value":
        """Compare for equality, as `==` does."""
        return _infix("==", self, other)

    def differs(self, other: "Operand") -> "Value":
        """Compare for inequality, as `!=` does."""
        return _infix("!=", self, other)

    def __and__(self, other: "Value") -> "Value":
        return _infix("and", self, other)

    def __or__(self, other: "Value") -> "Value":
        return _infix("or", self, other)

    def __invert__(self) -> "Value":
        return Value(syntax.Call("not", (self.node,), None, here()))

    def __bool__(self) -> bool:
        """Refuse: whether a comparison holds is only known point by point, when the cascade runs."""
        raise undecided()

    def __iter__(self) -> Iterator[Never]:
        raise refusal("a value must not be looped over; name the rank variables, as in X[m].sum(m), X[m].max(m)")

    def __float__(self) -> float:
        raise refusal("a value has no number before the cascade runs; use functions of einsum_cascade, as in exp(x)")

    __int__ = __index__ = __len__ = __float__  # pyright: ignore[reportAssignmentType] - all that they do is refuse

    def __getattr__(self, name: str) -> Never:
        if name.startswith("_"):
            raise AttributeError(name)
        instead = INSTEAD.get(name, "functions of one value are called on it, as in exp(X[m])")
        raise refusal(f"a value has sum, prod, max, min, reduce and where, but not {name!r}; {instead}")

    def __array_ufunc__(self, ufunc: Callable[..., Any], method: str, *arguments: Any, **options: Any) -> "Value":
        """Write down what a universal function of NumPy means: np.exp(X[m]), np.float32(2) * X[m]."""
        called = getattr(ufunc, "__name__", "?")
        if method != "__call__" or options:
            raise refusal(arrays_only(called if method == "__call__" else f"{called}.{method}"))
        name = _COMPARISONS.get(ufunc) or _BY_FUNCTION.get(ufunc)
        if name is None:
            raise refusal(
                f"np.{called} must be an operator of the cascade to be written in one, but is none; register it, as in "
                f"f = operator({called!r}, np.{called}), and write f(x)"
            )
        return Value(syntax.Call(name, tuple(map(node_of, arguments)), None, here()))

    def __array_function__(self, function: Callable[..., Any], *_: Any) -> Never:
        raise refusal(arrays_only(getattr(function, "__name__", "?")))

    def sum(self, *variables: "Value", **options: Never) -> "Value":
        """Reduce with + over rank variables."""
        return self.reduce("sum", *variables, **options)

    def prod(self, *variables: "Value", **options: Never) -> "Value":
        """Reduce with * over rank variables."""
        return self.reduce("prod", *variables, **options)

    def max(self, *variables: "Value", **options: Never) -> "Value":
        """Reduce with max over rank variables."""
        return self.reduce("max", *variables, **options)

    def min(self, *variables: "Value", **options: Never) -> "Value":
        """Reduce with min over rank variables."""
        return self.reduce("min", *variables, **options)

    def reduce(self, operator: "str | Function", *variables: "Value", **options: Never) -> "Value":
        """Reduce with any operator over rank variables."""
        name = operator if isinstance(operator, str) else operator.name
        if options or not variables or not all(map(_is_value, variables)):
            example = f".{name}(m)" if name in ("sum", "prod", "max", "min") else f".reduce({name}, m)"
            raise refusal(f"a reduction must name its rank variables and nothing else, as in {example}")
        nodes = tuple(variable.node for variable in variables)
        return Value(syntax.Call(name, (self.node,), nodes, here()))

    def where(self, predicate: "Value", otherwise: "Operand | None" = None) -> "Filtered":
        """Filter the equation this is the right side of; `otherwise` is the value of filtered points."""
        if not _is_value(predicate):
            raise refusal(f"a filter must be a comparison of values, as in .where(m <= p), not {_shown(predicate)}")
        return Filtered(self.node, predicate.node, None if otherwise is None else node_of(otherwise))


class Filtered:
    """The right side of an equation with its filter: only good for assignment."""

    __slots__ = ("otherwise", "predicate", "value")
    misuse = "a filter must be the last thing on the right of an equation, as in X[m].sum(m).where(m <= p)"

    def __init__(self, value: Expression, predicate: Expression, otherwise: Expression | None) -> None:
        """Join the three parts."""
        self.value, self.predicate, self.otherwise = value, predicate, otherwise

    def __getattr__(self, name: str) -> Never:
        if name.startswith("_"):
            raise AttributeError(name)
        raise refusal(self.misuse)


type Operand = Value | float

refuse_arithmetic(Filtered)


def where(value: Operand, predicate: Value, otherwise: Operand | None = None) -> Filtered:
    """Filter an equation whose right side may be a plain number."""
    return Value(node_of(value)).where(predicate, otherwise)


class Function:
    """An operator that can be called on values: `exp(x)`, `maximum(a, b)`."""

    __slots__ = ("name",)

    def __init__(self, operator: Operator) -> None:
        """Refer to a registered operator."""
        self.name = operator.name

    def __call__(self, *arguments: Operand) -> Value:
        """Apply the operator to values and numbers."""
        return Value(syntax.Call(self.name, tuple(map(node_of, arguments)), None, here()))


class RankHandle(Value):
    """A rank: its extent in an expression."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        """Refer to a rank by name."""
        super().__init__(syntax.Name(name))
        self.name = name


_BY_FUNCTION: dict[object, str] = {
    operator.function: operator.name for operator in map(OPERATORS.get, OPERATORS) if operator is not None
}


def _infix(operator: str, left: object, right: object) -> Value:
    return Value(syntax.Call(operator, (node_of(left), node_of(right)), None, here()))


def node_of(operand: object) -> Expression:
    """Return an operand as syntax: a value's own, or a number of Python's or NumPy's."""
    match operand:
        case Value():
            return operand.node
        case bool() | np.bool():
            pass
        case Integral():
            if has_many_digits(int(operand)):
                raise refusal(
                    f"a number must have at most {MOST_DIGITS} digits, but this one has more; give a smaller one"
                )
            return syntax.Number(int(operand), here())
        case Real():
            return syntax.Number(float(operand), here())
        case _:
            pass
    if (sentence := getattr(operand, "misuse", None)) is not None:
        raise refusal(sentence)
    message = f"an expression must be made of tensors, rank variables, ranks and numbers, not {_shown(operand)}"
    if isinstance(operand, np.ndarray):
        message += "; declare it with c.input, and give it when the cascade runs"
    raise refusal(message)


def _is_value(operand: object) -> bool:
    return isinstance(operand, Value)


def _shown(operand: object) -> str:
    """Return how an operand is told in a sentence."""
    if isinstance(operand, Value):
        return "a value"
    return "an array" if isinstance(operand, np.ndarray) else repr(operand)
