"""Which elements of a tensor some surviving point reads, or that exist: the image of domains under indices.

Rank variables are eliminated from the constraints as far as formulas allow; others stay, and are eliminated once the
extents are numbers. Only where data decides the count is an upper bound.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from einsum_cascade.analysis.counting import PointCount, count_points, element_count
from einsum_cascade.analysis.coverage import is_written_whole
from einsum_cascade.analysis.domain import Choice, Domain, variables_of_choice
from einsum_cascade.analysis.elimination import System
from einsum_cascade.analysis.facts import Facts
from einsum_cascade.analysis.symbolic import Expr, number, positive_part, product_of, to_sympy
from einsum_cascade.cascade.affine import Affine, affine_variable
from einsum_cascade.cascade.extent import ONE, Extent
from einsum_cascade.cascade.ir import Einsum, Tensor, reads_of

__all__ = ["elements_computed", "elements_made", "elements_read"]


@dataclass(frozen=True, slots=True)
class _Image:
    """Elements of a tensor: those for which rank variables exist under constraints.

    Parameters
    ----------
    bounds
        Constraints on its dimensions `#0`, `#1`, ..., and on rank variables that are left.
    hidden
        Those with their extents.
    is_exact
        Whether no data decides further.
    domain
        Points of which each reaches an element of its own, if that is known.

    """

    bounds: tuple[Affine, ...]
    hidden: tuple[tuple[str, Extent], ...] = ()
    is_exact: bool = True
    domain: Domain | None = None


type _Part = tuple[frozenset[Affine], frozenset[tuple[str, Extent]]]
"""Constraints, and the rank variables in them with their extents."""


def elements_read(facts: Facts, domains: Sequence[Domain], tensor: Tensor) -> PointCount:
    """Return how many elements of a tensor some point reads; an upper bound where data decides."""
    images: list[_Image] = []
    for place, einsum in enumerate(facts.cascade.einsums):
        first, last = len(tuple(reads_of(einsum.expression))), len(einsum.reads)
        for at, access in enumerate(facts.accesses[place]):
            if access.tensor == tensor.name:
                domain = domains[place]
                branches = [domain] if at < first else [domain.otherwise] if at < last else _filtering(domain)
                for branch in branches:
                    if branch is not None:
                        images += _images(facts, branch, access.indices, tensor)
    return _count(facts, tensor, images) if images else PointCount(number(0), is_exact=True)


def _filtering(domain: Domain) -> list[Domain]:
    """Return the domains of what a filter itself reads, whatever the data decide."""
    branches = (domain, domain.otherwise) if domain.otherwise is not None else (domain,)
    return [replace(branch, opaque=frozenset[frozenset[str]]()) for branch in branches]


def elements_made(facts: Facts, domains: Sequence[Domain], tensor: Tensor) -> PointCount:
    """Return how many elements of a computed tensor exist; an upper bound where data decides.

    A reduction over nothing makes an element, too: only constraints on what is left can make it absent.
    """
    if tensor.name not in facts.made:
        facts.made[tensor.name] = _written(facts, domains, tensor, _writers(facts, tensor))
    return facts.made[tensor.name]


def elements_computed(facts: Facts, domains: Sequence[Domain], tensor: Tensor) -> PointCount:
    """Return how many elements of a computed tensor exist beside the constants that it starts from (`init H[0] = 0`).

    Those are known before anything runs, so they need not be moved.
    """
    writers = _writers(facts, tensor)
    computing = [at for at in writers if not facts.cascade.einsums[at].is_constant_start]
    if len(computing) == len(writers):
        return elements_made(facts, domains, tensor)
    return _written(facts, domains, tensor, computing)


def _writers(facts: Facts, tensor: Tensor) -> list[int]:
    return [at for at, einsum in enumerate(facts.cascade.einsums) if einsum.tensor == tensor.name]


def _written(facts: Facts, domains: Sequence[Domain], tensor: Tensor, writers: Sequence[int]) -> PointCount:
    """Return how many elements some Einsums make."""
    einsums = [facts.cascade.einsums[at] for at in writers]
    made = [(einsum, _made(einsum, domains[at])) for einsum, at in zip(einsums, writers, strict=True)]
    if tensor.generation_axis is not None and not any(own.bounds or own.choices or own.opaque for _, own in made):
        return PointCount(_generations(facts, tensor, writers), is_exact=True)
    known = [(einsum, own.bounds) for einsum, own in made if not (own.choices or own.opaque)]
    if tensor.is_declared and known and is_written_whole(facts.cascade, known):
        return _count(facts, tensor, [_Image(())])
    if any(einsum.otherwise is not None and einsum.reduction is not None for einsum in einsums):
        return _count(facts, tensor, [_Image((), is_exact=False)])
    return _count(
        facts, tensor, (image for einsum, own in made for image in _images(facts, own, einsum.indices, tensor))
    )


def _generations(facts: Facts, tensor: Tensor, writers: Sequence[int]) -> Expr:
    """Return how many elements some Einsums make of an iterative tensor that has all of its elements."""
    assert tensor.generation_axis is not None
    sizes = [to_sympy(facts.plain(dimension.extent)) for dimension in tensor.dimensions]
    others = len(_writers(facts, tensor)) - len(writers)
    if others:
        left = sizes[tensor.generation_axis] - others
        # One generation is always there; of several, some may not be.
        sizes[tensor.generation_axis] = left if others == 1 else positive_part(left)
    return product_of(sizes)


def _made(einsum: Einsum, domain: Domain) -> Domain:
    """Return where an Einsum makes elements, by the variables on its left."""
    left, own = frozenset(einsum.left_variables), domain.made or domain
    return Domain(
        tuple(pair for pair in own.extents if pair[0] in left),
        tuple(bound for bound in own.bounds if left.issuperset(bound.variables)),
        tuple(choice for choice in own.choices if left >= variables_of_choice(choice)),
        frozenset(names for names in own.opaque if names <= left),
    )


def _count(facts: Facts, tensor: Tensor, images: Iterable[_Image]) -> PointCount:
    """Count the elements in at least one of several images."""
    names = _names(tensor)
    distinct: dict[_Part, _Image] = {}
    for image in images:
        part = _part(image, names)
        if part not in distinct or image.is_exact:
            distinct[part] = image
    least = {part: image for part, image in distinct.items() if not any(_implies(part, o) for o in distinct)}
    # What an exact image covers, an inexact one adds nothing to.
    is_exact = all(image.is_exact for image in least.values())
    if _covers_all(bounds for bounds, hidden in least if not hidden):
        least = {(frozenset[Affine](), frozenset[tuple[str, Extent]]()): _Image((), is_exact=is_exact)}
    extents = tuple(
        zip(names.values(), (facts.plain(dimension.extent) for dimension in tensor.dimensions), strict=True)
    )
    return PointCount(_points(facts, extents, least), is_exact)


def _part(image: _Image, names: Mapping[str, str]) -> "_Part":
    """Write an image with names of dimensions; a rank variable of such a name gets another one."""
    taken = set(names.values())
    others = {name: f"{name}_" if name in taken else name for name, _ in image.hidden}
    renamed = {old: affine_variable(new) for old, new in (dict(names) | others).items()}
    hidden = frozenset((others[name], extent) for name, extent in image.hidden)
    return frozenset(bound.substituted(renamed) for bound in image.bounds), hidden


def _implies(part: "_Part", other: "_Part") -> bool:
    """Tell whether all elements of a part are in another one, because it asks for more."""
    return part != other and other[0] <= part[0] and other[1] <= part[1]


def _points(facts: Facts, extents: tuple[tuple[str, Extent], ...], parts: Mapping["_Part", _Image]) -> Expr:
    """Count the elements of parts of a tensor whose dimensions have names and extents."""
    if len(parts) == 1:
        ((bounds, hidden), image), *_ = parts.items()
        if hidden and image.domain is not None:
            return count_points(facts, image.domain).points
        if not hidden:
            return count_points(facts, Domain(extents, _sorted(bounds), (), frozenset())).points
    if any(hidden for _, hidden in parts):
        return element_count(extents, sorted(((_sorted(b), tuple(sorted(h, key=str))) for b, h in parts), key=str))
    choice: Choice = tuple(sorted((_sorted(bounds) for bounds, _ in parts), key=str))
    return count_points(facts, Domain(extents, (), (choice,), frozenset())).points


def _covers_all(images: Iterable[frozenset[Affine]]) -> bool:
    """Tell whether two of several images are complements, or overlap: where one ends, the other has begun."""
    alone = [next(iter(bounds)) for bounds in images if len(bounds) == 1]
    sums = (first + second for at, first in enumerate(alone) for second in alone[:at])
    return any(not total.terms and (total.offset + ONE).is_nonnegative() for total in sums)


def _names(tensor: Tensor) -> dict[str, str]:
    """Return variables to count with: the rank's in lower case, with its place where a rank comes twice."""
    names = [dimension.rank.lower() for dimension in tensor.dimensions]
    return {f"#{axis}": f"{name}{axis}" if names.count(name) > 1 else name for axis, name in enumerate(names)}


def _sorted(bounds: Iterable[Affine]) -> tuple[Affine, ...]:
    return tuple(sorted(bounds, key=str))


def _images(facts: Facts, domain: Domain, indices: Sequence[Affine], tensor: Tensor) -> Iterable[_Image]:
    """Return the elements that the points of a domain reach, in parts that may overlap."""
    conjunctions = domain.conjunctions
    is_whole = conjunctions is not None
    for bounds in conjunctions if is_whole else (domain.bounds,):
        system = System(facts, tensor, dict(domain.extents))
        system.start(bounds, indices)
        system.eliminate()
        own = replace(domain, bounds=bounds, choices=()) if is_whole and system.is_injective else None
        yield _Image(system.result(), system.hidden, is_whole and not domain.opaque, own)
