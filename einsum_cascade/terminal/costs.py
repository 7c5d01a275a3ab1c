"""Draw costs, comparisons and schedules in the terminal."""

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from einsum_cascade.mapper.plain import PLAIN
from einsum_cascade.study.comparison import Figures, ratios
from einsum_cascade.study.explain import Formula
from einsum_cascade.terminal.tables import new_table

__all__ = ["comparison_table", "cost_table", "formula_table"]


def cost_table(figures: Figures) -> RenderableType:
    """Return the figures of one plan."""
    table = new_table(_title(figures, " "), "", "value", right=("value",))
    for name, value in _rows(figures).items():
        table.add_row(name, value)
    energy = new_table("energy", "part", "pJ", "share", right=("pJ", "share"))
    for name, value in sorted(figures.energy_pj_by_part.items(), key=lambda item: -item[1]):
        share = 100 * value / (figures.energy_pj or 1)
        energy.add_row(name, f"{value:.6g}{_mark(figures)}", f"{share:.1f} %{_mark(figures)}")
    left_out = [Text(f"not counted: energy of {what}") for what in figures.not_counted]
    return Group(table, energy, *left_out, *_notes(figures))


def comparison_table(ours: Figures, baseline: Figures, elsewhere: Mapping[str, float] | None = None) -> RenderableType:
    """Return two plans side by side, each ratio, what bounds either, and what other accountings say of the energy."""
    names = [_title(figures, "\n") for figures in (ours, baseline)]
    table = new_table("side by side", "", *names, "ratio", right=(*names, "ratio"))
    first, second, better = _rows(ours), _rows(baseline), _ratios(ours, baseline)
    for name in dict.fromkeys((*first, *second)):
        table.add_row(name, first.get(name, ""), second.get(name, ""), better.get(name, ""))
    return Group(table, *_notes(ours), *_notes(baseline), *_other_energies(ours, baseline, elsewhere or {}))


def _other_energies(ours: Figures, baseline: Figures, elsewhere: Mapping[str, float]) -> list[RenderableType]:
    """Say why the ratio of energies is not the one of the reproduction, where there is one."""
    if not elsewhere:
        return []
    here = ours.energy_pj / baseline.energy_pj
    return [
        Text(
            f"energy: {here:.3f} of the baseline's here, {elsewhere['published']:.3f} as published and "
            f"{elsewhere['audited']:.3f} audited (reproduce fusemax). Here registers are charged for what the mappings "
            "keep in PEs; as published, for one PE of each array, and audited, for three reads and writes at every "
            "step of every PE."
        )
    ]


def formula_table(rows: Iterable[Formula], parameters: Mapping[str, float]) -> RenderableType:
    """Return every number with its formula in extents, the numbers put in, and its value."""
    chosen = ", ".join(f"{name} = {value:g}" for name, value in parameters.items())
    title = "where every number comes from" + (f" ({chosen})" if chosen else "")
    table = new_table(title, "number", "formula", "in numbers", "value", right=("value",))
    for row in rows:
        table.add_row(row.number, row.formula, row.parts, f"{row.value:.6g}")
    return table


def _rows(figures: Figures) -> dict[str, str]:
    rows = {
        "latency (s)": f"{figures.latency_s:.6g}",
        "cycles, memory aside": f"{figures.cycles:,}",
        "energy (pJ)": f"{figures.energy_pj:.6g}",
        "DRAM (B)": f"{figures.traffic_bytes:.6g}",
    }
    rows |= {f"{name} use": f"{100 * share:.2f} %" for name, share in figures.utilisation.items()}
    rows |= {f"{name} need (B)": f"{amount:,}" for name, amount in figures.needs_bytes.items()}
    return {name: f"{value}{_mark(figures)}" for name, value in rows.items()}


def _title(figures: Figures, between: str) -> str:
    title = f"{figures.mapping}{between}on {figures.architecture}"
    return f"{title}: does not fit" if figures.infeasible else title


def _mark(figures: Figures) -> str:
    """Return what stands behind every figure of a plan that does not fit."""
    return " *" if figures.infeasible else ""


def _ratios(ours: Figures, baseline: Figures) -> dict[str, str]:
    better = ratios(ours, baseline)
    names = {"latency (s)": "speedup", "energy (pJ)": "energy", "DRAM (B)": "traffic"}
    found = {name: _times(better[key]) for name, key in names.items() if key in better}
    for name, share in ours.utilisation.items():
        if other := baseline.utilisation.get(name):
            found[f"{name} use"] = f"{share / other:.4g} x"
    for name, amount in ours.needs_bytes.items():
        if amount and (other := baseline.needs_bytes.get(name)):
            found[f"{name} need (B)"] = _times(other / amount)
    return found


def _times(ratio: float) -> str:
    """Return a ratio in words: how many times less it is than the baseline's, or more."""
    if ratio == 1:
        return "the same"
    return f"{ratio:.4g} x less" if ratio > 1 else f"{1 / ratio:.4g} x more"


def _notes(figures: Figures) -> list[RenderableType]:
    notes = [Text(f"{figures.mapping}: {figures.reason}")]
    if figures.mapping == PLAIN:
        notes.append(Text(f"mapping {PLAIN} is a default, Einsum after Einsum, not optimised"))
    if figures.infeasible:
        notes.append(Text(f"* figures of a machine on which {figures.mapping} fits; {figures.architecture} is none:"))
    return [*notes, *(Text(f"{figures.mapping} does not fit: {why}") for why in figures.infeasible)]
