"""Constant factors of scores: taken out of the Einsums that make them, and left to the exponentials of differences.

exp(c*S - max(c*S)) is exp(c*(S - max(S))) for every c > 0, so the array takes maxima of scores that nothing multiplied,
and multiplies differences. A factor may stand in a product, in an Einsum of its own, on an operand, with a maximum, or
inside of an exponential; those that a score passes are multiplied. What they are is a question of the extents: whether
they are what they must be is told by `scale_of`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from einsum_cascade.cascade.ir import (
    Apply,
    Cascade,
    Constant,
    Einsum,
    Expression,
    Read,
    is_constant,
    reads_of_predicate,
)
from einsum_cascade.cascade.operators import OPERATORS, Operator
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.program.copies import without_copies
from einsum_cascade.program.numbers import LEAST_SCALE, MOST_SCALE
from einsum_cascade.program.scaling import constant_of, without_constants

__all__ = ["Factor", "Scaled", "Unscaled", "scale_of", "without_factors"]


@dataclass(frozen=True, slots=True)
class Factor:
    """A product of constants, each to the power of 1 or -1.

    Parameters
    ----------
    terms
        The constants and their powers.

    """

    terms: tuple[tuple[Expression, int], ...] = ()

    def __mul__(self, other: "Factor") -> "Factor":
        return Factor(self.terms + other.terms)

    @property
    def inverse(self) -> "Factor":
        """The factor that makes 1 with this one."""
        return Factor(tuple((constant, -power) for constant, power in self.terms))

    def value(self, extents: Mapping[str, int]) -> float:
        """Return the factor for some extents; infinite or not a number where a constant is, or where one is 0."""
        found = np.float64(1)
        with np.errstate(all="ignore"):
            for constant, power in self.terms:
                own = np.float64(constant_of(constant, extents))
                found = found * own if power > 0 else found / own
        return float(found)

    def times(self, expression: Expression) -> Expression:
        """Return an expression multiplied by the factor."""
        for constant, power in self.terms:
            expression = Apply(OPERATORS["*" if power > 0 else "/"], (expression, constant))
        return expression


@dataclass(frozen=True, slots=True)
class Scaled:
    """An Einsum that compares scores, and what these were multiplied by.

    Parameters
    ----------
    einsum
        As the cascade has it.
    factors
        Of everything that it compares.
    is_exponential
        Whether it raises their difference, and does not take their maximum.

    """

    einsum: Einsum
    factors: tuple[Factor, ...]
    is_exponential: bool


@dataclass(frozen=True, slots=True)
class Unscaled:
    """A cascade whose scores and maxima have no factors, but the differences of them that are raised.

    Parameters
    ----------
    cascade
        The cascade.
    scaled
        The Einsums that compare scores.

    """

    cascade: Cascade
    scaled: tuple[Scaled, ...]

    def among(self, tensors: Iterable[str]) -> tuple[Scaled, ...]:
        """Return those that make one of some tensors."""
        names = {*tensors}
        return tuple(each for each in self.scaled if each.einsum.tensor in names)


def scale_of(scaled: Iterable[Scaled], extents: Mapping[str, int]) -> float:
    """Return what the differences are multiplied by that a program raises; 1 if there are none.

    Parameters
    ----------
    scaled
        The Einsums of the program that compare scores.
    extents
        Of all ranks.

    Raises
    ------
    IllegalMappingError
        What is compared has not one factor, or that is not positive, or beyond what the array can multiply by.

    """
    found: tuple[Einsum, float] | None = None
    for each in scaled:
        scale = _common(each, extents)
        if not each.is_exponential:
            continue
        if not LEAST_SCALE <= scale <= MOST_SCALE:
            raise _refused(each.einsum, f"must multiply by 2^-56 to 2^61 for the array, not by {scale!r}; change it")
        if found is not None and not _is_same(found[1], scale):
            raise _refused(
                each.einsum,
                f"must multiply by the {found[1]!r} of {found[0]} for the array, not by {scale!r}; scale both alike",
            )
        found = found or (each.einsum, scale)
    return 1.0 if found is None else found[1]


def _common(scaled: Scaled, extents: Mapping[str, int]) -> float:
    first, *others = (factor.value(extents) for factor in scaled.factors)
    for value in (first, *others):
        if not 0 < value < math.inf:
            must = "must compare scores that are multiplied by a positive number for the array"
            raise _refused(scaled.einsum, f"{must}, not by {value!r}; change it")
    for value in others:
        if not _is_same(first, value):
            must = "must compare what is multiplied by one number for the array"
            raise _refused(scaled.einsum, f"{must}, not by {first!r} and {value!r}; scale both alike")
    return first


def _is_same(a: float, b: float) -> bool:
    """Tell whether two numbers are one, written in different ways."""
    return math.isclose(a, b, rel_tol=1e-12)


def _refused(einsum: Einsum, what: str) -> IllegalMappingError:
    return IllegalMappingError([f"{einsum} {what}"])


def without_factors(cascade: Cascade) -> Unscaled:
    r"""Return a cascade without the constant factors of its scores.

    Only tensors lose a factor all of whose readers can do without: products and maxima that do, exponentials of
    differences and sigmoids, which multiply what they read by it. So what is computed stays the same.

    Examples
    --------
    >>> from einsum_cascade import parse
    >>> text = "rank M, P\ninput X[m:M, p:P]\nGM[p] = max[m](X[m, p] * 2)\nSN[m, p] = exp(2*X[m, p] - GM[p])\noutput SN"
    >>> unscaled = without_factors(parse(text))
    >>> print("\n".join(str(unscaled.cascade).splitlines()[3:5]))
    GM[p]    = max[m](X[m, p])
    SN[m, p] = exp(2 * X[m, p] - GM[p] * 2)
    >>> scale_of(unscaled.scaled, {"M": 4, "P": 4})
    2.0

    """
    held = _held(cascade)
    factors: dict[str, Factor] = {}
    scaled: list[Scaled] = []
    einsums: list[Einsum] = []
    for einsum in cascade.einsums:
        form, name = _form_of(einsum), einsum.tensor
        if any(read.tensor in held and read.tensor not in (*factors, name) for read in einsum.reads):
            # It reads a generation of what comes after it.
            return Unscaled(cascade, ())
        if form is None or (name not in held and form.kind != "difference"):
            einsums.append(_multiplied(einsum, factors))
            continue
        own = tuple(part.total(factors) for part in form.parts if not part.reads_tensor(name))
        compared = own if form.kind != "product" else (*own, factors[name]) if name in factors else ()
        if compared:
            scaled.append(Scaled(einsum, compared, form.kind == "difference"))
        if name in held:
            factors[name] = own[0]
        is_difference = form.kind == "difference"
        einsums.append(_multiplied(einsum, factors) if is_difference else replace(einsum, expression=form.expression))
    return Unscaled(without_copies(replace(cascade, einsums=tuple(einsums)), held), tuple(scaled))


@dataclass(frozen=True, slots=True)
class _Part:
    """A product of reads, and of constants."""

    reads: tuple[Read, ...]
    factor: Factor

    def reads_tensor(self, name: str) -> bool:
        return any(read.tensor == name for read in self.reads)

    def total(self, factors: Mapping[str, Factor]) -> Factor:
        """Return its factor, and those that what it reads has lost."""
        found = self.factor
        for read in self.reads:
            found *= factors.get(read.tensor, Factor())
        return found

    @property
    def expression(self) -> Expression:
        """The product of what is read."""
        first, *others = self.reads
        found: Expression = first
        for read in others:
            found = Apply(OPERATORS["*"], (found, read))
        return found


@dataclass(frozen=True, slots=True)
class _Form:
    """What an Einsum makes of products: one of them, their maximum, or the exponential of their difference."""

    kind: Literal["product", "maximum", "difference"]
    parts: tuple[_Part, ...]
    expression: Expression


def _form_of(einsum: Einsum) -> _Form | None:
    """Return the form of an Einsum; None if it is not multiplied as a whole by what its reads are multiplied by."""
    folds, expression = einsum.reduction and einsum.reduction.operator.name, einsum.expression
    if einsum.otherwise is not None or folds not in (None, "+", "max"):
        return None
    match expression:
        case Apply(operator, (a, b)) if operator.name == "max" and folds is None:
            return _joined("maximum", operator, a, b)
        case Apply(operator, (a, b)) if operator.name == "expsub":
            return _joined("difference", operator, a, b)
        case Apply(operator, (argument,)) if operator.name == "exp":
            return _raised(operator, argument)
        case _:
            part = _part_of(expression)
            if part is None or not part.reads or part.reads_tensor(einsum.tensor):
                return None
            return _Form("product" if folds != "max" else "maximum", (part,), part.expression)


def _joined(kind: Literal["maximum", "difference"], operator: Operator, *arguments: Expression) -> _Form | None:
    parts = [part for part in map(_part_of, arguments) if part is not None and len(part.reads) == 1]
    if len(parts) < len(arguments):
        return None
    return _Form(kind, tuple(parts), Apply(operator, tuple(part.expression for part in parts)))


def _raised(operator: Operator, argument: Expression) -> _Form | None:
    """Return the form of the exponential of a difference, which constants may multiply as a whole."""
    inner, factor = without_constants(argument)
    match inner:
        case Apply(found, (a, b)) if found.name == "-":
            form = _joined("difference", operator, a, b)
            return form and replace(
                form, parts=tuple(replace(part, factor=part.factor * Factor(factor)) for part in form.parts)
            )
        case _:
            return None


def _part_of(expression: Expression) -> _Part | None:
    match expression:
        case Read():
            return _Part((expression,), Factor())
        case _ if is_constant(expression):
            return _Part((), Factor(((expression, 1),)))
        case Apply(operator, (one,)) if operator.name == "neg":
            own = _part_of(one)
            return own and replace(own, factor=own.factor * Factor(((Constant(-1), 1),)))
        case Apply(operator, (left, right)) if operator.name in ("*", "/"):
            a, b = _part_of(left), _part_of(right)
            if a is None or b is None or (operator.name == "/" and b.reads):
                return None
            return _Part(a.reads + b.reads, a.factor * (b.factor if operator.name == "*" else b.factor.inverse))
        case _:
            return None


def _held(cascade: Cascade) -> frozenset[str]:
    """Return the tensors that may lose a factor."""
    forms = [(einsum, _form_of(einsum)) for einsum in cascade.einsums]
    read = {name.tensor for einsum in cascade.einsums for name in einsum.all_reads}
    held = read.intersection(tensor.name for tensor in cascade.tensors if not tensor.is_given) - {*cascade.outputs}
    for einsum, form in forms:
        if not _is_neutral(einsum) and (form is None or form.kind == "difference"):
            held.discard(einsum.tensor)
    before = None
    while before != held:
        before = {*held}
        for einsum, form in forms:
            held -= {read.tensor for read in _needed(einsum, form, held)}
    return frozenset(held)


def _is_neutral(einsum: Einsum) -> bool:
    """Tell whether an Einsum is the start of maxima or sums, which no factor changes."""
    expression = einsum.expression
    return einsum.is_init and is_constant(expression) and constant_of(expression, {}) in (0, math.inf, -math.inf)


def _needed(einsum: Einsum, form: _Form | None, held: set[str]) -> Iterable[Read]:
    """Return what an Einsum must read with its factors."""
    if form is not None and (form.kind == "difference" or einsum.tensor in held):
        return reads_of_predicate(einsum.where) if einsum.where else ()
    is_sigmoid = isinstance(einsum.expression, Apply) and einsum.expression.operator.name == "sigmoid"
    if is_sigmoid and einsum.otherwise is None and einsum.where is None:
        return ()
    return einsum.all_reads


def _multiplied(einsum: Einsum, factors: Mapping[str, Factor]) -> Einsum:
    """Return an Einsum that multiplies what it reads by the factors that it has lost."""

    def written(expression: Expression) -> Expression:
        match expression:
            case Read(tensor):
                return factors.get(tensor, Factor()).times(expression)
            case Apply(operator, arguments):
                return Apply(operator, tuple(map(written, arguments)))
            case _:
                return expression

    return replace(einsum, expression=written(einsum.expression))
