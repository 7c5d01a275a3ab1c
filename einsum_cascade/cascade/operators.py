"""The operator registry: every operator with its NumPy function and its algebra.

Algebra lives here and nowhere else: the checker asks which operators reduce, the interpreter how to compute them,
the analysis and the rewriter which laws hold.
"""

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from einsum_cascade.cascade.laws import (
    Domain,
    Law,
    application,
    laws_of_minus,
    laws_of_quotients,
    laws_of_weights,
)

__all__ = ["COMPARISONS", "OPERATORS", "Operator", "Registry", "register"]

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
"""What the comparisons of filters are, by their signs."""

type Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """A scalar operator that Einsums map over points or reduce with.

    Operators are equal if their names are.

    Parameters
    ----------
    name
        The name in expressions; infix operators are named by their sign.
    function
        The NumPy function, elementwise with broadcasting; an `out` argument is used if it has one.
    arity
        Number of arguments.
    is_associative, is_commutative
        Laws of a two-place operator; one that has both, and an identity, can reduce.
    identity
        The value a reduction over nothing gives.
    absorbing
        The value that makes every result equal to itself.
    distributes_over
        Names of the operators `o` with `f(o(a, b), c) = o(f(a, c), f(b, c))`, for all finite real numbers.
    homomorphism
        Pairs `(o, q)` with `f(o(a, b)) = q(f(a), f(b))`, for all numbers of the domain and infinities.
    domain
        The numbers that a one-place operator has its laws for.
    identities
        Further laws, each with its domain.
    range
        Least and greatest value for finite real arguments.
    is_monotone
        Whether a one-place operator never decreases.
    reduction_name
        The name when it reduces, if that differs from `name`.

    """

    name: str
    function: Callable[..., Array]
    arity: int
    is_associative: bool = False
    is_commutative: bool = False
    identity: float | None = None
    absorbing: float | None = None
    distributes_over: frozenset[str] = frozenset()
    homomorphism: frozenset[tuple[str, str]] = frozenset()
    range: tuple[float, float] = (-math.inf, math.inf)
    is_monotone: bool = False
    reduction_name: str = ""
    is_builtin: bool = False
    domain: Domain = "real"
    identities: tuple[Law, ...] = ()
    takes_out: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "takes_out", _takes_out(self.function))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Operator) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Operator({self.name!r})"

    @property
    def can_reduce(self) -> bool:
        """Whether the result of a reduction depends neither on order nor on grouping."""
        return self.arity == 2 and self.is_associative and self.is_commutative and self.identity is not None

    @property
    def laws(self) -> Iterator[Law]:
        """All laws that are declared, as equations."""
        of = self.name
        if self.is_associative:
            yield Law(
                application(of, application(of, "a", "b"), "c"),
                application(of, "a", application(of, "b", "c")),
                at_infinity=True,
            )
        if self.is_commutative:
            yield Law(application(of, "a", "b"), application(of, "b", "a"), at_infinity=True)
        if self.identity is not None:
            yield Law(application(of, "a", repr(self.identity)), "a", at_infinity=True)
        if self.absorbing is not None:
            yield Law(application(of, "a", repr(self.absorbing)), repr(self.absorbing), at_infinity=self.absorbing != 0)
        for other in sorted(self.distributes_over):
            inner = application(of, application(other, "a", "b"), "c")
            outer = application(other, application(of, "a", "c"), application(of, "b", "c"))
            yield Law(inner, outer, at_infinity=other in ("max", "min"))
        names = () if self.domain == "real" else ("a", "b")
        domains: tuple[tuple[str, Domain], ...] = tuple((name, self.domain) for name in names)
        for inner, outer in sorted(self.homomorphism):
            mapped = application(outer, application(of, "a"), application(of, "b"))
            yield Law(application(of, application(inner, "a", "b")), mapped, domains, at_infinity=True)
        yield from self.identities

    @property
    def reduces_as(self) -> str:
        """The name that the operator has as a reduction."""
        return self.reduction_name or self.name


