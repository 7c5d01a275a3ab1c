"""Give the parameters of a mapping their values, and choose between mappings: the first of the best."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import isfinite
from typing import Any

from numpy.typing import NDArray

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cost.estimate import estimate
from einsum_cascade.errors import InfeasibleMappingError, MappingError, ScheduleError
from einsum_cascade.mapper.divisors import divisors_up_to, largest_divisor
from einsum_cascade.mapper.objectives import LATENCY, Objective, Plan
from einsum_cascade.mapping.capacity import infeasibilities
from einsum_cascade.mapping.counts import evaluated
from einsum_cascade.mapping.demand import demands
from einsum_cascade.mapping.ir import Block, Compute, Loop, paths
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.legality import check_mapping
from einsum_cascade.mapping.parameters import BestOf, LargestFitting, PartSize, ShareOf
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.watching import tracked

__all__ = ["check_extents", "plan_mapping"]

_MOST_FACTORED = 1 << 40
"""All divisors of numbers up to it are found; of a greater one, what fits tells which of them are needed."""

type Values = dict[str, Any]

type Inputs = Mapping[str, NDArray[Any]]


def plan_mapping(
    workload: Workload,
    architecture: Architecture,
    mappings: Sequence[Tree],
    extents: Mapping[str, int],
    repeats: int = 1,
    objective: Objective = LATENCY,
    inputs: Inputs | None = None,
) -> Plan:
    """Return the best of some mappings that fit, the first one of equals, with values for its parameters.

    Where none fits, it is the best of those that do not.

    Parameters
    ----------
    workload, architecture
        What runs where.
    mappings
        In order of preference.
    extents
        Of all ranks.
    repeats
        How often the cascade runs.
    objective
        What the best has least of.
    inputs
        What filters read, by name.

    Raises
    ------
    IllegalMappingError
        A mapping contradicts the cascade or the architecture.
    InfeasibleMappingError
        No mapping has a value for a parameter: none of those that it may have fits.
    MappingError
        A rank has no coordinate, or a level has no capacity to keep a share in.

    """
    check_extents(extents)
    candidates: list[Plan] = []
    refused: list[InfeasibleMappingError] = []
    for mapping in tracked(mappings, "mappings", len(mappings)):
        check_mapping(workload, architecture, mapping, extents)
        try:
            for values in _valued(workload, architecture, mapping, dict(extents)):
                cost = estimate(workload, architecture, mapping, values, repeats, inputs)
                if not isfinite(cost.latency_s + cost.energy_pj):
                    raise OverflowError
                unmet = infeasibilities(workload, architecture, mapping, values)
                candidates.append(Plan(mapping, values, cost, unmet, inputs, objective.name))
        except InfeasibleMappingError as error:
            refused.append(error)
        except ScheduleError as error:
            refused.append(InfeasibleMappingError([f"{mapping.name}: {error}"]))
        except OverflowError:
            largest = max(extents, key=lambda name: extents[name])
            message = "time and energy must be below 1.8e308, but are not with these extents and repeats"
            raise MappingError(f"{message}; set fewer than so many, first of all of {largest!r}") from None
    if not candidates:
        raise InfeasibleMappingError([reason for error in refused for reason in error.reasons])
    return min(candidates, key=objective.rank)


def check_extents(extents: Mapping[str, int]) -> None:
    """Refuse extents that leave nothing to map.

    Raises
    ------
    MappingError
        A rank has no coordinate.

    """
    if empty := [name for name, extent in extents.items() if extent < 1]:
        raise MappingError(f"every rank must have an extent of at least 1 to be mapped, but {empty[0]!r} has 0; set it")


def _valued(workload: Workload, architecture: Architecture, mapping: Tree, values: Values) -> Iterator[Values]:
    """Yield values for all parameters: one set for every combination of the choices."""
    missing = [(name, rule) for name, rule in mapping.parameters if name not in values]
    if not missing:
        yield values
        return
    name, rule = missing[0]
    for value in _choices(workload, architecture, mapping, name, rule, values):
        yield from _valued(workload, architecture, mapping, {**values, name: value})


def _choices(
    workload: Workload, architecture: Architecture, mapping: Tree, name: str, rule: Any, values: Values
) -> Iterator[Any]:
    match rule:
        case PartSize(engine, side):
            yield getattr(architecture.find_engine(engine), side)
        case ShareOf(words, level):
            yield min(Fraction(1), Fraction(_capacity_words(architecture, level), int(evaluated(words, values))))
        case BestOf(choices, most):
            limit = evaluated(most, values)
            found = dict.fromkeys(v for v in (evaluated(choice, values) for choice in choices) if 1 <= v <= limit)
            if not found:
                known = ", ".join(f"{rank} = {values[rank]}" for rank in sorted(most.names))
                what = f"parameter {name} of {mapping.name}, the {rule}, must have one of these values"
                raise InfeasibleMappingError([f"{what}, but none is that small ({known}); take another mapping"])
            yield from found
        case LargestFitting(of, level):
            fits = _fitting(workload, architecture, mapping, level, name, values)
            yield _largest(int(evaluated(of, values)), fits, f"{name}, the {rule},")
        case _:
            yield rule


def _capacity_words(architecture: Architecture, level: str) -> int:
    memory = architecture.find_memory(level)
    if memory is None or memory.capacity_bytes is None:
        raise MappingError(
            f"level {level!r} of {architecture.name} must have a capacity to keep a share of a tensor in"
        )
    return int(memory.capacity_bytes / architecture.word_bytes)


def _fitting(
    workload: Workload, architecture: Architecture, mapping: Tree, level: str, name: str, values: Values
) -> Callable[[int], bool]:
    concerned = _concerned(mapping, name)

    def fits(number: int) -> bool:
        found = demands(workload, architecture, concerned, {**values, name: number})
        (own,) = (demand for demand in found if demand.resource == ("memory", level))
        return own.bound is None or own.amount <= own.bound

    return fits


def _concerned(mapping: Tree, name: str) -> Tree:
    """Return the parts of a mapping that a parameter is about: of parts that follow one another, those with it."""
    root = mapping.root
    is_shared = any(isinstance(step, Loop) and name in step.tile.names for step in root.steps)
    if root.order != "sequence" or is_shared:
        return mapping
    body = tuple(part for part in root.body if _mentions(part, name))
    return replace(mapping, root=replace(root, body=body))


def _mentions(node: Block | Compute, name: str) -> bool:
    steps = (step for path, _ in paths(node) for step in path)
    return any(isinstance(step, Loop) and name in step.tile.names for step in steps)


def _most(number: int, fits: Callable[[int], bool]) -> int:
    """Return the largest number up to another one that fits, divisor or not; 0 if none does."""
    step, most = 1, 0
    while step <= number and fits(step):
        step *= 2
    while step := step // 2:
        most += step if most + step <= number and fits(most + step) else 0
    return most


def _largest(number: int, fits: Callable[[int], bool], what: str) -> int:
    """Return the largest divisor that fits; what a smaller one needs is no more, so halving finds it."""
    if number > _MOST_FACTORED:
        most = _most(number, fits)
        found = largest_divisor(number, most) if most else 0
    else:
        divisors = divisors_up_to(number, number)
        found = next(reversed(divisors[: bisect_left(divisors, True, key=lambda each: not fits(each))]), 0)
    if not found:
        raise InfeasibleMappingError(
            [f"parameter {what} must have a value that fits, but not even 1 does; use smaller tiles"]
        )
    return found
