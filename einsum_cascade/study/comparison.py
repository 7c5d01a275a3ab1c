"""Figures of a plan, and two plans side by side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from einsum_cascade.mapper.planning import Plan
from einsum_cascade.mapping.demand import demands
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.study.explain import energy_by_part, reason

__all__ = ["Figures", "figures_of", "ratios"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What one asks of a plan first.

    Parameters
    ----------
    architecture, mapping
        Its names.
    latency_s, energy_pj
        Of all runs.
    cycles
        Cycles of all runs on the engines, as if memory kept up with them.
    traffic_bytes
        To and from the outermost memory.
    utilisation
        By engine: share of issue slots that hold an operation.
    needs_bytes
        By inner memory: what the mapping holds there at once.
    limit, reason
        What bounds it, as a name and as a sentence.
    infeasible
        What it demands beyond the architecture, a sentence each.
    energy_pj_by_part
        Its parts: memories, register files, components.
    parameters
        Of the mapping, and what the schedule adds: by block, the cycles in which its busiest engine waits.
    not_counted
        What the energy leaves out.

    """

    architecture: str
    mapping: str
    latency_s: float
    cycles: int
    energy_pj: float
    traffic_bytes: float
    utilisation: Mapping[str, float]
    needs_bytes: Mapping[str, int]
    limit: str
    reason: str
    infeasible: tuple[str, ...]
    energy_pj_by_part: Mapping[str, float]
    parameters: Mapping[str, float]
    not_counted: tuple[str, ...] = ()


def figures_of(workload: Workload, plan: Plan) -> Figures:
    """Return the figures of a plan."""
    estimate = plan.estimate
    architecture = estimate.architecture
    needs = demands(workload, architecture, plan.mapping, plan.values)
    memories = {memory.name for memory in architecture.memories[1:]}
    return Figures(
        architecture.name,
        plan.mapping.name,
        float(estimate.latency_s),
        int(estimate.cycles),
        float(estimate.energy_pj),
        float(estimate.traffic_bytes[architecture.memories[0].name]),
        {engine.name: float(estimate.utilisation(engine.name)) for engine in architecture.engines},
        {demand.resource[1]: demand.amount for demand in needs if demand.resource[1] in memories},
        estimate.limit,
        reason(plan),
        tuple(map(str, plan.infeasibilities)),
        energy_by_part(estimate),
        {name: _plain(plan.values[name]) for name, _ in plan.mapping.parameters}
        | {name: _plain(value) for name, value in (*estimate.fills.items(), *estimate.kept.items())},
        tuple(
            f"moves between the {engine.rows} x {engine.columns} PEs of {engine.name}, and of results out of them"
            for engine in architecture.engines
            if engine.rows * engine.columns > 1 and estimate.utilisation(engine.name)
        ),
    )


def _plain(value: Any) -> float:
    return int(value) if value == int(value) else float(value)


def ratios(ours: Figures, baseline: Figures) -> dict[str, float]:
    """Return how many times faster and more frugal one plan is than another: above 1 is better.

    Where one of them takes nothing, there is no ratio.
    """
    pairs = {
        "speedup": (baseline.latency_s, ours.latency_s),
        "energy": (baseline.energy_pj, ours.energy_pj),
        "traffic": (baseline.traffic_bytes, ours.traffic_bytes),
    }
    return {name: theirs / own for name, (theirs, own) in pairs.items() if own and theirs}
