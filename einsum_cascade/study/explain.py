"""Say in words what bounds a mapping, and where its numbers come from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from einsum_cascade.analysis.symbolic import as_text, extent_symbol, is_expression
from einsum_cascade.cost.estimate import CostEstimate, estimate
from einsum_cascade.cost.phases import PhaseCost
from einsum_cascade.mapper.objectives import Plan
from einsum_cascade.mapping.counts import Count
from einsum_cascade.mapping.ir import Loop
from einsum_cascade.mapping.symbols import symbolic_values
from einsum_cascade.mapping.workload import Workload

__all__ = ["Formula", "energy_by_part", "formulas", "reason"]

_NONE = 0.005
"""Shares below are none when rounded to percents."""


def reason(plan: Plan) -> str:
    """Return the sentence that says what bounds a mapping."""
    estimate = plan.estimate
    longest = max(estimate.phases, key=lambda phase: float(phase.seconds))
    if not estimate.latency_s:
        return "takes no time, because no point is left to do and nothing moves that takes any"
    share = float(longest.seconds / estimate.latency_s)
    where = "" if len(estimate.phases) == 1 else f" in {longest.name}, {100 * share:.0f} % of the time"
    return f"{_limit(longest)}{where}"


def _limit(longest: PhaseCost) -> str:
    limit = longest.limit
    if limit in longest.memory_s:
        ratio = float(longest.memory_s[limit]) / float(longest.compute_s) if longest.compute_s else 0
        return f"bound by {limit}" + (f", which takes {ratio:.2f} times as long as the engines" if ratio else "")
    idle = {name: 1 - float(cycles) / float(longest.cycles) for name, cycles in longest.busy_cycles.items()}
    if limit == "waiting":
        parts = ", ".join(f"{name} {100 * share:.0f} %" for name, share in idle.items())
        return f"bound by its parts, which wait for one another: idle are {parts}"
    others = ", ".join(f"{name} is idle {100 * share:.0f} %" for name, share in idle.items() if name != limit)
    often = "all the time" if idle[limit] < _NONE else f"{100 * (1 - idle[limit]):.0f} % of the time"
    return f"bound by {limit}, which is busy {often}" + (f"; {others}" if others else "")


def energy_by_part(estimate: CostEstimate) -> dict[str, float]:
    """Return the energy by memory, by register files, and by component, in pJ."""
    found: dict[str, float] = {}
    memories = {memory.name for memory in estimate.architecture.memories}
    for item in estimate.energy:
        if item.kind == "action":
            name = f"{item.where} {item.what}"
        else:
            name = item.where if item.where in memories else f"{item.where} registers"
        found[name] = found.get(name, 0.0) + float(item.total_pj)
    return found


@dataclass(frozen=True, slots=True)
class Formula:
    """A number and where it comes from.

    Parameters
    ----------
    number
        What it is, and its unit.
    formula
        In extents and parameters, as sympy reads it.
    parts
        With the numbers of the plan, as far as there are parts; empty if there are none.
    value
        The number.

    """

    number: str
    formula: str
    parts: str
    value: float


def formulas(workload: Workload, plan: Plan) -> Iterator[Formula]:
    """Yield what every number of a plan is made of.

    What the plan has chosen, a mapping and the values of its parameters, is taken as it is: parameters are symbols.
    """
    values, own = symbolic_values(workload, plan.mapping, _own_symbols(workload, plan)), plan.estimate
    estimates = (
        own,
        estimate(workload, own.architecture, plan.mapping, values, own.repeats, plan.inputs, own.array),
    )
    for rows in (_cycles, _words, _energies, _phases, _totals):
        for (number, parts, value), (_, _, formula) in zip(*map(rows, estimates), strict=True):
            if formula != 0:
                yield Formula(number, as_text(formula), parts, float(value))


def _own_symbols(workload: Workload, plan: Plan) -> dict[str, Count]:
    """Return symbols for the ranks that are set to something else than what follows from others."""
    ranks = [rank for rank in workload.cascade.ranks if rank.extent is not None]
    return {
        rank.name: extent_symbol(rank.name)
        for rank in ranks
        if rank.extent is not None and rank.extent.evaluate(plan.values) != plan.values[rank.name]
    }


type _Row = tuple[str, str, Any]
"""The name of a number, its parts if they are numbers, and the number or its expression."""


def _cycles(estimate: CostEstimate) -> Iterator[_Row]:
    for bound in estimate.bounds:
        loops = " ".join(str(step) for step in bound.path if isinstance(step, Loop))
        parts = f"{bound.steps} steps of ({loops}) x {bound.slots} slots + {bound.overhead_cycles}"
        yield f"{bound.task} on {bound.engine}, cycles", parts, bound.busy_cycles


def _words(estimate: CostEstimate) -> Iterator[_Row]:
    for (level, tensor), entry in estimate.accesses.items():
        for kind in ("fills", "reads", "updates", "drains"):
            yield f"{kind} of {tensor} in {level}, words", "", getattr(entry, kind)


def _energies(estimate: CostEstimate) -> Iterator[_Row]:
    for item in estimate.energy:
        what = f"{item.kind} of {item.what}" if item.kind != "action" else item.what
        yield f"{what} in {item.where}, pJ", f"{_short(item.count)} x {item.each_pj:g} pJ", item.total_pj


def _phases(estimate: CostEstimate) -> Iterator[_Row]:
    for name, cycles in estimate.fills.items():
        yield f"{name}, cycles", "", cycles
    for name, share in estimate.kept.items():
        yield f"{name}, of 1", "", share
    for phase in estimate.phases:
        yield f"engines in {phase.name}, cycles", "", phase.cycles
        parts = [f"{_short(phase.cycles)} cycles / {estimate.architecture.clock_hz:g} Hz"]
        parts += [f"{name} {_short(seconds)} s" for name, seconds in phase.memory_s.items()]
        yield f"time of {phase.name}, s", f"max({'; '.join(parts)})", phase.seconds


def _totals(estimate: CostEstimate) -> Iterator[_Row]:
    for name, traffic in estimate.traffic_bytes.items():
        yield f"{name} (B)", "", traffic
    yield "energy (pJ)", "", estimate.energy_pj
    yield "latency (s)", "", estimate.latency_s
    for engine in estimate.architecture.engines:
        yield f"{engine.name} use", "", estimate.utilisation(engine.name)


def _short(value: Any) -> str:
    return "" if is_expression(value) else f"{float(value):.6g}"
