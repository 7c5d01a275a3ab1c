"""Say in words what bounds a mapping, and where its numbers come from."""

from collections.abc import Iterator

from einsum_cascade.cost.estimate import CostEstimate, PhaseCost
from einsum_cascade.cost.planning import Plan
from einsum_cascade.mapping.ir import Loop

__all__ = ["energy_by_part", "formulas", "reason"]


def reason(plan: Plan) -> str:
    """Return the sentence that says what bounds a mapping."""
    estimate = plan.estimate
    longest = max(estimate.phases, key=lambda cost: float(cost.seconds))
    share = float(longest.seconds / estimate.latency_s)
    where = (
        "" if len(estimate.phases) == 1 else f" in {', '.join(longest.phase.tasks)}, {100 * share:.0f} % of the time"
    )
    return f"{_limit(estimate, longest)}{where}"


def _limit(estimate: CostEstimate, longest: PhaseCost) -> str:
    limit = longest.limit
    idle = {name: 1 - float(cycles) / float(longest.phase.cycles) for name, cycles in longest.phase.busy_cycles.items()}
    if limit in longest.memory_s:
        ratio = float(longest.memory_s[limit]) / float(longest.compute_s)
        return f"bound by {limit}, which takes {ratio:.2f} times as long as the engines"
    if limit == "lock-step":
        parts = ", ".join(f"{name} {100 * share:.0f} %" for name, share in idle.items())
        return f"bound by its stages, which wait for one another: idle are {parts}"
    others = ", ".join(f"{name} is idle {100 * share:.0f} %" for name, share in idle.items() if name != limit)
    return f"bound by {limit}, which is busy all the time" + (f"; {others}" if others else "")


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


def formulas(plan: Plan) -> Iterator[tuple[str, str, float]]:
    """Yield what every number is made of: its name, its formula in numbers, its value."""
    estimate = plan.estimate
    for bound in estimate.bounds:
        loops = " ".join(str(step) for step in bound.path if isinstance(step, Loop))
        formula = f"{bound.steps} steps of ({loops}) x {bound.slots} slots + {bound.overhead_cycles}"
        yield f"{bound.task} on {bound.engine}, cycles", formula, float(bound.busy_cycles)
    for (level, tensor), entry in estimate.accesses.items():
        formula = f"{entry.fills} fills + {entry.reads} reads + {entry.updates} updates + {entry.drains} drains"
        yield f"{tensor} in {level}, words", formula, float(entry.read + entry.written)
    for item in estimate.energy:
        what = f"{item.kind} of {item.what}" if item.kind != "action" else item.what
        yield f"{what} in {item.where}, pJ", f"{float(item.count):.6g} x {item.each_pj:g} pJ", float(item.total_pj)
    for cost in estimate.phases:
        parts = [f"{float(cost.phase.cycles):.6g} cycles / {estimate.architecture.clock_hz:g} Hz"]
        parts += [f"{name} {float(seconds):.6g} s" for name, seconds in cost.memory_s.items()]
        yield f"time of {', '.join(cost.phase.tasks)}, s", f"max({'; '.join(parts)})", float(cost.seconds)
