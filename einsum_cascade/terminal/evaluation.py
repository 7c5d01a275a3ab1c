"""Draw a reproduced evaluation as tables in the terminal."""

from collections.abc import Iterable
from statistics import geometric_mean

from rich.console import Group, RenderableType

from einsum_cascade.reproduction import HEADLINES, QUIRKS, REFINEMENTS, Effect, Evaluation
from einsum_cascade.terminal.tables import new_table

__all__ = ["evaluation_tables", "headline_table"]


def evaluation_tables(evaluation: Evaluation, effects: Iterable[Effect]) -> RenderableType:
    """Return all rows, the averages beside the published ones, and what quirks do."""
    parts = [_attention(evaluation), _linear(evaluation), headline_table(evaluation), _options(evaluation)]
    changes = tuple(effects)
    return Group(*parts, *([_effects(changes)] if changes else []))


def headline_table(evaluation: Evaluation) -> RenderableType:
    """Return FuseMax against the baselines: our averages, the published ones, and the deviation."""
    table = new_table(
        "FuseMax against its baselines: means over 24 rows",
        *("", "mean", "published", "off by", "geometric"),
        right=("mean", "published", "off by", "geometric"),
    )
    ours, geometric = evaluation.averages(), evaluation.averages(geometric_mean)
    table.columns[0].no_wrap = True
    for name, published in HEADLINES.items():
        deviation = f"{100 * (ours[name] / published - 1):+.2f} %"
        what = name.replace("end_to_end", "end-to-end").replace("_", " ")
        table.add_row(what, f"{ours[name]:.4f}", f"{published:g}", deviation, f"{geometric[name]:.4f}")
    return table


def _attention(evaluation: Evaluation) -> RenderableType:
    columns = ("DRAM (B)", "latency (s)", "energy (pJ)", "2D use", "1D use")
    table = new_table("attention", "configuration", "model", "length", *columns, right=columns)
    for row in evaluation.attention:
        figures = (f"{row.traffic_bytes:.6g}", f"{row.latency_s:.6g}", f"{row.energy_pj:.6g}")
        table.add_row(row.configuration, row.model, row.seq, *figures, f"{row.util_2d:.4f}", f"{row.util_1d:.4f}")
    return table


def _linear(evaluation: Evaluation) -> RenderableType:
    columns = ("DRAM (B)", "latency (s)", "energy (pJ)")
    table = new_table("linear layers", "buffer", "model", "length", *columns, right=columns)
    for row in evaluation.linear:
        figures = (f"{row.traffic_bytes:.6g}", f"{row.latency_s:.6g}", f"{row.energy_pj:.6g}")
        table.add_row(f"{row.capacity_mib} MiB", row.model, row.seq, *figures)
    return table


def _options(evaluation: Evaluation) -> RenderableType:
    table = new_table("how it is accounted", "", "quirk", "")
    for quirk in QUIRKS.values():
        is_on = quirk.name in evaluation.options
        table.add_row(str(quirk.number), quirk.name, quirk.published if is_on else f"OFF: {quirk.audited}")
    for name, what in REFINEMENTS.items():
        if name in evaluation.options:
            table.add_row("", name, f"ON: {what}")
    return table


def _effects(effects: tuple[Effect, ...]) -> RenderableType:
    columns = ("speedup\nattn", "energy\nattn", "speedup\nwhole", "energy\nwhole")
    others = ("speedup\n+Casc.", "2D area\nin RF")
    title = "what each quirk does: FuseMax over FLAT, arithmetic means"
    table = new_table(title, "accounting", *columns, *others, right=(*columns, *others))
    table.columns[0].no_wrap = True
    names = [f"{part}_{what}_over_flat" for part in ("attention", "end_to_end") for what in ("speedup", "energy")]
    for effect in effects:
        figures = [f"{effect.averages[name]:.4f}" for name in names]
        table.add_row(effect.what, *figures, f"{effect.cascade_over_flat:.4f}", f"{100 * effect.register_share:.1f}%")
    return table
