"""The command line: `einsum-cascade COMMAND ...`.

Every command is a thin function: read arguments, call the library, print a table or JSON. Exit codes: 0 done; 1 the
answer is no; 2 the user's mistake; 3 a tool is missing or failed; 4 a mistake of ours.
"""

import gc
import json
import math
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from cyclopts import App, CycloptsError, Parameter

from einsum_cascade import __version__
from einsum_cascade.errors import (
    CascadeError,
    IllegalMappingError,
    InfeasibleMappingError,
    SourceError,
    ToolError,
    UsageError,
)

if TYPE_CHECKING:
    from einsum_cascade.cascade.ir import Cascade

__all__ = ["app", "main"]

app = App(
    name="einsum-cascade",
    version=__version__,
    help="From an attention algorithm's equations to what any implementation of it must do.",
)


class _AnswerIsNo(Exception):
    """The answer is no: all is printed, and the exit code is 1."""


type Settings = Annotated[
    list[str],
    Parameter(name="--set", negative="", help="Extents, as RANK=NUMBER[,...], where 64K is 65536; may be repeated."),
]
type Inputs = Annotated[
    list[str], Parameter(name="--input", negative="", help="Input tensors, as NAME=FILE.npy[,...]; may be repeated.")
]
type Operators = Annotated[
    list[str], Parameter(name="--operators", negative="", help="Python files that register operators.")
]
type AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
type CascadeName = Annotated[str, Parameter(help="A zoo name, a .cascade file, or file.py:name.")]


@app.command
def zoo(*, as_json: AsJson = False) -> None:
    """List the cascades that come with the package."""
    from einsum_cascade import zoo as library

    entries = library.entries()
    if as_json:
        _print_json([{"name": e.name, "title": e.title, "citation": e.citation} for e in entries])
        return
    from einsum_cascade.terminal.tables import print_all, zoo_table

    print_all(zoo_table((e.name, e.title, e.citation) for e in entries))


@app.command
def show(
    cascade: CascadeName,
    *,
    settings: Settings | None = None,
    inputs: Inputs | None = None,
    operators: Operators | None = None,
    notation: Annotated[Literal["text", "latex", "html"], Parameter(name="--format")] = "text",
    as_json: AsJson = False,
) -> None:
    """Print a cascade as text, LaTeX or HTML, and the extents that are known."""
    from einsum_cascade.cascade.html import to_html
    from einsum_cascade.cascade.latex import to_latex
    from einsum_cascade.cascade.text import to_text

    found = _load(cascade, operators)
    extents = _known(found, settings, inputs)
    if as_json:
        forms = {"text": to_text(found), "latex": to_latex(found), "html": to_html(found)}
        outputs = list(found.outputs)
        given = [tensor.name for tensor in found.inputs]
        _print_json({"cascade": found.name, "inputs": given, "outputs": outputs, "extents": extents} | forms)
        return
    print({"text": to_text, "latex": to_latex, "html": to_html}[notation](found))
    if extents:
        print("# extents: " + ", ".join(f"{rank} = {extent}" for rank, extent in extents.items()))


