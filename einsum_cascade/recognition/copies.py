"""Copies of computed tensors: they are read through, or where they filter, made in place of what they copy."""

from collections.abc import Set
from dataclasses import replace

from einsum_cascade.cascade.ir import Cascade, Einsum, Expression, Read
from einsum_cascade.cascade.transform import map_expression, rebuild, substitute

__all__ = ["without_copies"]


def without_copies(cascade: Cascade, names: Set[str]) -> Cascade:
    r"""Return a cascade in which no tensor of some is a copy of another one of them.

    A copy with a filter stays, and so does what it copies, if something else reads that as well.

    Parameters
    ----------
    cascade
        A checked cascade.
    names
        Tensors that are no outputs.

    Examples
    --------
    >>> from einsum_cascade import parse
    >>> text = "rank M, P\ninput X[m:M, p:P]\nA[m, p] = 2*X[m, p]\nB[m, p] = A[m, p]\nC[p] = max[m](B[m, p])\noutput C"
    >>> print(*without_copies(parse(text), {"A", "B"}).einsums[-1].reads)
    A[m, p]

    """
    for name in [einsum.tensor for einsum in cascade.einsums if einsum.tensor in names]:
        # Those before may have changed what it reads.
        einsum = next((each for each in cascade.einsums if each.tensor == name), None)
        if einsum is not None and _is_copy(cascade, einsum, names):
            cascade = _read_through(cascade, einsum) if einsum.where is None else _made_in_place(cascade, einsum)
    return cascade


def _is_copy(cascade: Cascade, einsum: Einsum, names: Set[str]) -> bool:
    """Tell whether an Einsum is all of a tensor, and has an element of another one in each of its own."""
    expression, variables = einsum.expression, [index.plain for index in einsum.indices]
    return (
        isinstance(expression, Read)
        and expression.tensor in names - {einsum.tensor}
        and (einsum.reduction, einsum.otherwise, einsum.is_init) == (None, None, False)
        and None not in variables
        and len({*variables}) == len(variables)
        and sum(each.tensor == einsum.tensor for each in cascade.einsums) == 1
    )


def _read_through(cascade: Cascade, copy: Einsum) -> Cascade:
    """Return the cascade without a copy; its readers read what it copies."""
    source, names = copy.expression, tuple(index.variables[0] for index in copy.indices)
    assert isinstance(source, Read)

    def written(part: Expression) -> Expression:
        if isinstance(part, Read) and part.tensor == copy.tensor:
            return substitute(source, dict(zip(names, part.indices, strict=True)))
        return part

    others = (each for each in cascade.einsums if each is not copy)
    einsums = tuple(replace(each, expression=map_expression(each.expression, written)) for each in others)
    return rebuild(cascade, einsums)


def _made_in_place(cascade: Cascade, copy: Einsum) -> Cascade:
    """Return the cascade with a filtered copy made as what it copies is made, if nothing else reads that."""
    read = copy.expression
    assert isinstance(read, Read)
    source, *others = (einsum for einsum in cascade.einsums if einsum.tensor == read.tensor)
    readers = [einsum for einsum in cascade.einsums if any(own.tensor == read.tensor for own in einsum.all_reads)]
    reduced = source.reduction.variables if source.reduction else ()
    own = [index.plain for index in source.indices]
    is_whole = all(own) and all(index.plain for index in read.indices) and len({*own}) == len(own)
    is_renamed = source.where is None and source.otherwise is None and not {*reduced} & {*copy.variables}
    if others or len(readers) > 1 or not is_whole or not is_renamed:
        return cascade
    values = {str(name): index for name, index in zip(own, read.indices, strict=True)}
    made = replace(copy, expression=substitute(source.expression, values), reduction=source.reduction)
    einsums = tuple(made if each is copy else each for each in cascade.einsums if each is not source)
    return rebuild(cascade, einsums)
