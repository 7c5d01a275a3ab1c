"""A cascade without the constant factors of its scores: they are left to the exponentials of differences.

exp(c*S - max(c*S)) is exp(c*(S - max(S))) for every c > 0, so the array takes maxima of scores that nothing multiplied,
and multiplies differences. A factor may stand in a product, in an Einsum of its own, on an operand, with a maximum, or
inside of an exponential; those that a score passes are multiplied. What they are is a question of the extents: whether
they are what they must be is told by `recognition.factors.scale_of`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from einsum_cascade.cascade.affine import affine_variable
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
from einsum_cascade.cascade.transform import map_expression, rebuild
from einsum_cascade.recognition.copies import without_copies
from einsum_cascade.recognition.factors import Factor, Scaled
from einsum_cascade.recognition.scaling import constant_of, difference_of, without_constants

__all__ = ["Unscaled", "without_factors"]


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


def without_factors(cascade: Cascade) -> Unscaled:
    r"""Return a cascade without the constant factors of its scores.

    Products and maxima that exponentials of differences, or sigmoids, follow from lose theirs; what reads them and is
    none of these multiplies what it reads. So what is computed stays the same.

    Examples
    --------
    >>> from einsum_cascade import parse
    >>> text = "rank M, P\ninput X[m:M, p:P]\nGM[p] = max[m](X[m, p] * 2)\nSN[m, p] = exp(2*X[m, p] - GM[p])\noutput SN"
    >>> unscaled = without_factors(parse(text))
    >>> print("\n".join(str(unscaled.cascade).splitlines()[3:5]))
    GM[p]    = max[m](X[m, p])
    SN[m, p] = exp(2 * X[m, p] - GM[p] * 2)
    >>> from einsum_cascade.recognition.factors import scale_of
    >>> scale_of(unscaled.scaled, {"M": 4, "P": 4})
    2.0

    """
    cascade = _with_maxima_apart(rebuild(cascade, map(_in_order, cascade.einsums)))
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
    return Unscaled(without_copies(rebuild(cascade, einsums), held), tuple(scaled))


def _in_order(einsum: Einsum) -> Einsum:
    """Return an Einsum that raises a difference, however its signs are written, as one of what is taken from what."""
    match einsum.expression:
        case Apply(operator, (argument,)) if operator.name == "exp":
            found = difference_of(argument)
            if found is None:
                return einsum
            ordered = Factor(found.constants).times(Apply(OPERATORS["-"], (found.more, found.less)))
            return replace(einsum, expression=Apply(operator, (ordered,)))
        case _:
            return einsum


def _with_maxima_apart(cascade: Cascade) -> Cascade:
    """Return a cascade in which outputs that are maxima of scores with a factor are copies of maxima that leave not.

    So these may lose the factor, and the copy multiplies by it again. Where scores have no factor, nothing changes.
    """
    for name in cascade.outputs:
        made = [each for each in cascade.einsums if each.tensor == name]
        if len(made) != 1 or not _is_maximum_of_factors(cascade, made[0]):
            continue
        (einsum,), tensor = made, cascade.tensor[name]
        inner = f"{name}_less"
        while inner in cascade.tensor:
            inner += "_"
        variables = tuple(affine_variable(dimension.variable) for dimension in tensor.dimensions)
        at = cascade.einsums.index(einsum)

        def inside(part: Expression, name: str = name, inner: str = inner) -> Expression:
            return replace(part, tensor=inner) if isinstance(part, Read) and part.tensor == name else part

        later = cascade.einsums[at + 1 :]
        after = (replace(each, expression=map_expression(each.expression, inside)) for each in later)
        copied = (replace(einsum, tensor=inner), Einsum(name, variables, Read(inner, variables)))
        cascade = rebuild(cascade, (*cascade.einsums[:at], *copied, *after))
    return cascade


def _is_maximum_of_factors(cascade: Cascade, einsum: Einsum) -> bool:
    """Tell whether an Einsum is the maximum over a product that has a factor, itself or what it is made from."""
    form = _form_of(einsum)
    if form is None or form.kind != "maximum" or cascade.tensor[einsum.tensor].generation_axis is not None:
        return False
    waiting, seen = [*form.parts], set[str]()
    while waiting:
        part = waiting.pop()
        if part.factor.terms:
            return True
        for read in part.reads:
            for each in cascade.einsums:
                own = _form_of(each) if each.tensor == read.tensor and read.tensor not in seen else None
                waiting += own.parts if own is not None and own.kind != "difference" else ()
            seen.add(read.tensor)
    return False


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
    """Return the tensors that may lose a factor: products and maxima that come to be raised, and do not leave."""
    einsums = cascade.einsums
    of_filters = {read.tensor for einsum in einsums if einsum.where for read in reads_of_predicate(einsum.where)}
    others = {einsum.tensor for einsum in einsums if not (_is_neutral(einsum) or _is_made(einsum))}
    given = {tensor.name for tensor in cascade.inputs}
    return frozenset(_raised_later(cascade) - others - of_filters - given - {*cascade.outputs})


def _raised_later(cascade: Cascade) -> set[str]:
    """Return the tensors that exponentials of differences, or sigmoids, follow from."""
    found: set[str] = set()
    for einsum in reversed(cascade.einsums):
        form, expression = _form_of(einsum), einsum.expression
        is_sigmoid = isinstance(expression, Apply) and expression.operator.name == "sigmoid"
        if is_sigmoid or (form is not None and form.kind == "difference") or einsum.tensor in found:
            found |= {read.tensor for read in einsum.reads}
    return found


def _is_made(einsum: Einsum) -> bool:
    """Tell whether an Einsum makes what a factor can be taken out of."""
    form = _form_of(einsum)
    return form is not None and form.kind != "difference"


def _is_neutral(einsum: Einsum) -> bool:
    """Tell whether an Einsum is the start of maxima or sums, which no factor changes."""
    expression = einsum.expression
    return einsum.is_init and is_constant(expression) and constant_of(expression, {}) in (0, math.inf, -math.inf)


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

    otherwise = None if einsum.otherwise is None else written(einsum.otherwise)
    return replace(einsum, expression=written(einsum.expression), otherwise=otherwise)
