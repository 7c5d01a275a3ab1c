"""Operation counts: how often every operator of every Einsum is applied.

A map operator counts once per surviving point, one of constants only (`sqrt(E)`) once in all. A reduction counts once
per surviving point as well: the first value is combined with the identity, as a multiply-add does it. Writing, copying
and comparing coordinates cost nothing here.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from einsum_cascade.analysis.counting import PointCount, count_points
from einsum_cascade.analysis.domain import Domain
from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.symbolic import Expr, number
from einsum_cascade.cascade.ir import Apply, Einsum, Expression, is_constant, walk

__all__ = ["OperationCount", "count_operations", "operators_of"]


@dataclass(frozen=True, slots=True)
class OperationCount:
    """How often one operator is applied in one Einsum.

    Parameters
    ----------
    einsum
        The left side, as text.
    tensor
        The tensor that it defines.
    operator
        Name of the operator; reductions under their operator's name.
    count
        Number of applications.
    is_exact
        False if a filter depends on data: then an upper bound.

    """

    einsum: str
    tensor: str
    operator: str
    count: Expr
    is_exact: bool


def count_operations(facts: Facts, domains: tuple[Domain, ...]) -> tuple[OperationCount, ...]:
    """Return the counts of every Einsum that applies any operator."""
    found: list[OperationCount] = []
    for einsum, domain in zip(facts.cascade.einsums, domains, strict=True):
        counts: defaultdict[str, Any] = defaultdict(lambda: number(0))
        is_exact = True
        for expression, where in ((einsum.expression, domain), (einsum.otherwise, domain.otherwise)):
            if expression is None or where is None:
                continue
            applied, once = operators_of(einsum, expression)
            points = count_points(facts, where) if applied else PointCount(number(0), is_exact=True)
            is_exact = is_exact and points.is_exact
            for name, times in applied.items():
                counts[name] += points.points * times
            for name, times in once.items():
                counts[name] += times
        found += (OperationCount(str(einsum), einsum.tensor, name, n, is_exact) for name, n in counts.items())
    return tuple(found)


def operators_of(einsum: Einsum, expression: Expression) -> tuple[Counter[str], Counter[str]]:
    """Return the operators that one point applies, and those that are applied once for all of them."""
    counts, once = Counter[str](), Counter[str]()
    for node in walk(expression):
        if isinstance(node, Apply):
            (once if is_constant(node) else counts)[node.operator.name] += 1
    if einsum.reduction is not None:
        counts[einsum.reduction.operator.name] += 1
    return counts, once
