"""The text form of a cascade: what files hold, and what parses back to an equal cascade."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from einsum_cascade.cascade.ir import Cascade, Tensor
from einsum_cascade.cascade.renderer import Renderer
from einsum_cascade.cascade.unchecked import unbound_variables

__all__ = ["to_text"]

_WIDEST_LEFT = 16


def to_text(cascade: Cascade) -> str:
    """Return the text form, without a line break at its end."""
    return "\n".join(_lines(cascade))


def _lines(cascade: Cascade) -> Iterator[str]:
    yield f"cascade {cascade.name}"
    yield from (f"# {line}".rstrip() for line in cascade.documentation.splitlines())
    if cascade.operators:
        yield f"operator {_joined(operator.name for operator in cascade.operators)}"
    yield from _ranks(cascade)
    if cascade.relations:
        yield f"rank {_joined(map(str, cascade.relations))}"
    declared = [tensor for tensor in cascade.tensors if tensor.is_given or tensor.is_declared]
    for role, group in groupby(declared, key=lambda tensor: tensor.role):
        yield f"{'tensor' if role == 'computed' else role} {_joined(map(_declaration, group))}"
    yield from (f"var {variable} : {rank}" for variable, rank in unbound_variables(cascade))
    yield from _equations(cascade)
    yield f"output {_joined(cascade.outputs)}"


def _joined(parts: Iterable[str]) -> str:
    return ", ".join(parts)


def _ranks(cascade: Cascade) -> Iterator[str]:
    def is_free(name: str) -> bool:
        return name in cascade.free_ranks

    for free, group in groupby((rank.name for rank in cascade.ranks), key=is_free):
        if free:
            yield f"rank {_joined(group)}"
        else:
            yield from (f"rank {name} = {cascade.rank[name].alias_of or cascade.rank[name].extent}" for name in group)


def _declaration(tensor: Tensor) -> str:
    return f"{tensor.name}[{_joined(f'{d.variable}:{d.rank}' for d in tensor.dimensions)}]"


def _equations(cascade: Cascade) -> Iterator[str]:
    renderer = Renderer()
    sides = [renderer.equation(einsum) for einsum in cascade.einsums]
    lefts = [f"{'init ' if e.is_init else ''}{left}" for e, (left, _) in zip(cascade.einsums, sides, strict=True)]
    width = max((len(left) for left in lefts if len(left) <= _WIDEST_LEFT), default=0)
    for left, (_, right) in zip(lefts, sides, strict=True):
        yield f"{left:<{width}} = {right}"
