"""Which mappings are tried for a cascade: the presets made for it, or the plain mapping where none is legal.

A preset is for a cascade of the zoo, and for every cascade that is the same but for its name and its documentation.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from einsum_cascade import zoo
from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.mapper.plain import plain_mapping
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.legality import violations
from einsum_cascade.mapping.presets import load_mapping, mapping_names
from einsum_cascade.mapping.workload import Workload

__all__ = ["candidates", "preset_mappings"]


def preset_mappings(cascade: Cascade, first: Iterable[str] = ()) -> tuple[Tree, ...]:
    """Return the preset mappings of a cascade, in order of preference.

    Parameters
    ----------
    cascade
        The cascade, as the zoo has it or by another name.
    first
        Names of presets that are preferred to the others.

    Examples
    --------
    >>> [mapping.name for mapping in preset_mappings(zoo.load("attention"))]
    ['flat-off-chip', 'flat-on-chip', 'unfused']

    """
    found = map(load_mapping, dict.fromkeys((*first, *mapping_names())))
    known: dict[str, bool] = {}
    for mapping in (presets := tuple(found)):
        if mapping.cascade not in known:
            known[mapping.cascade] = mapping.cascade in zoo.names() and _is_same(cascade, zoo.load(mapping.cascade))
    return tuple(mapping for mapping in presets if known[mapping.cascade])


def candidates(
    workload: Workload, architecture: Architecture, extents: Mapping[str, int], presets: Sequence[Tree]
) -> tuple[Tree, ...]:
    """Return the presets that are legal; the plain mapping if none is.

    Parameters
    ----------
    workload, architecture
        What runs, and on what.
    extents
        Of all ranks.
    presets
        The preset mappings of the cascade, in order of preference.

    Raises
    ------
    IllegalMappingError
        No preset is legal, and no engine can do an Einsum.
    MappingError
        No preset is legal, and a rank has no coordinate.

    """
    legal = tuple(mapping for mapping in presets if not violations(workload, architecture, mapping, extents))
    return legal or (plain_mapping(workload, architecture, extents),)


def _is_same(one: Cascade, other: Cascade) -> bool:
    """Tell whether two cascades are the same but for their names."""
    return replace(one, name="") == replace(other, name="")
