"""The report of `reproduce`: a published evaluation, regenerated, and what its quirks do."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import geometric_mean
from typing import ClassVar

from einsum_cascade.reproduction import HEADLINES, QUIRKS, REFINEMENTS, Effect, Evaluation
from einsum_cascade.reproduction.evaluation import AttentionRow, LinearRow
from einsum_cascade.study.report import Report
from einsum_cascade.study.tables import Figure, Note, Table

__all__ = ["Accounting", "EvaluationReport", "report_of_evaluation"]


@dataclass(frozen=True, slots=True)
class Accounting:
    """A quirk of the published accounting, or something that an audit charges too, and whether it is on.

    Parameters
    ----------
    number, name
        The quirk; 0 for a refinement.
    published, audited
        What is done if it is on, and else.
    on
        Whether it is.

    """

    number: int
    name: str
    published: str
    audited: str
    on: bool


@dataclass(frozen=True, repr=False)
class EvaluationReport(Report):
    """A published evaluation, regenerated.

    Parameters
    ----------
    attention, linear
        Rows of the figures: configurations, models and lengths.
    averages, averages_geometric
        Of the ratios over all rows.
    published
        What the paper has for them.
    areas_um2
        By configuration and part.
    quirks, refinements
        How it is accounted.
    effects
        What each quirk does, if asked for.

    """

    kind: ClassVar[str] = "evaluation"

    attention: tuple[AttentionRow, ...]
    linear: tuple[LinearRow, ...]
    averages: Mapping[str, float]
    averages_geometric: Mapping[str, float]
    published: Mapping[str, float]
    areas_um2: Mapping[str, Mapping[str, float]]
    quirks: tuple[Accounting, ...]
    refinements: tuple[Accounting, ...]
    effects: tuple[Effect, ...] = ()

    @property
    def headline(self) -> str:
        """The averages."""
        return ", ".join(f"{name} {value:.4f}" for name, value in self.averages.items())

    def parts(self) -> tuple[Table | Note, ...]:
        """Return all rows, the averages beside the published ones, and what quirks do."""
        effects = (_effects(self.effects),) if self.effects else ()
        return (_attention(self.attention), _linear(self.linear), self.headlines, self._accounting(), *effects)

    @property
    def headlines(self) -> Table:
        """FuseMax against the baselines: our averages, the published ones, and the deviation."""
        rows = (
            (
                name.replace("end_to_end", "end-to-end").replace("_", " "),
                self.averages[name],
                published,
                f"{100 * (self.averages[name] / published - 1):+.2f} %",
                self.averages_geometric[name],
            )
            for name, published in self.published.items()
        )
        title = "FuseMax against its baselines: means over 24 rows"
        return Table("averages", title, ("", "mean", "published", "off by", "geometric"), tuple(rows))

    def _accounting(self) -> Table:
        return Table("accounting", "how it is accounted", ("", "quirk", "what is done"), tuple(self._accounts()))

    def _accounts(self) -> Iterator[tuple[str, str, str]]:
        for quirk in self.quirks:
            yield str(quirk.number), quirk.name, quirk.published if quirk.on else f"OFF: {quirk.audited}"
        for own in self.refinements:
            if own.on:
                yield "", own.name, f"ON: {own.audited}"


def report_of_evaluation(evaluation: Evaluation, effects: tuple[Effect, ...] = ()) -> EvaluationReport:
    """Return the report of an evaluation, with what each quirk does if that is given."""
    options = evaluation.options
    return EvaluationReport(
        tuple(evaluation.attention),
        tuple(evaluation.linear),
        evaluation.averages(),
        evaluation.averages(geometric_mean),
        HEADLINES,
        evaluation.areas,
        tuple(Accounting(q.number, q.name, q.published, q.audited, q.name in options) for q in QUIRKS.values()),
        tuple(Accounting(0, name, "", what, name in options) for name, what in REFINEMENTS.items()),
        effects,
    )


def _attention(rows: tuple[AttentionRow, ...]) -> Table:
    headers = ("configuration", "model", "length", "DRAM", "latency", "energy", "2D use", "1D use")
    cells = (
        (
            row.configuration,
            row.model,
            row.seq,
            Figure(row.traffic_bytes, "B"),
            Figure(row.latency_s, "s"),
            Figure(row.energy_pj, "pJ"),
            Figure(row.util_2d, "%"),
            Figure(row.util_1d, "%"),
        )
        for row in rows
    )
    return Table("attention", "attention", headers, tuple(cells))


def _linear(rows: tuple[LinearRow, ...]) -> Table:
    headers = ("buffer", "model", "length", "DRAM", "latency", "energy")
    cells = (
        (
            f"{row.capacity_mib} MiB",
            row.model,
            row.seq,
            Figure(row.traffic_bytes, "B"),
            Figure(row.latency_s, "s"),
            Figure(row.energy_pj, "pJ"),
        )
        for row in rows
    )
    return Table("linear", "linear layers", headers, tuple(cells))


def _effects(effects: tuple[Effect, ...]) -> Table:
    names = [f"{part}_{what}_over_flat" for part in ("attention", "end_to_end") for what in ("speedup", "energy")]
    headers = (
        "accounting",
        "speedup attn",
        "energy attn",
        "speedup whole",
        "energy whole",
        "speedup +Casc.",
        "2D area in RF",
    )
    rows = (
        (
            effect.what,
            *(effect.averages[name] for name in names),
            effect.cascade_over_flat,
            Figure(effect.register_share, "%"),
        )
        for effect in effects
    )
    return Table("effects", "what each quirk does: FuseMax over FLAT, arithmetic means", headers, tuple(rows))
