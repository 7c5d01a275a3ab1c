"""The reports of `cost` and `compare`: what a plan takes, and two plans side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from einsum_cascade.cost.estimate import CostEstimate
from einsum_cascade.mapper.objectives import LATENCY, Plan
from einsum_cascade.mapper.plain import PLAIN
from einsum_cascade.mapping.demand import demands
from einsum_cascade.mapping.workload import Workload
from einsum_cascade.study.explain import Formula, energy_by_part, formulas, reason
from einsum_cascade.study.report import Report
from einsum_cascade.study.tables import Figure, Note, Table

__all__ = ["ComparisonReport", "CostPhase", "CostReport", "LevelTraffic", "comparison_of", "report_of_cost"]


@dataclass(frozen=True, slots=True)
class CostPhase:
    """A part of a mapping that no other part overlaps with.

    Parameters
    ----------
    name
        What runs in it, or moves.
    seconds, cycles
        How long it takes, and how long on the engines alone.
    memory_s
        By memory of limited bandwidth: seconds for its bytes.
    limit
        What bounds it.

    """

    name: str
    seconds: float
    cycles: int
    memory_s: Mapping[str, float]
    limit: str


@dataclass(frozen=True, slots=True)
class LevelTraffic:
    """Elements of a tensor that move to and from a level, of one run.

    Parameters
    ----------
    level, tensor
        Where, and of what.
    fills, reads
        Coming from the level outside, and going inside.
    updates, drains
        Coming from inside, and going to the level outside.

    """

    level: str
    tensor: str
    fills: float
    reads: float
    updates: float
    drains: float


@dataclass(frozen=True, repr=False)
class CostReport(Report):
    """What a plan takes.

    Parameters
    ----------
    cascade, architecture, mapping
        Their names.
    extents
        Of all ranks.
    repeats
        How often the cascade runs.
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
    phases
        Parts that follow one another, of all runs.
    traffic
        By level and tensor.
    not_counted
        What the energy leaves out.
    formulas
        Every number with its formula, if asked for.
    objective
        What the mapping was chosen for.

    """

    kind: ClassVar[str] = "cost"

    cascade: str
    architecture: str
    mapping: str
    extents: Mapping[str, int]
    repeats: int
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
    phases: tuple[CostPhase, ...]
    traffic: tuple[LevelTraffic, ...]
    not_counted: tuple[str, ...] = ()
    formulas: tuple[Formula, ...] = ()
    objective: str = "latency"

    @property
    def headline(self) -> str:
        """Time, energy, traffic."""
        rows = self.rows
        return f"{self.title}: " + ", ".join(str(rows[name]) for name in ("latency", "energy", "DRAM"))

    @property
    def title(self) -> str:
        """The mapping and where it runs."""
        title = f"{self.mapping} on {self.architecture}"
        return f"{title}: does not fit" if self.infeasible else title

    @property
    def rows(self) -> dict[str, Figure]:
        """Figures by name, in the order in which one asks."""
        mark = self._mark
        rows = {
            "latency": Figure(self.latency_s, "s", mark),
            "cycles, memory aside": Figure(self.cycles, "", mark),
            "energy": Figure(self.energy_pj, "pJ", mark),
            "DRAM": Figure(self.traffic_bytes, "B", mark),
        }
        rows |= {f"{name} use": Figure(share, "%", mark) for name, share in self.utilisation.items()}
        return rows | {f"{name} need": Figure(amount, "B", mark) for name, amount in self.needs_bytes.items()}

    @property
    def _mark(self) -> str:
        """What stands behind every figure of a plan that does not fit."""
        return " *" if self.infeasible else ""

    def parts(self) -> tuple[Table | Note, ...]:
        """Return the figures, the energy by part, and what bounds them."""
        return tuple(self._parts())

    def _parts(self) -> Iterator[Table | Note]:
        yield Table("cost", self.title, ("figure", "value"), tuple(self.rows.items()))
        shares = sorted(self.energy_pj_by_part.items(), key=lambda item: -item[1])
        total = self.energy_pj or 1
        energies = (
            (name, Figure(value, "pJ", self._mark), Figure(value / total, "%", self._mark)) for name, value in shares
        )
        yield Table("energy", "energy", ("part", "energy", "share"), tuple(energies))
        yield from (Note(f"not counted: energy of {what}") for what in self.not_counted)
        yield from self.notes
        if self.formulas:
            yield _formula_table(self.formulas, self.parameters)

    @property
    def notes(self) -> tuple[Note, ...]:
        """Say what bounds the plan, and why it does not fit if it does not."""
        notes = [Note(f"{self.mapping}: {self.reason}")]
        if self.objective != LATENCY.name:
            notes.append(Note(f"{self.mapping}: chosen for {self.objective}"))
        if self.mapping == PLAIN:
            notes.append(Note(f"mapping {PLAIN} is a default, Einsum after Einsum, not optimised"))
        if self.infeasible:
            notes.append(Note(f"* figures of a machine on which {self.mapping} fits; {self.architecture} is none:"))
        return (*notes, *(Note(f"{self.mapping} does not fit: {why}") for why in self.infeasible))


def report_of_cost(workload: Workload, plan: Plan, *, is_explained: bool = False) -> CostReport:
    """Return what a plan takes, with formulas if asked for."""
    estimate = plan.estimate
    architecture = estimate.architecture
    needs = demands(workload, architecture, plan.mapping, plan.values)
    memories = {memory.name for memory in architecture.memories[1:]}
    ranks = [rank.name for rank in workload.cascade.ranks]
    return CostReport(
        workload.cascade.name,
        architecture.name,
        plan.mapping.name,
        {name: int(plan.values[name]) for name in ranks},
        estimate.repeats,
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
        tuple(_phases(estimate)),
        tuple(_traffic(estimate)),
        tuple(
            f"moves between the {engine.rows} x {engine.columns} PEs of {engine.name}, and of results out of them"
            for engine in architecture.engines
            if engine.rows * engine.columns > 1 and estimate.utilisation(engine.name)
        ),
        tuple(formulas(workload, plan)) if is_explained else (),
        plan.objective,
    )


def _phases(estimate: CostEstimate) -> Iterator[CostPhase]:
    for phase in estimate.phases:
        memory_s = {name: float(seconds) for name, seconds in phase.memory_s.items()}
        yield CostPhase(phase.name, float(phase.seconds), int(float(phase.cycles)), memory_s, phase.limit)


def _traffic(estimate: CostEstimate) -> Iterator[LevelTraffic]:
    for (level, tensor), entry in estimate.accesses.items():
        yield LevelTraffic(level, tensor, *map(_plain, (entry.fills, entry.reads, entry.updates, entry.drains)))


def _plain(value: Any) -> float:
    return int(value) if value == int(value) else float(value)


def _formula_table(rows: tuple[Formula, ...], parameters: Mapping[str, float]) -> Table:
    """Return every number with its formula in extents, the numbers put in, and its value."""
    chosen = ", ".join(f"{name} = {value:g}" for name, value in parameters.items())
    title = "where every number comes from" + (f" ({chosen})" if chosen else "")
    cells = tuple((row.number, row.formula, row.parts, row.value) for row in rows)
    return Table("formulas", title, ("number", "formula", "in numbers", "value"), cells)


@dataclass(frozen=True, repr=False)
class ComparisonReport(Report):
    """Two plans of the same work.

    Parameters
    ----------
    ours, baseline
        Their figures.
    ratios
        How many times faster (`speedup`) and more frugal (`energy`, `traffic`) ours is: above 1 is better. Where one of
        them takes nothing, there is no ratio.
    energy_elsewhere
        The ratio of energies in other accountings, `published` and `audited`, where there is one.

    """

    kind: ClassVar[str] = "comparison"

    ours: CostReport
    baseline: CostReport
    ratios: Mapping[str, float]
    energy_elsewhere: Mapping[str, float]

    @property
    def headline(self) -> str:
        """The ratios."""
        told = ", ".join(f"{name} {ratio:.4g} x" for name, ratio in self.ratios.items())
        return f"{self.ours.title} against {self.baseline.title}: {told}"

    @property
    def infeasible(self) -> tuple[str, ...]:
        """What either demands beyond its architecture."""
        return (*self.ours.infeasible, *self.baseline.infeasible)

    def parts(self) -> tuple[Table | Note, ...]:
        """Return both side by side, each ratio, what bounds either, and what other accountings say of the energy."""
        first, second, better = self.ours.rows, self.baseline.rows, self._in_words()
        names = dict.fromkeys((*first, *second))
        rows = tuple((name, first.get(name), second.get(name), better.get(name, "")) for name in names)
        table = Table("comparison", "side by side", ("figure", self.ours.title, self.baseline.title, "ratio"), rows)
        return (table, *self.ours.notes, *self.baseline.notes, *self._other_energies())

    def _in_words(self) -> dict[str, str]:
        names = {"latency": "speedup", "energy": "energy", "DRAM": "traffic"}
        found = {name: _times(self.ratios[key]) for name, key in names.items() if key in self.ratios}
        for name, share in self.ours.utilisation.items():
            if other := self.baseline.utilisation.get(name):
                found[f"{name} use"] = f"{share / other:.4g} x"
        for name, amount in self.ours.needs_bytes.items():
            if amount and (other := self.baseline.needs_bytes.get(name)):
                found[f"{name} need"] = _times(other / amount)
        return found

    def _other_energies(self) -> Iterator[Note]:
        """Say why the ratio of energies is not the one of the reproduction, where there is one."""
        if self.energy_elsewhere:
            here, elsewhere = self.ours.energy_pj / self.baseline.energy_pj, self.energy_elsewhere
            yield Note(
                f"energy: {here:.3f} of the baseline's here, {elsewhere['published']:.3f} as published and "
                f"{elsewhere['audited']:.3f} audited (reproduce fusemax). Here registers are charged for what the "
                "mappings keep in PEs; as published, for one PE of each array, and audited, for three reads and writes "
                "at every step of every PE."
            )


def comparison_of(
    ours: CostReport, baseline: CostReport, energy_elsewhere: Mapping[str, float] | None = None
) -> ComparisonReport:
    """Return two reports side by side."""
    pairs = {
        "speedup": (baseline.latency_s, ours.latency_s),
        "energy": (baseline.energy_pj, ours.energy_pj),
        "traffic": (baseline.traffic_bytes, ours.traffic_bytes),
    }
    ratios = {name: theirs / own for name, (theirs, own) in pairs.items() if own and theirs}
    return ComparisonReport(ours, baseline, ratios, energy_elsewhere or {})


def _times(ratio: float) -> str:
    """Return a ratio in words: how many times less it is than the baseline's, or more."""
    if ratio == 1:
        return "the same"
    return f"{ratio:.4g} x less" if ratio > 1 else f"{1 / ratio:.4g} x more"