class Registry:
    """Operators by name; reductions are found under their own name as well."""

    def __init__(self) -> None:
        """Start empty."""
        self._operators: dict[str, Operator] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._operators

    def __getitem__(self, name: str) -> Operator:
        return self._operators[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._operators)

    def get(self, name: str) -> Operator | None:
        """Return an operator by name, None if there is none."""
        return self._operators.get(name)

    def copy(self) -> "Registry":
        """Return a registry that can grow apart from this one."""
        other = Registry()
        other._operators = dict(self._operators)
        return other

    def add(self, operator: Operator) -> Operator:
        """Add an operator under its names.

        Raises
        ------
        ValueError
            The name is not an identifier, or belongs to a built-in operator.

        """
        if not operator.is_builtin and not operator.name.isidentifier():
            raise ValueError(f"the name of an operator must be an identifier, not {operator.name!r}")
        if operator.arity < 1:
            raise ValueError(f"operator {operator.name!r} must have at least one argument, not {operator.arity}")
        for name in dict.fromkeys((operator.name, operator.reduces_as)):
            if name in self._operators and self._operators[name].is_builtin:
                raise ValueError(f"operator {name!r} is built in and must not be replaced; choose another name")
            self._operators[name] = operator
        return operator


def _takes_out(function: Callable[..., Array]) -> bool:
    if isinstance(function, np.ufunc):
        return True
    try:
        return "out" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some C functions have no signature
        return False


def _expsub(a: Array, b: Array, out: Array | None = None) -> Array:
    """exp(a - b), and 1 where both are -inf: nothing has been seen yet, so nothing is rescaled."""
    both = np.isneginf(a) & np.isneginf(b)
    with np.errstate(invalid="ignore"):
        result = np.subtract(a, b, out=out)
    result = np.exp(result, out=out)
    if not both.any():
        return result
    return np.where(both, np.ones((), result.dtype), result)


def _sigmoid(x: Array, out: Array | None = None) -> Array:
    """(1 + tanh(x/2)) / 2: no overflow at either end."""
    result = np.multiply(x, 0.5, out=out)
    result = np.tanh(result, out=out)
    result = np.add(result, 1, out=out)
    return np.multiply(result, 0.5, out=out)


def _rsqrt(x: Array, out: Array | None = None) -> Array:
    return np.reciprocal(np.sqrt(x, out=out), out=out)


def _relu(x: Array, out: Array | None = None) -> Array:
    return np.maximum(x, 0, out=out)


_erf = np.frompyfunc(math.erf, 1, 1)


def _gelu(x: Array) -> Array:
    """Multiply x by its normal distribution function, with the exact error function."""
    values = np.asarray(x)
    scaled = np.asarray(values, dtype=np.float64) / math.sqrt(2)
    cdf = 0.5 * (1.0 + np.asarray(_erf(scaled), dtype=np.float64))
    return np.asarray(values * cdf, dtype=values.dtype)


def _clamp(x: Array, low: Array, high: Array, out: Array | None = None) -> Array:
    return np.minimum(np.maximum(x, low, out=out), high, out=out)


def _select(condition: Array, yes: Array, no: Array) -> Array:
    return np.where(np.asarray(condition) != 0, yes, no)


_IN_ORDER = frozenset({("max", "max"), ("min", "min")})
"""What an operator that never decreases is a homomorphism of."""


