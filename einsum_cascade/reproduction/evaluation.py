"""All rows of the evaluation, their averages, and what each quirk does to the headlines."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import fmean, geometric_mean
from typing import Any

from einsum_cascade.reproduction.baselines import flat, unfused
from einsum_cascade.reproduction.fused import architecture, binding, cascade
from einsum_cascade.reproduction.linear import LinearRow, linear
from einsum_cascade.reproduction.machine import Machine, Row, machine_of
from einsum_cascade.reproduction.published import QUIRKS
from einsum_cascade.reproduction.workloads import Workload, workloads

__all__ = ["CONFIGURATIONS", "Effect", "Evaluation", "effects", "reproduce_fusemax"]

type _Evaluate = Callable[[Machine, Workload], Row]
type _Mean = Callable[[Iterable[float]], float]

_CONFIGURATIONS: dict[str, tuple[str, _Evaluate]] = {
    "unfused": ("flat-cloud", unfused),
    "flat": ("flat-cloud", flat),
    "cascade": ("flat-cloud", cascade),
    "architecture": ("fusemax-cloud", architecture),
    "binding": ("fusemax-cloud", binding),
}

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
    quirks
        The quirks that are on.

    """

    attention: tuple[Row, ...]
    linear: tuple[LinearRow, ...]
    quirks: frozenset[str]

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
        return [tuple(_Figures.of(rows[name, *key], 16 if name == "binding" else 32) for name in ("binding", baseline)) for key in keys]  # type: ignore[misc]

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
            "quirks": [
                {"name": quirk.name, "number": quirk.number, "on": quirk.name in self.quirks} for quirk in QUIRKS.values()
            ],
        }


@dataclass(frozen=True, slots=True)
class _Figures:
    key: tuple[int, str, str]
    latency_s: float
    energy_pj: float

    @classmethod
    def of(cls, row: Row, capacity_mib: int) -> "_Figures":
        return cls((capacity_mib, row.model, row.seq), row.latency_s, row.energy_pj)

    def plus(self, row: LinearRow) -> "_Figures":
        return _Figures(self.key, self.latency_s + row.latency_s, self.energy_pj + row.energy_pj)


def reproduce_fusemax(quirks: Iterable[str] = tuple(QUIRKS)) -> Evaluation:
    """Regenerate the published evaluation of FuseMax.

    Parameters
    ----------
    quirks
        The quirks of its accounting that are on: all, as published, unless told.

    Raises
    ------
    ValueError
        A quirk is not known.

    """
    on = frozenset(quirks)
    if unknown := sorted(on - QUIRKS.keys()):
        raise ValueError(f"a quirk must be one of {', '.join(QUIRKS)}, not {unknown[0]!r}")
    rows = tuple(
        evaluate(machine_of(name, on), workload)
        for name, evaluate in _CONFIGURATIONS.values()
        for workload in workloads()
    )
    linears = tuple(
        linear(machine_of(name, on), workload) for name in ("flat-cloud", "fusemax-cloud") for workload in workloads()
    )
    return Evaluation(rows, linears, on)


@dataclass(frozen=True, slots=True)
class Effect:
    """What switching quirks off does.

    Parameters
    ----------
    off
        The quirks that are off.
    averages
        The arithmetic averages then.

    """

    off: tuple[str, ...]
    averages: Mapping[str, float]


def effects() -> tuple[Effect, ...]:
    """Return the effect of every quirk alone, and of all together."""
    cases = [(), *((name,) for name in QUIRKS), tuple(QUIRKS)]
    return tuple(Effect(off, reproduce_fusemax(QUIRKS.keys() - set(off)).averages()) for off in cases)
