"""What to write instead of what Python can say and a cascade cannot."""

import re
from typing import TYPE_CHECKING, Any, Never

from einsum_cascade.cascade.position import here, refusal
from einsum_cascade.errors import BuilderError

if TYPE_CHECKING:
    from einsum_cascade.cascade.values import Value

__all__ = ["INSTEAD", "PRODUCT", "Variables", "arrays_only", "refuse_arithmetic", "undecided"]

PRODUCT = "multiply reads with their indices, as in A[m, k] * B[k, n], and leave k out on the left"
INSTEAD = {
    "mean": "divide the sum by the extent, as in c.S[...] = X[m].sum(m), then c.S[...] / M",
    "var": "write the squares' sum and the sum as equations of their own",
    "std": "write the squares' sum and the sum as equations of their own",
    "dot": PRODUCT,
    "einsum": PRODUCT,
    "where": "filter the equation, as in X[m].where(m <= p, 0)",
    "T": "swap the indices of the read",
    "argmax": "give the coordinates as an input",
    "exp": "write exp(...) of einsum_cascade",
}
"""What to write instead of attributes of arrays and functions on them."""

_UNDECIDED = "a comparison must not be asked whether it holds before the cascade runs"
_DECISIONS = {
    r"\b(max|min)\(": "write maximum(a, b) or minimum(a, b) of einsum_cascade",
    r"\b(and|or|not)\b|<.*<|>.*>": "join filters with & | ~, as in (a < b) & (b < c)",
    "": "filter the equation with .where(...), or write select(x, yes, no)",
}
_ARITHMETIC = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"]
_OTHERS = ["neg", "pos", "abs", "invert", "lt", "le", "gt", "ge", "float", "int", "index"]


def refuse_arithmetic(owner: type) -> None:
    """Make every operator of a class an error that says what to write, which is its `misuse`."""

    def refuse(self: Any, *_: object) -> Never:
        raise refusal(self.misuse)

    names = [*_OTHERS, *_ARITHMETIC, *(f"r{name}" for name in _ARITHMETIC)]
    for name in names:
        setattr(owner, f"__{name}__", refuse)

    def refuse_ufunc(self: Any, *_: object, **__: object) -> Never:
        refuse(self)

    type.__setattr__(owner, "__array_ufunc__", refuse_ufunc)


class Variables(tuple["Value", ...]):
    """What `c.ranks` returns: a tuple, which says so where it is used as if it were a variable."""

    __slots__ = ()
    misuse = "c.ranks gives a tuple of variables that must be taken apart; write (m,) = c.ranks(m=M)"

    def __getattr__(self, name: str) -> Never:
        if name.startswith("_"):
            raise AttributeError(name)
        raise refusal(self.misuse)


refuse_arithmetic(Variables)


def undecided() -> BuilderError:
    """Return the error for a comparison of which Python asks whether it holds."""
    span = here()
    remedy = next(text for known, text in _DECISIONS.items() if re.search(known, span.text))
    return refusal(f"{_UNDECIDED}; {remedy}", span)


def arrays_only(name: str) -> str:
    """Return the sentence about a function of NumPy that is not elementwise."""
    instead = INSTEAD.get(name, "reduce as in X[m].sum(m), X[m].max(m)")
    return f"np.{name} must be given arrays, not values of a cascade; {instead}"
