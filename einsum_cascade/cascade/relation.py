"""Relations of extents that a cascade states: what the checker may rely on, and what numbers must meet."""

from dataclasses import dataclass

from einsum_cascade.cascade.extent import ONE, Extent

__all__ = ["RELATIONS", "Relation", "as_relation"]

RELATIONS = ("<", "<=", ">", ">=", "==")
"""The comparisons that a relation may be made with."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A comparison of two extents that holds for all numbers that the cascade may be given.

    Parameters
    ----------
    operator
        One of `RELATIONS`.
    left, right
        What is compared, over rank names.

    Examples
    --------
    >>> from einsum_cascade.cascade.extent import constant, symbol
    >>> relation = Relation(">=", symbol("G"), constant(2))
    >>> str(relation), [str(fact) for fact in relation.facts]
    ('G >= 2', ['G - 2'])

    """

    operator: str
    left: Extent
    right: Extent

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"

    @property
    def names(self) -> frozenset[str]:
        """The ranks that occur."""
        return self.left.names | self.right.names

    @property
    def facts(self) -> tuple[Extent, ...]:
        """Extents that are not negative if and only if the relation holds."""
        rest = self.right - self.left
        match self.operator:
            case "<":
                return (rest - ONE,)
            case "<=":
                return (rest,)
            case ">":
                return (-rest - ONE,)
            case ">=":
                return (-rest,)
            case _:
                return (rest, -rest)


def as_relation(extent: Extent) -> Relation:
    """Return the relation that says that an extent is not negative, without a minus sign on either side.

    Examples
    --------
    >>> from einsum_cascade.cascade.extent import constant, symbol
    >>> str(as_relation(symbol("I") - symbol("S"))), str(as_relation(symbol("G") - constant(2)))
    ('I >= S', 'G >= 2')

    """
    kept = Extent(tuple((monomial, coefficient) for monomial, coefficient in extent.terms if coefficient > 0))
    return Relation(">=", kept, kept - extent)