def _builtin_operators() -> Iterator[Operator]:
    infinity = math.inf
    yield Operator(
        "+", np.add, 2, is_associative=True, is_commutative=True, identity=0.0, reduction_name="sum", is_builtin=True
    )
    yield Operator(
        "*",
        np.multiply,
        2,
        is_associative=True,
        is_commutative=True,
        identity=1.0,
        absorbing=0.0,
        distributes_over=frozenset({"+"}),
        reduction_name="prod",
        is_builtin=True,
    )
    yield Operator("-", np.subtract, 2, is_builtin=True, identities=tuple(laws_of_minus()))
    yield Operator("/", np.true_divide, 2, is_builtin=True, identities=tuple(laws_of_quotients()))
    for name, function, identity in (("max", np.maximum, -infinity), ("min", np.minimum, infinity)):
        yield Operator(
            name,
            function,
            2,
            is_associative=True,
            is_commutative=True,
            identity=identity,
            absorbing=-identity,
            distributes_over=frozenset({"max", "min"}),
            is_builtin=True,
        )
    yield Operator(
        "exp",
        np.exp,
        1,
        homomorphism=frozenset({("+", "*"), ("-", "/"), *_IN_ORDER}),
        range=(0.0, infinity),
        is_monotone=True,
        is_builtin=True,
    )
    yield Operator("expsub", _expsub, 2, range=(0.0, infinity), is_builtin=True, identities=tuple(laws_of_weights()))
    yield Operator(
        "log",
        np.log,
        1,
        homomorphism=frozenset({("*", "+"), ("/", "-"), *_IN_ORDER}),
        is_monotone=True,
        is_builtin=True,
        domain="nonnegative",
    )
    multiplicative = frozenset({("*", "*"), ("/", "/")})
    unary: list[tuple[str, Callable[..., Array], tuple[float, float], bool, frozenset[tuple[str, str]]]] = [
        ("neg", np.negative, (-infinity, infinity), False, frozenset({("+", "+"), ("max", "min"), ("min", "max")})),
        ("sqrt", np.sqrt, (0.0, infinity), True, multiplicative | _IN_ORDER),
        ("rsqrt", _rsqrt, (0.0, infinity), False, multiplicative | {("max", "min"), ("min", "max")}),
        ("square", np.square, (0.0, infinity), False, multiplicative),
        ("abs", np.abs, (0.0, infinity), False, multiplicative),
        ("relu", _relu, (0.0, infinity), True, _IN_ORDER),
        ("sigmoid", _sigmoid, (0.0, 1.0), True, _IN_ORDER),
        ("tanh", np.tanh, (-1.0, 1.0), True, _IN_ORDER),
        ("gelu", _gelu, (-0.17, infinity), False, frozenset()),
        ("sin", np.sin, (-1.0, 1.0), False, frozenset()),
        ("cos", np.cos, (-1.0, 1.0), False, frozenset()),
        ("floor", np.floor, (-infinity, infinity), True, _IN_ORDER),
    ]
    for name, function, bounds, is_monotone, homomorphism in unary:
        yield Operator(
            name,
            function,
            1,
            homomorphism=homomorphism,
            range=bounds,
            is_monotone=is_monotone,
            is_builtin=True,
            domain="nonnegative" if name in ("sqrt", "rsqrt") else "real",
        )
    yield Operator("clamp", _clamp, 3, is_builtin=True)
    yield Operator("select", _select, 3, is_builtin=True)


OPERATORS = Registry()
"""The registry that every stage uses unless it is given another one."""

for _operator in _builtin_operators():
    OPERATORS.add(_operator)


def register(
    name: str,
    function: Callable[..., Array],
    arity: int | None = None,
    *,
    registry: Registry = OPERATORS,
    is_associative: bool = False,
    is_commutative: bool = False,
    identity: float | None = None,
    absorbing: float | None = None,
    distributes_over: frozenset[str] = frozenset(),
    homomorphism: frozenset[tuple[str, str]] = frozenset(),
    range: tuple[float, float] = (-math.inf, math.inf),
    is_monotone: bool = False,
    domain: Domain = "real",
    identities: tuple[Law, ...] = (),
) -> Operator:
    """Add an operator of the user's to a registry; `Operator` says what the arguments mean.

    The arity is taken from the function if it is not given.

    Raises
    ------
    ValueError
        The name is not free, or the arity cannot be told from the function.

    """
    if arity is None:
        arity = _arity_of(name, function)
    return registry.add(
        Operator(
            name,
            function,
            arity,
            is_associative=is_associative,
            is_commutative=is_commutative,
            identity=identity,
            absorbing=absorbing,
            distributes_over=distributes_over,
            homomorphism=homomorphism,
            range=range,
            is_monotone=is_monotone,
            domain=domain,
            identities=identities,
        )
    )


def _arity_of(name: str, function: Callable[..., Array]) -> int:
    if isinstance(function, np.ufunc):
        return function.nin
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise ValueError(f"the arity of operator {name!r} must be given: {function!r} has no signature") from None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is p.empty for p in parameters)