@app.command
def bounds(
    cascade: CascadeName,
    *,
    settings: Settings | None = None,
    inputs: Inputs | None = None,
    operators: Operators | None = None,
    capacity: Annotated[str | None, Parameter(help="On-chip capacity, such as 16MiB.")] = None,
    word_bytes: Annotated[int, Parameter(help="Bytes of a word.")] = 2,
    everything: Annotated[bool, Parameter(name="--all", negative="", help="Show computed tensors too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say how often any implementation must walk over each tensor, why, what it must hold, and what it must move."""
    from einsum_cascade.analysis.bounds import analyse, to_json, with_free_ranks
    from einsum_cascade.cascade.extents import known_extents
    from einsum_cascade.terminal.arguments import load_inputs
    from einsum_cascade.units import parse_bytes

    words = None
    if capacity is not None:
        try:
            words = parse_bytes(capacity) // _positive(word_bytes, "--word-bytes")
        except ValueError as error:
            raise UsageError(f"--capacity: {error}") from None
    found = _load(cascade, operators)
    given = load_inputs(inputs or ())
    extents = known_extents(found, _settings(settings), {name: array.shape for name, array in given.items()})
    free = frozenset(_settings(settings)) & frozenset(rank.name for rank in found.ranks if rank.extent is not None)
    report = to_json(analyse(with_free_ranks(found, free)).with_data(extents, given), extents, words)
    if as_json:
        _print_json(report)
        return
    from einsum_cascade.terminal.tables import bounds_tables, print_all

    given = {tensor.name for tensor in found.inputs}
    print(f"cascade {found.name}" + (f": {found.documentation.splitlines()[0]}" if found.documentation else ""))
    print_all(bounds_tables(_strict(report), lambda tensor: everything or tensor in given))


@app.command
def run(
    cascade: CascadeName,
    *,
    settings: Settings | None = None,
    inputs: Inputs | None = None,
    operators: Operators | None = None,
    seed: Annotated[int, Parameter(help="Seed of the inputs that are drawn at random.")] = 0,
    dtype: Annotated[
        str, Parameter(help="Number format: float64, float32, fp16, bf16, fp8_e4m3, e5m10, ...")
    ] = "float64",
    output: Annotated[Path | None, Parameter(help="Folder that gets one NAME.npy per output.")] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a cascade on given or random tensors."""
    from einsum_cascade.cascade.extents import resolve_extents
    from einsum_cascade.formats import parse_format
    from einsum_cascade.interpreter import evaluate, random_inputs
    from einsum_cascade.terminal.arguments import load_inputs

    try:
        form = parse_format(dtype)
    except ValueError as error:
        raise UsageError(f"--dtype: {error}") from None
    found = _load(cascade, operators)
    given = load_inputs(inputs or ())
    extents = resolve_extents(found, _settings(settings), {name: array.shape for name, array in given.items()})
    tensors = {**random_inputs(found, extents, _seed(seed), given), **given}
    results = evaluate(found, tensors, extents, dtype=form)
    files = _write(results, output)
    summary = {name: _summary(array) | files.get(name, {}) for name, array in results.items()}
    if as_json:
        drawn = [tensor.name for tensor in found.inputs if tensor.name not in given]
        head = {"cascade": found.name, "extents": extents, "dtype": dtype, "seed": seed, "random_inputs": drawn}
        _print_json(head | {"outputs": summary})
        return
    from einsum_cascade.terminal.tables import print_all, run_table, warnings_of

    print(f"cascade {found.name} in {dtype}, " + ", ".join(f"{rank} = {n}" for rank, n in extents.items()))
    print_all(run_table(summary), *warnings_of(summary))


ArchitectureName = Annotated[str, Parameter(name="--arch", help="A preset such as fusemax-cloud, or a .yaml file.")]
MappingName = Annotated[str | None, Parameter(name="--mapping", help="A preset such as binding, or a .yaml file.")]
ModelName = Annotated[str | None, Parameter(name="--model", help="BERT, TrXL, T5 or XLM.")]
Length = Annotated[str | None, Parameter(name="--seq", help="Its length: 1K, 4K, 16K, 64K, 256K or 1M.")]
Repeats = Annotated[int | None, Parameter(name="--repeat", help="How often the cascade runs; heads of a model.")]
Merged = Annotated[bool, Parameter(name="--multiply-add", negative="", help="Multiply products where they are added.")]


@app.command
def cost(
    cascade: CascadeName,
    *,
    architecture: ArchitectureName,
    mapping: MappingName = None,
    settings: Settings | None = None,
    model: ModelName = None,
    seq: Length = None,
    repeat: Repeats = None,
    operators: Operators | None = None,
    inputs: Inputs | None = None,
    is_merged: Merged = False,
    explain: Annotated[bool, Parameter(negative="", help="Print every number with its formula.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a cascade costs on an architecture: time, energy, traffic, utilisation, and what bounds it."""
    from einsum_cascade.study.comparison import figures_of
    from einsum_cascade.study.explain import formulas
    from einsum_cascade.terminal.arguments import load_inputs
    from einsum_cascade.terminal.cases import case_of, plan_of

    case = case_of(
        cascade,
        architecture,
        mapping,
        _settings(settings),
        (model, seq),
        _runs(repeat),
        is_merged=is_merged,
        operators=operators or (),
        inputs=load_inputs(inputs or ()),
    )
    plan = plan_of(case)
    figures = figures_of(case.workload, plan)
    rows = list(formulas(case.workload, plan)) if explain else []
    if as_json:
        _print_json(asdict(figures) | ({"formulas": list(map(asdict, rows))} if explain else {}))
    else:
        from einsum_cascade.terminal.costs import cost_table, formula_table
        from einsum_cascade.terminal.tables import print_all

        print_all(cost_table(figures), *([formula_table(rows, figures.parameters)] if explain else []))
    if figures.infeasible:
        raise _AnswerIsNo


@app.command
def compare(
    cascade: CascadeName,
    *,
    architecture: ArchitectureName,
    baseline: Annotated[
        str, Parameter(help="A published configuration: unfused, flat, cascade, architecture, binding.")
    ],
    mapping: MappingName = None,
    settings: Settings | None = None,
    model: ModelName = None,
    seq: Length = None,
    repeat: Repeats = None,
    is_merged: Merged = False,
    as_json: AsJson = False,
) -> None:
    """Compare a cascade on an architecture with a published baseline, side by side, and say what bounds either."""
    from einsum_cascade.reproduction.accounting import published_energies
    from einsum_cascade.study.comparison import figures_of, ratios
    from einsum_cascade.terminal.cases import baseline_case, case_of, plan_of

    case = case_of(
        cascade, architecture, mapping, _settings(settings), (model, seq), _runs(repeat), is_merged=is_merged
    )
    other = baseline_case(baseline, case)
    ours, theirs = (figures_of(found.workload, plan_of(found)) for found in (case, other))
    elsewhere = published_energies(ours.mapping, baseline, model, seq)
    if as_json:
        found = {"ours": asdict(ours), "baseline": asdict(theirs), "ratios": ratios(ours, theirs)}
        _print_json(found | {"energy_elsewhere": elsewhere})
    else:
        from einsum_cascade.terminal.costs import comparison_table
        from einsum_cascade.terminal.tables import print_all

        print_all(comparison_table(ours, theirs, elsewhere))
    if ours.infeasible or theirs.infeasible:
        raise _AnswerIsNo


@app.command
def schedule(
    cascade: CascadeName,
    *,
    architecture: ArchitectureName,
    mapping: MappingName = None,
    settings: Settings | None = None,
    model: ModelName = None,
    seq: Length = None,
    inputs: Inputs | None = None,
    is_merged: Merged = False,
    width: Annotated[int, Parameter(help="Columns of the drawing.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Schedule the tiles of a mapping: the interval, what bounds it and whether that is proved, and a drawing."""
    from einsum_cascade.terminal.arguments import load_inputs
    from einsum_cascade.terminal.cases import case_of, plan_of
    from einsum_cascade.terminal.schedules import schedule_report, schedule_text, schedules_of

    case = case_of(
        cascade,
        architecture,
        mapping,
        _settings(settings),
        (model, seq),
        None,
        is_merged=is_merged,
        inputs=load_inputs(inputs or ()),
    )
    plan = plan_of(case)
    found = schedules_of(case.workload, plan)
    if as_json:
        _print_json([schedule_report(each) for each in found])
    else:
        print("\n\n".join(schedule_text(each, width) for each in found))
    for reason in plan.infeasibilities:
        print(f"einsum-cascade: {plan.mapping.name} does not fit: {reason}", file=sys.stderr)
    if plan.infeasibilities:
        raise _AnswerIsNo


Operands = Annotated[str, Parameter(help="Format of queries, keys and values: bf16, fp16, fp8_e4m3, fp8_e5m2, fp32.")]
Scores = Annotated[str | None, Parameter(help="Format that exponentials are rounded to; like operands if not given.")]
Width = Annotated[
    Literal["narrow", "mixed", "wide"] | None,
    Parameter(name="--multiplier", help="Multiplier of a PE: operands, operands x 24 bits, 24 x 24 bits."),
]
Accumulation = Annotated[
    str, Parameter(help="Format that scores and sums down a column are rounded to: fp32, bf16, fp16, or as e8m10.")
]

Strict = Annotated[
    bool, Parameter(negative=(), help="Refuse a cascade of which the host would do a part, instead of doing it.")
]

Saturate = Annotated[
    bool,
    Parameter(negative=(), help="Make what is beyond the operand format its greatest number, not infinite or NaN."),
]


@app.command
def rtl(
    cascade: CascadeName,
    *,
    architecture: ArchitectureName,
    output: Annotated[Path, Parameter(help="Folder that gets the Verilog, register maps, a test bench and a driver.")],
    settings: Settings | None = None,
    inputs: Inputs | None = None,
    seed: Annotated[int, Parameter(help="Seed of the inputs that are drawn at random.")] = 0,
    operands: Operands = "bf16",
    scores: Scores = None,
    multiplier: Width = None,
    accumulation: Accumulation = "fp32",
    prefix: Annotated[str, Parameter(help="What the names of all modules begin with.")] = "",
    strict: Strict = False,
    saturate: Saturate = False,
    as_json: AsJson = False,
) -> None:
    """Write an array as Verilog, for an architecture and the schedule of a cascade."""
    from einsum_cascade.terminal.arguments import load_inputs
    from einsum_cascade.terminal.designs import drawn_inputs, host_lines, numbers_of, prepared_case, write_design

    numbers = numbers_of(operands, scores, multiplier, accumulation)
    given, start = load_inputs(inputs or ()), _seed(seed)
    sizes = _settings(settings)
    prepared, _ = prepared_case(cascade, architecture, sizes, given, numbers, is_strict=strict, saturates=saturate)
    files = write_design(prepared, architecture, output, prefix, drawn_inputs(prepared, given, start))
    shape, schedules = prepared.shape, {step.work.output.tensor: step.lowered.schedule for step in prepared.steps}
    intervals = [{"interval_cycles": float(each.interval), "proof": each.proof} for each in schedules.values()]
    if as_json:
        head = {"rows": shape.rows, "columns": shape.columns, "stages": shape.stages, "contexts": shape.contexts}
        host = [work.to_json() for work in prepared.host_works]
        _print_json(head | intervals[0] | {"steps": intervals, "host": host, "files": files})
        return
    print(f"{shape.rows} x {shape.columns} PEs, {shape.stages} stages, {shape.contexts} contexts")
    for name, each in schedules.items():
        of = f" of {name}" if len(schedules) > 1 else ""
        print(f"a tile{of} every {each.interval} cycles, proof: {each.proof}")
    for line in host_lines(prepared):
        print(line)
    for path in files.values():
        print(f"  {path}")


@app.command
def simulate(
    cascade: CascadeName,
    *,
    architecture: ArchitectureName,
    mapping: MappingName = None,
    settings: Settings | None = None,
    inputs: Inputs | None = None,
    output: Annotated[Path | None, Parameter(help="Folder that gets one NAME.npy per output.")] = None,
    seed: Annotated[int, Parameter(help="Seed of the inputs that are drawn at random.")] = 0,
    operands: Operands = "bf16",
    scores: Scores = None,
    multiplier: Width = None,
    accumulation: Accumulation = "fp32",
    memory_latency: Annotated[int, Parameter(help="Cycles from an address to data, beyond the least.")] = 0,
    memory_bandwidth: Annotated[float | None, Parameter(help="Bytes a cycle; a beat if not given.")] = None,
    backpressure: Annotated[int | None, Parameter(help="Seed of random pauses on the memory port.")] = None,
    wave: Annotated[Path | None, Parameter(help="File that gets the waveforms, .fst or .vcd.")] = None,
    strict: Strict = False,
    saturate: Saturate = False,
    chain: Annotated[
        bool,
        Parameter(
            negative="", help="Leave results that only programs read in memory, as operands: no host between them."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a cascade on an array in Verilator, beside the model, and compare them bit for bit and cycle for cycle."""
    from einsum_cascade.cosim.simulation import simulate as run_simulation
    from einsum_cascade.terminal.arguments import load_inputs
    from einsum_cascade.terminal.designs import numbers_of, prepared_case
    from einsum_cascade.terminal.simulations import check_wave, memory_of, simulation_table

    check_wave(wave)
    start = _seed(seed)
    # A folder that cannot be is told before anything runs.
    _write({}, output)
    given, numbers = load_inputs(inputs or ()), numbers_of(operands, scores, multiplier, accumulation)
    sizes = _settings(settings)
    prepared, tensors = prepared_case(
        *(cascade, architecture, sizes, given, numbers, mapping, start),
        is_strict=strict,
        saturates=saturate,
        is_chained=chain,
    )
    timing = memory_of(prepared, memory_latency, memory_bandwidth, backpressure)
    result = run_simulation(prepared, tensors, timing, wave)
    waves = [*dict.fromkeys(str(step.wave) for step in result.steps if step.wave)]
    files = _write(dict(result.outputs), output)
    if as_json:
        _print_json(result.to_json() | {"files": files} | ({"waves": waves} if wave else {}))
    else:
        from einsum_cascade.terminal.tables import print_all

        print_all(simulation_table(result))
        for written in (*(file["file"] for file in files.values()), *waves):
            print(f"  {written}")
    if not result.is_right:
        raise _AnswerIsNo


@app.command
def cache(
    *,
    clear: Annotated[bool, Parameter(negative="", help="Remove all of it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say where built designs are kept and what they take, or remove them."""
    from einsum_cascade.cosim import cache as kept

    folder, found = kept.cache_folder(), list(kept.kept())
    if clear:
        kept.clear()
    if as_json:
        kinds = {kind: {"entries": count, "bytes": size} for kind, count, size in found}
        _print_json({"folder": str(folder), "kinds": kinds, "is_cleared": clear})
        return
    print(f"{'removed from' if clear else 'kept in'} {folder}")
    for kind, count, size in found:
        print(f"  {kind}: {count:,}, {size / 1e6:,.1f} MB")


def _runs(repeat: int | None) -> int | None:
    return None if repeat is None else _positive(repeat, "--repeat")


@app.command
def reproduce(
    evaluation: Annotated[Literal["fusemax"], Parameter(help="The published evaluation.")],
    *,
    audited: Annotated[bool, Parameter(negative="", help="Switch every quirk off, and say what each does.")] = False,
    quirk: Annotated[
        list[str] | None, Parameter(negative="", help="A quirk as NAME=off or NAME=on; may be repeated.")
    ] = None,
    refine: Annotated[
        list[str] | None, Parameter(negative="", help="Something that an audit charges too; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Regenerate a published evaluation from its rules, and say what an honest accounting changes."""
    from einsum_cascade.reproduction import effects, reproduce_fusemax
    from einsum_cascade.terminal.arguments import parse_options

    found = reproduce_fusemax(parse_options(quirk or (), refine or (), is_audited=audited))
    changes = effects() if audited else ()
    if as_json:
        _print_json(found.to_json() | ({"effects": [asdict(effect) for effect in changes]} if audited else {}))
        return
    from einsum_cascade.terminal.evaluation import evaluation_tables
    from einsum_cascade.terminal.tables import print_all

    print_all(evaluation_tables(found, changes))


def _load(cascade: str, operators: Sequence[str] | None) -> "Cascade":
    from einsum_cascade.terminal.arguments import load_cascade

    return load_cascade(cascade, operators or ())


def _settings(settings: Sequence[str] | None) -> dict[str, int]:
    from einsum_cascade.terminal.arguments import parse_settings

    return parse_settings(settings or ())


def _known(cascade: "Cascade", settings: Sequence[str] | None, inputs: Sequence[str] | None) -> dict[str, int]:
    """Return the extents that the arguments determine; other ranks stay symbols."""
    from einsum_cascade.cascade.extents import known_extents
    from einsum_cascade.terminal.arguments import load_inputs

    given = load_inputs(inputs or ())
    return known_extents(cascade, _settings(settings), {name: array.shape for name, array in given.items()})


def _positive(value: int, option: str) -> int:
    if value < 1:
        raise UsageError(f"{option} must be at least 1, not {value}")
    return value


def _seed(value: int) -> int:
    if value < 0:
        raise UsageError(f"--seed must be at least 0, not {value}")
    return value


def _write(results: dict[str, Any], folder: Path | None) -> dict[str, dict[str, str]]:
    if folder is None:
        return {}
    import numpy as np

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in results.items():
            np.save(folder / f"{name}.npy", array)
    except OSError as error:
        raise UsageError(f"--output {str(folder)!r} must be a folder that can be written: {error.strerror}") from None
    return {name: {"file": str(folder / f"{name}.npy")} for name in results}


def _summary(array: Any) -> dict[str, Any]:
    import numpy as np

    values = np.asarray(array, dtype=np.float64)
    with np.errstate(all="ignore"):
        numbers = [float(f(values)) if values.size else None for f in (np.min, np.mean, np.max)]
    least, mean, greatest = numbers
    counts = {"inf": int(np.isinf(values).sum()), "nan": int(np.isnan(values).sum())}
    return {"shape": list(values.shape), "least": least, "mean": mean, "greatest": greatest} | counts


def _print_json(value: Any) -> None:
    """Print strict JSON: numbers that it does not know become strings."""
    for some in batched(json.JSONEncoder(indent=2).iterencode(_strict(value)), 10_000):
        sys.stdout.write("".join(some))  # of a long report, the text is longer than the values
    print()


def _strict(value: Any) -> Any:
    from einsum_cascade.units import has_many_digits, written

    match value:
        case dict():
            return {key: _strict(part) for key, part in cast(dict[str, Any], value).items()}
        case list():
            return [_strict(part) for part in cast(list[Any], value)]
        case float() if not math.isfinite(value):
            return str(value)
        case int() if has_many_digits(value):
            return written(value)
        case _:
            return value


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(100_000, 20, 20)  # a short process that keeps nearly all that it makes
    sys.exit(_guarded(lambda: app(arguments, exit_on_error=False, print_error=False)))


def _guarded(command: Callable[[], Any]) -> int:
    """Run a command and turn every error into one sentence on stderr and an exit code."""
    try:
        command()
        sys.stdout.flush()
    except _AnswerIsNo:
        return 1
    except InfeasibleMappingError as answer:
        print(f"einsum-cascade: {answer}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        _give_up_printing()
        return 0
    except KeyboardInterrupt:
        return 130
    except CycloptsError as error:
        print(f"einsum-cascade: {_one_line(str(error))}; see einsum-cascade --help", file=sys.stderr)
        return 2
    except (SourceError, IllegalMappingError) as error:
        is_placed = isinstance(error, SourceError) or error.is_placed
        print(error if is_placed else f"einsum-cascade: {error}", file=sys.stderr)
        return 2
    except CascadeError as error:
        print(f"einsum-cascade: {error}", file=sys.stderr)
        return 3 if isinstance(error, ToolError) else 2
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get((error.name or "").split(".")[0])
        if extra is None:
            return _told_unexpected(error)
        remedy = f"pip install 'einsum-cascade[{extra}]'"
        print(f"einsum-cascade: {error.name} must be installed: {remedy}", file=sys.stderr)
        return 3
    except OSError as error:
        where = error.filename or "what is printed"
        print(f"einsum-cascade: {where}: {error.strerror or error}", file=sys.stderr)
        _give_up_printing()
        return 2
    except (MemoryError, OverflowError) as error:
        print(f"einsum-cascade: the tensors must fit into memory, but do not: {_one_line(str(error))}", file=sys.stderr)
        return 2
    except RecursionError:
        print("einsum-cascade: an expression must not be nested this deeply; give parts of it names", file=sys.stderr)
        return 2
    except Exception as error:
        return _told_unexpected(error)
    return 0


_EXTRA_OF = {
    name: "hardware" for name in ("amaranth", "cocotb", "cocotb_tools", "cocotbext", "find_libpython", "verilator")
}
"""What a plain install lacks, by the module, and the extra that brings it."""


def _told_unexpected(error: Exception) -> int:
    """Say that something went wrong that is no mistake of the user, and where its traceback is."""
    with tempfile.NamedTemporaryFile("w", prefix="einsum-cascade-", suffix=".log", delete=False) as file:
        file.writelines(traceback.format_exception(error))
    kind, text = type(error).__name__, _one_line(str(error))
    said = f"{kind}: {text}" if text else kind
    print(f"einsum-cascade: this is a mistake of ours ({said}); please report it with {file.name}", file=sys.stderr)
    return 4


def _give_up_printing() -> None:
    """Let nothing that could not be printed be tried again at the end of the process."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
