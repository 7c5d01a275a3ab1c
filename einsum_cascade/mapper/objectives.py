"""What a plan is chosen for. An objective is a value: whatever chooses takes the plan of which it says the least."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from einsum_cascade.cost.estimate import CostEstimate
from einsum_cascade.errors import UsageError
from einsum_cascade.mapping.capacity import Infeasibility
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.wording import did_you_mean

__all__ = ["LATENCY", "OBJECTIVES", "Objective", "Plan", "objective_named"]


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """A mapping with values for its parameters, and what it costs.

    Parameters
    ----------
    mapping
        The mapping.
    values
        Of all ranks and parameters.
    estimate
        What it costs.
    infeasibilities
        What it demands beyond the architecture; empty if it fits.
    inputs
        What filters read, by name.
    objective
        What it was chosen for.

    """

    mapping: Tree
    values: Mapping[str, Any]
    estimate: CostEstimate
    infeasibilities: tuple[Infeasibility, ...]
    inputs: Mapping[str, NDArray[Any]] | None = None
    objective: str = "latency"

    def __repr__(self) -> str:
        return f"<Plan {self.mapping.name} on {self.estimate.architecture.name}>"


@dataclass(frozen=True, slots=True)
class Objective:
    """What a plan is chosen for.

    Parameters
    ----------
    name
        Of the objective, as one writes it.
    measures
        What of a plan is compared, less is better: the first one, of equals the next one.
    prefers_fitting
        Whether a plan that fits is better than one that does not, whatever they measure.

    """

    name: str
    measures: tuple[Callable[[Plan], float], ...]
    prefers_fitting: bool = True

    def rank(self, plan: Plan) -> tuple[float, ...]:
        """Return what orders plans, the best first."""
        is_worse = self.prefers_fitting and bool(plan.infeasibilities)
        return is_worse, *(measure(plan) for measure in self.measures)


def _latency(plan: Plan) -> float:
    return float(plan.estimate.latency_s)


def _energy(plan: Plan) -> float:
    return float(plan.estimate.energy_pj)


def _traffic(plan: Plan) -> float:
    found = plan.estimate
    return float(found.traffic_bytes[found.architecture.memories[0].name])


LATENCY = Objective("latency", (_latency,))

OBJECTIVES = {
    each.name: each
    for each in (
        LATENCY,
        Objective("energy", (_energy, _latency)),
        Objective("edp", (lambda plan: _energy(plan) * _latency(plan), _latency)),
        Objective("traffic", (_traffic, _latency)),
    )
}
"""Time; energy; energy times time; bytes to and from the outermost memory."""


def objective_named(name: str) -> Objective:
    """Return an objective.

    Raises
    ------
    UsageError
        There is none of that name.

    """
    if name not in OBJECTIVES:
        raise UsageError(f"no objective is called {name!r}{did_you_mean(name, OBJECTIVES)}")
    return OBJECTIVES[name]
