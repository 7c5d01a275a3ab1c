"""Laws of operators: two expressions that are equal, and for which numbers.

A law is over numbers, not over machine numbers: both sides are equal but for rounding and overflow. What is absent, and
what is the identity of a reduction over nothing, is a matter of the language.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Domain", "Law", "application", "laws_of_minus", "laws_of_quotients", "laws_of_weights"]

type Domain = Literal["real", "nonnegative", "positive"]
"""Numbers below, at and above 0; those at and above it; those above it. Infinities are told apart from them."""


@dataclass(frozen=True, slots=True)
class Law:
    """Two expressions that are equal.

    Parameters
    ----------
    left, right
        In the notation of the language; their names are variables.
    domains
        Of variables that must not be all real numbers, the largest domain of the law.
    at_infinity
        Whether it holds for infinities of the domains as well, both sides being NaN included.

    Examples
    --------
    >>> str(Law("max(a, b) * c", "max(a * c, b * c)", (("c", "nonnegative"),)))
    'max(a, b) * c = max(a * c, b * c) for finite numbers, c nonnegative'

    """

    left: str
    right: str
    domains: tuple[tuple[str, Domain], ...] = ()
    at_infinity: bool = False

    def __str__(self) -> str:
        numbers = "all numbers" if self.at_infinity else "finite numbers"
        return f"{self.left} = {self.right} for {numbers}" + "".join(f", {name} {of}" for name, of in self.domains)


def application(operator: str, *arguments: str) -> str:
    """Return an operator applied to expressions, as text."""
    is_infix = operator in ("+", "-", "*", "/")
    return f"({f' {operator} '.join(arguments)})" if is_infix else f"{operator}({', '.join(arguments)})"


def laws_of_minus() -> Iterator[Law]:
    """Yield what differences and negation are, and how they go with sums, maxima and minima."""
    yield Law("a - b", "a + -b", at_infinity=True)
    yield Law("a + -a", "0")
    yield Law("-(-a)", "a", at_infinity=True)
    yield Law("(a + b) - b", "a")
    yield Law("(a - b) - c", "a - (b + c)", at_infinity=True)
    yield Law("a - (b - c)", "(a - b) + c", at_infinity=True)
    for one, other in (("max", "min"), ("min", "max")):
        yield Law(f"{one}(a, b) + c", f"{one}(a + c, b + c)")
        yield Law(f"{one}(a, b) - c", f"{one}(a - c, b - c)")
        yield Law(f"a - {one}(b, c)", f"{other}(a - b, a - c)")
        yield Law(f"{one}(a, {other}(a, b))", "a", at_infinity=True)
        yield Law(f"{one}(a, a)", "a", at_infinity=True)


def laws_of_quotients() -> Iterator[Law]:
    """Yield what quotients are, and how they go with products, sums, maxima and minima."""
    divisor: tuple[tuple[str, Domain], ...] = (("c", "positive"),)
    yield Law("a / b", "a * (1 / b)", at_infinity=True)
    yield Law("a * (1 / a)", "1", (("a", "positive"),))
    yield Law("1 / (1 / a)", "a", at_infinity=True)
    yield Law("(a * c) / c", "a", divisor)
    yield Law("(a * c) / (b * c)", "a / b", divisor)
    yield Law("(a / b) / c", "a / (b * c)", at_infinity=True)
    yield Law("a / (b / c)", "(a * c) / b", at_infinity=True)
    yield Law("(a / c) + (b / c)", "(a + b) / c", divisor, at_infinity=True)
    yield Law("(a / c) - (b / c)", "(a - b) / c", divisor, at_infinity=True)
    for one in ("max", "min"):
        yield Law(f"{one}(a, b) * c", f"{one}(a * c, b * c)", (("c", "nonnegative"),))
        yield Law(f"{one}(a, b) / c", f"{one}(a / c, b / c)", divisor)


def laws_of_weights() -> Iterator[Law]:
    """Yield what the correction of a running maximum is, which is 1 where nothing has been seen."""
    yield Law("expsub(a, b)", "exp(a - b)")
    yield Law("expsub(a, b) * expsub(b, c)", "expsub(a, c)")
    yield Law("expsub(a, a)", "1")
