"""The accounting of the published evaluation, for mappings of the general cost engine.

It differs from the engine's own in what it leaves out: every transfer is beside the operations, whatever places there
are for it; engines are always in their steady state; and nothing is asked whether it fits. A part of a mapping takes
what is longest of its engines and DRAM, and the parts of a mapping in sequence follow one another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cost.estimate import CostEstimate, estimate
from einsum_cascade.mapper.objectives import Objective, Plan
from einsum_cascade.mapper.planning import plan_mapping
from einsum_cascade.mapping.ir import Block, normalised
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.reproduction.configurations import CONFIGURATIONS
from einsum_cascade.reproduction.evaluation import reproduce_fusemax
from einsum_cascade.reproduction.published import QUIRKS

__all__ = ["PublishedFigures", "published_energies", "published_figures"]


@dataclass(frozen=True, slots=True)
class PublishedFigures:
    """What the published accounting says of a mapping.

    Parameters
    ----------
    plan
        The best of some mappings, in this accounting.
    latency_s
        Of all runs.
    traffic_bytes
        To and from DRAM, of all runs.
    utilisation
        By engine: share of issue slots that hold an operation.

    """

    plan: Plan
    latency_s: float
    traffic_bytes: float
    utilisation: Mapping[str, float]


def published_figures(
    workload: Workload,
    architecture: Architecture,
    mappings: Sequence[Tree],
    extents: Mapping[str, int],
    repeats: int = 1,
) -> PublishedFigures:
    """Plan as `mapper.planning.plan_mapping` does, in the published accounting.

    Parameters
    ----------
    workload, architecture, mappings, extents, repeats
        What runs where, the candidates in order of preference, all ranks, and how often the cascade runs.

    """

    def seconds(plan: Plan) -> float:
        return _seconds(workload, architecture, plan.mapping, plan.values, repeats)

    objective = Objective("published latency", (seconds,), prefers_fitting=False)
    plan = plan_mapping(workload, architecture, mappings, extents, repeats, objective)
    latency = seconds(plan)
    found = plan.estimate
    ratio = float(found.latency_s) / latency
    return PublishedFigures(
        plan,
        latency,
        float(found.traffic_bytes[architecture.memories[0].name]),
        {engine.name: float(found.utilisation(engine.name)) * ratio for engine in architecture.engines},
    )


def _seconds(
    workload: Workload, architecture: Architecture, mapping: Tree, values: Mapping[str, Any], repeats: int
) -> float:
    root = normalised(mapping.root)
    alone = [Block(root.steps, (part,)) for part in root.body] if root.order == "sequence" else [root]
    parts = (estimate(workload, architecture, replace(mapping, root=own), values, repeats) for own in alone)
    return sum(_part_seconds(part, architecture) for part in parts)


def _part_seconds(part: CostEstimate, architecture: Architecture) -> float:
    steady = part.cycles - part.repeats * sum(part.fills.values())
    dram = architecture.memories[0]
    bandwidth = dram.read_bytes_per_s
    moving = 0.0 if bandwidth is None else float(part.traffic_bytes[dram.name]) / float(bandwidth)
    return max(float(steady) / architecture.clock_hz, moving)


def published_energies(mapping: str, baseline: str, model: str | None, seq: str | None) -> dict[str, float]:
    """Return the energy of a published configuration over that of a baseline, as published and with all quirks off.

    Parameters
    ----------
    mapping
        The preset mapping of the configuration.
    baseline
        The configuration that it is compared with.
    model, seq
        The workload.

    Returns
    -------
    dict
        By accounting, `published` and `audited`; empty if nothing was published of it.

    """
    names = [own.name for own in CONFIGURATIONS.values() if mapping in own.mappings]
    found: dict[str, float] = {}
    for accounting, options in (("published", tuple(QUIRKS)), ("audited", ())) if names else ():
        rows = {(row.configuration, row.model, row.seq): row for row in reproduce_fusemax(options).attention}
        ours, theirs = (rows.get((name, model or "", seq or "")) for name in (names[0], baseline))
        if ours is not None and theirs is not None:
            found[accounting] = ours.energy_pj / theirs.energy_pj
    return found
