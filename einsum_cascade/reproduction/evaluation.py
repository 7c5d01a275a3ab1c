"""All rows of the evaluation, their averages, and what each quirk does to the headlines."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import fmean, geometric_mean
from typing import Any

from einsum_cascade.arch.area import area
from einsum_cascade.reproduction.baselines import flat, unfused
from einsum_cascade.reproduction.fused import architecture, binding, cascade
from einsum_cascade.reproduction.linear import LinearRow, linear
from einsum_cascade.reproduction.machine import AttentionRow, PublishedMachine, machine_of
from einsum_cascade.reproduction.published import QUIRKS, REFINEMENTS
from einsum_cascade.reproduction.workloads import PublishedWorkload, workloads

__all__ = ["CONFIGURATIONS", "Effect", "Evaluation", "effects", "reproduce_fusemax"]

type _Evaluate = Callable[[PublishedMachine, PublishedWorkload], AttentionRow]
type _Mean = Callable[[Iterable[float]], float]

_CONFIGURATIONS: dict[str, tuple[str, _Evaluate]] = {
    "unfused": ("flat-cloud", unfused),
    "flat": ("flat-cloud", flat),
    "cascade": ("flat-cloud", cascade),
    "architecture": ("fusemax-cloud", architecture),
    "binding": ("fusemax-cloud", binding),
}

_MACHINES = ("flat-cloud", "fusemax-cloud")

CONFIGURATIONS = tuple(_CONFIGURATIONS)
"""The published configurations, from the baseline without fusion to FuseMax."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The reproduced evaluation.

    Parameters
    ----------
    attention
        A row per configuration, model and length.
    linear
        A row per machine, model and length.
    areas
        Area of both machines by part: the rest of an engine, its register files.
    options
        The quirks and refinements that are on.

    """

    attention: tuple[AttentionRow, ...]
    linear: tuple[LinearRow, ...]
    areas: Mapping[str, Mapping[str, float]]
    options: frozenset[str]

    def averages(self, mean: _Mean = fmean) -> dict[str, float]:
        """Return averages over all models and lengths; only the arithmetic ones are the published headlines."""
        found: dict[str, float] = {}
        for baseline in ("flat", "unfused"):
            pairs = self._pairs(baseline)
            for part, rows in (("attention", pairs), ("end_to_end", [self._with_linear(*pair) for pair in pairs])):
                found[f"{part}_speedup_over_{baseline}"] = mean([old.latency_s / new.latency_s for new, old in rows])
                found[f"{part}_energy_over_{baseline}"] = mean([new.energy_pj / old.energy_pj for new, old in rows])
        for name in CONFIGURATIONS:
            rows = [row for row in self.attention if row.configuration == name]
            found[f"util_2d_{name}"] = mean([row.util_2d for row in rows])
            found[f"util_1d_{name}"] = mean([row.util_1d for row in rows])
        return found

    def _pairs(self, baseline: str) -> "list[tuple[_Figures, _Figures]]":
        """Return FuseMax's row and the baseline's for every model and length."""
        rows = {(row.configuration, row.model, row.seq): row for row in self.attention}
        keys = [(row.model, row.seq) for row in self.attention if row.configuration == "binding"]
        return [(_Figures.of(rows["binding", *key], 16), _Figures.of(rows[baseline, *key], 32)) for key in keys]

    def _with_linear(self, new: "_Figures", old: "_Figures") -> "tuple[_Figures, _Figures]":
        rows = {(row.capacity_mib, row.model, row.seq): row for row in self.linear}
        return new.plus(rows[new.key]), old.plus(rows[old.key])

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as plain values."""
        return {
            "attention": [asdict(row) for row in self.attention],
            "linear": [asdict(row) for row in self.linear],
            "averages": self.averages(),
            "averages_geometric": self.averages(geometric_mean),
            "areas_um2": {name: dict(parts) for name, parts in self.areas.items()},
            "quirks": [asdict(quirk) | {"on": quirk.name in self.options} for quirk in QUIRKS.values()],
            "refinements": [{"name": name, "on": name in self.options} for name in REFINEMENTS],
        }


@dataclass(frozen=True, slots=True)
class _Figures:
    key: tuple[int, str, str]
    latency_s: float
    energy_pj: float

    @classmethod
    def of(cls, row: AttentionRow, capacity_mib: int) -> "_Figures":
        return cls((capacity_mib, row.model, row.seq), row.latency_s, row.energy_pj)

    def plus(self, row: LinearRow) -> "_Figures":
        return _Figures(self.key, self.latency_s + row.latency_s, self.energy_pj + row.energy_pj)


def reproduce_fusemax(options: Iterable[str] = tuple(QUIRKS)) -> Evaluation:
    """Regenerate the published evaluation of FuseMax.

    Parameters
    ----------
    options
        The quirks of its accounting that are on, and the refinements: all quirks, as published, unless told.

    Raises
    ------
    ValueError
        A name is not known.

    """
    on = frozenset(options)
    if unknown := sorted(on - QUIRKS.keys() - REFINEMENTS.keys()):
        raise ValueError(f"an option must be one of {', '.join((*QUIRKS, *REFINEMENTS))}, not {unknown[0]!r}")
    rows = tuple(
        evaluate(machine_of(name, on), workload)
        for name, evaluate in _CONFIGURATIONS.values()
        for workload in workloads()
    )
    linears = tuple(linear(machine_of(name, on), workload) for name in _MACHINES for workload in workloads())
    return Evaluation(rows, linears, {name: _areas(machine_of(name, on)) for name in _MACHINES}, on)


def _areas(machine: PublishedMachine) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in area(machine.architecture).parts:
        kind = "registers" if part.kind == "registers" else "units"
        if part.each_um2 is not None:
            name = f"{part.owner} {kind}"
            found[name] = found.get(name, 0.0) + part.total_um2
    return found


@dataclass(frozen=True, slots=True)
class Effect:
    """What an audit changes.

    Parameters
    ----------
    what
        A quirk that is off, a refinement that is on, or several.
    averages
        The arithmetic averages then.
    register_share
        Share of register files in the area of FuseMax's 2D array.
    cascade_over_flat
        Arithmetic average of +Cascade's speedup over FLAT.

    """

    what: str
    averages: Mapping[str, float]
    register_share: float
    cascade_over_flat: float


def effects() -> tuple[Effect, ...]:
    """Return the effect of every quirk and refinement alone, and of all together."""
    cases = {"as published": frozenset(QUIRKS)}
    cases |= {f"{name} off": frozenset(QUIRKS) - {name} for name in QUIRKS}
    cases |= {"all quirks off": frozenset()}
    cases |= {f"{name} on": frozenset(QUIRKS) | {name} for name in REFINEMENTS}
    cases |= {"all of this": frozenset(REFINEMENTS)}
    return tuple(_effect(what, reproduce_fusemax(options)) for what, options in cases.items())


def _effect(what: str, evaluation: Evaluation) -> Effect:
    parts = evaluation.areas["fusemax-cloud"]
    registers, units = parts["2d registers"], parts["2d units"]
    flat_rows, cascade_rows = ([r for r in evaluation.attention if r.configuration == c] for c in ("flat", "cascade"))
    ratios = [old.latency_s / new.latency_s for old, new in zip(flat_rows, cascade_rows, strict=True)]
    return Effect(what, evaluation.averages(), registers / (registers + units), fmean(ratios))
