"""From a cascade, a machine and extents to a plan: the mappings that may run it, and the baseline of a comparison."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from einsum_cascade import zoo
from einsum_cascade.arch.ir import Architecture
from einsum_cascade.arch.presets import load_architecture
from einsum_cascade.cascade.extents import resolve_extents
from einsum_cascade.cascade.ir import Cascade, RankExtent, predicate_expressions, walk
from einsum_cascade.errors import UsageError
from einsum_cascade.interpreter.inputs import as_real
from einsum_cascade.mapper.candidates import candidates, preset_mappings
from einsum_cascade.mapper.objectives import LATENCY, Objective, Plan
from einsum_cascade.mapper.planning import plan_mapping
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.merging import merge_products, without_tasks
from einsum_cascade.mapping.presets import load_mapping
from einsum_cascade.mapping.roles import bound_by_role
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.reproduction.configurations import CONFIGURATIONS, extents_of, workload_of

__all__ = ["PlanCase", "baseline_case", "case_of", "plan_of", "sized", "tiled"]


@dataclass(frozen=True, slots=True)
class PlanCase:
    """What is to be planned.

    Parameters
    ----------
    workload, architecture
        What runs where.
    mappings
        The candidates, in order of preference.
    extents
        Of all ranks.
    repeats
        How often the cascade runs.
    inputs
        What filters read, by name.
    objective
        What the plan is chosen for.

    """

    workload: Workload
    architecture: Architecture
    mappings: tuple[Tree, ...]
    extents: Mapping[str, int]
    repeats: int
    inputs: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])
    objective: Objective = LATENCY


def case_of(
    cascade: Cascade,
    machine: Architecture,
    mapping: Tree | None,
    settings: Mapping[str, int],
    model: tuple[str | None, str | None],
    repeats: int | None,
    *,
    is_merged: bool = False,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    objective: Objective = LATENCY,
) -> PlanCase:
    """Return the case of a cascade on a machine.

    Parameters
    ----------
    cascade, machine, mapping
        What runs where. Without a mapping, the presets for this cascade that are legal on the architecture, or else the
        plain mapping.
    settings
        Extents that are set.
    model
        A model and a length, whose extents are taken.
    repeats
        How often the cascade runs; heads and sequences of the model unless told.
    is_merged
        Whether products are multiplied where they are added; on arrays as the RTL builds them, they are.
    inputs
        What filters read, by name; their shapes are extents.
    objective
        What the plan is chosen for.

    Raises
    ------
    UsageError
        A model or a length is not known.
    IllegalMappingError
        Without a mapping, no engine can do an Einsum.

    """
    given = {name: as_real(name, array) for name, array in (inputs or {}).items()}
    extents, runs = _extents(cascade, machine, settings, model, repeats, {n: a.shape for n, a in given.items()})
    named = preset_mappings(cascade, _published()) if mapping is None else (mapping,)
    mappings = tuple(bound_by_role(each, machine) for each in named)
    found = cascade
    if is_merged or _multiplies_as_it_adds(machine):
        found, mappings = _merged(found, mappings)
    workload = Workload(found)
    legal = mappings if mapping is not None else candidates(workload, machine, extents, mappings)
    return PlanCase(workload, machine, legal, extents, runs, given, objective)


def baseline_case(name: str, case: PlanCase) -> PlanCase:
    """Return the case of a published configuration that does the work of another case.

    Ranks that all Einsums of the other cascade have and the configuration lacks (batches, heads, groups) multiply its
    runs, and it has the filter of the other if the zoo has its cascade with that filter.

    Raises
    ------
    UsageError
        The configuration is not known, or a rank or a filter cannot be carried over.

    """
    if name not in CONFIGURATIONS:
        raise UsageError(f"baseline must be one of {', '.join(CONFIGURATIONS)}, not {name!r}")
    configuration = CONFIGURATIONS[name]
    machine = load_architecture(configuration.architecture)
    found = _with_filter_of(case.workload.cascade, configuration.cascade, name)
    runs = case.repeats
    for rank in _foreign_ranks(case.workload, found, name):
        runs *= case.extents[rank]
    known = {rank: case.extents[rank] for rank in found.free_ranks if rank in case.extents}
    extents = sized(found, machine, {rank: extent for rank, extent in known.items() if rank != "M0"})
    mappings = tuple(map(load_mapping, configuration.mappings))
    return PlanCase(Workload(found), machine, mappings, extents, runs, objective=case.objective)


def _with_filter_of(cascade: Cascade, name: str, baseline: str) -> Cascade:
    """Return a cascade of the zoo, with the filter that another one has."""
    if all(einsum.where is None for einsum in cascade.einsums):
        return zoo.load(name)
    filters = {str(einsum.where) for einsum in cascade.einsums if einsum.where is not None}
    suffix = cascade.name.replace("_", "-").rpartition("-")[2]
    if f"{name}-{suffix}" in zoo.names():
        found = zoo.load(f"{name}-{suffix}")
        if {*found.free_ranks} - {*cascade.free_ranks} <= {"M0"}:
            return found
    raise UsageError(
        f"baseline {baseline!r} must do the same work, but has no variant with the filter of {cascade.name!r} "
        f"({len(filters)} of its Einsums are filtered); compare the cascade without it"
    )


def _named(cascade: Cascade) -> frozenset[str]:
    """Return the ranks whose extents are values of expressions or of filters."""
    found: set[str] = set()
    for einsum in cascade.einsums:
        sides = (einsum.expression, *(predicate_expressions(einsum.where) if einsum.where else ()))
        found |= {node.rank for side in sides for node in walk(side) if isinstance(node, RankExtent)}
    return frozenset(found)


def _foreign_ranks(workload: Workload, baseline: Cascade, name: str) -> list[str]:
    """Return the ranks that a baseline lacks and that multiply its work: those that all Einsums have."""
    found: list[str] = []
    for rank in workload.cascade.free_ranks:
        variables = {variable for variable, own in workload.cascade.variables if own == rank}
        parts = [workload.parts[variable] for variable in variables]
        is_tile = parts and all(part.range not in variables for part in parts)
        if rank in baseline.free_ranks or is_tile or (not parts and rank not in _named(workload.cascade)):
            continue
        if not variables or any(variables.isdisjoint(task.variables) for task in workload.tasks):
            raise UsageError(
                f"rank {rank!r} must be one of baseline {name!r} ({', '.join(baseline.free_ranks)}) or of every Einsum "
                f"of {workload.cascade.name!r}, so that it multiplies the work, but is neither; compare without it"
            )
        found.append(rank)
    return found


def plan_of(case: PlanCase) -> Plan:
    """Return the best plan of a case."""
    what = case.workload, case.architecture, case.mappings, case.extents, case.repeats
    return plan_mapping(*what, objective=case.objective, inputs=case.inputs)


def _extents(
    cascade: Cascade,
    machine: Architecture,
    settings: Mapping[str, int],
    model: tuple[str | None, str | None],
    repeats: int | None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> tuple[dict[str, int], int]:
    name, seq = model
    if (name is None) != (seq is None):
        raise UsageError("model and seq must be given together, such as BERT and 64K")
    rows = max(engine.rows for engine in machine.engines)
    if name is None or seq is None:
        return sized(cascade, machine, settings, shapes), 1 if repeats is None else repeats
    try:
        workload = workload_of(name, seq)
    except ValueError as error:
        raise UsageError(str(error)) from None
    known = {rank: extent for rank, extent in extents_of(workload, rows).items() if rank in cascade.free_ranks}
    return resolve_extents(cascade, {**known, **settings}, shapes or {}), workload.heads if repeats is None else repeats


def sized(
    cascade: Cascade,
    machine: Architecture,
    settings: Mapping[str, int],
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> dict[str, int]:
    """Return the extents of all ranks."""
    return resolve_extents(cascade, tiled(cascade, machine, settings), shapes or {})


def tiled(cascade: Cascade, machine: Architecture, settings: Mapping[str, int]) -> dict[str, int]:
    """Return extents that are set, and that of a tile of keys: as many as the machine has rows unless it is set."""
    rows = max(engine.rows for engine in machine.engines)
    return {**({"M0": rows} if "M0" in cascade.free_ranks else {}), **settings}


def _published() -> tuple[str, ...]:
    """Return the names of the published mappings, the latest first."""
    return tuple(name for configuration in reversed(CONFIGURATIONS.values()) for name in configuration.mappings)


def _multiplies_as_it_adds(machine: Architecture) -> bool:
    """Tell whether a machine is an array of the RTL, whose lanes multiply what they add."""
    return any(engine.contexts is not None for engine in machine.engines)


def _merged(cascade: Cascade, mappings: tuple[Tree, ...]) -> tuple[Cascade, tuple[Tree, ...]]:
    merged = merge_products(cascade)
    gone = frozenset(tensor.name for tensor in cascade.tensors) - {tensor.name for tensor in merged.tensors}
    return merged, tuple(without_tasks(mapping, gone) for mapping in mappings)
