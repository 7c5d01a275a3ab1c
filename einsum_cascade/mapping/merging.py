"""Multiply-adds: a product that one other Einsum adds to something becomes part of that Einsum.

`SPNV = RNV * PRM` and `RNV' = SLNV + SPNV` are two operations a point on separate Einsums and one on a PE that
multiply-adds. The values are the same; only the rounding in between is gone.
"""

from collections.abc import Iterator
from dataclasses import replace

from einsum_cascade.cascade.ir import Apply, Cascade, Einsum, Expression, Read
from einsum_cascade.cascade.transform import rebuild, substitute
from einsum_cascade.mapping.ir import Block, Compute, Keep, Mapping

__all__ = ["merge_products", "mergeable", "without_tasks"]


def mergeable(cascade: Cascade) -> tuple[str, ...]:
    """Return the tensors that are a product of one equation, which one other Einsum adds and nothing else reads."""
    return tuple(name for name, _ in _pairs(cascade))


def merge_products(cascade: Cascade, names: tuple[str, ...] | None = None) -> Cascade:
    """Return a cascade in which products are multiplied where they are added.

    Parameters
    ----------
    cascade
        A checked cascade.
    names
        The tensors to merge; all that can be, unless told.

    Raises
    ------
    ValueError
        A tensor cannot be merged.

    """
    possible = dict(_pairs(cascade))
    for name in names if names is not None else tuple(possible):
        if name not in possible:
            known = ", ".join(possible) or "none"
            raise ValueError(f"tensor {name!r} must be a product that one Einsum adds, but can be merged are {known}")
        cascade = _merged(cascade, name)
    return cascade


def without_tasks(mapping: Mapping, names: frozenset[str]) -> Mapping:
    """Return a mapping without some tensors and the tasks that make them."""
    return replace(mapping, root=_pruned(mapping.root, names))


def _pruned(block: Block, names: frozenset[str]) -> Block:
    steps = [replace(step, tensors=_left(step, names)) if isinstance(step, Keep) else step for step in block.steps]
    body: list[Block | Compute] = []
    for part in block.body:
        if isinstance(part, Compute):
            body += [] if part.task in names else [part]
        elif (inner := _pruned(part, names)).body:
            body.append(inner)
    return replace(block, steps=tuple(s for s in steps if not isinstance(s, Keep) or s.tensors), body=tuple(body))


def _left(step: Keep, names: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in step.tensors if name not in names)


def _pairs(cascade: Cascade) -> Iterator[tuple[str, Einsum]]:
    for einsum in cascade.einsums:
        readers = [other for other in cascade.einsums if any(r.tensor == einsum.tensor for r in other.all_reads)]
        writers = [other for other in cascade.einsums if other.tensor == einsum.tensor]
        if einsum.tensor in cascade.outputs or len(readers) != 1 or len(writers) != 1:
            continue
        if _is_elementwise_product(einsum) and _adds(readers[0], einsum):
            yield einsum.tensor, readers[0]


def _is_elementwise_product(einsum: Einsum) -> bool:
    expression = einsum.expression
    is_product = isinstance(expression, Apply) and expression.operator.name == "*"
    is_plain = all(index.plain is not None for index in einsum.indices)
    return is_product and is_plain and einsum.reduction is None and einsum.where is None


def _adds(reader: Einsum, einsum: Einsum) -> bool:
    """Tell whether an Einsum is the sum of something and one element of another one."""
    expression = reader.expression
    if reader.reduction is not None or reader.where is not None or not isinstance(expression, Apply):
        return False
    reads = [a for a in expression.arguments if isinstance(a, Read) and a.tensor == einsum.tensor]
    return expression.operator.name == "+" and len(reads) == 1 and all(i.plain is not None for i in reads[0].indices)


def _merged(cascade: Cascade, name: str) -> Cascade:
    """Write the product where it is added."""
    producer = next(einsum for einsum in cascade.einsums if einsum.tensor == name)
    reader = next(einsum for einsum in cascade.einsums if any(r.tensor == name for r in einsum.all_reads))
    assert isinstance(reader.expression, Apply)
    arguments = tuple(_written_out(a, producer) for a in reader.expression.arguments)
    new = replace(reader, expression=replace(reader.expression, arguments=arguments))
    return rebuild(cascade, (new if e is reader else e for e in cascade.einsums if e is not producer))


def _written_out(argument: Expression, producer: Einsum) -> Expression:
    if not isinstance(argument, Read) or argument.tensor != producer.tensor:
        return argument
    pairs = zip(producer.indices, argument.indices, strict=True)
    return substitute(producer.expression, {own.variables[0]: other for own, other in pairs})
