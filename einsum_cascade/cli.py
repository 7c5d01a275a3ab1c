"""The command line: `einsum-cascade COMMAND ...`.

Every command is a thin function: read arguments, call the library, print a table or JSON. Exit codes: 0 done; 1 the
answer is no; 2 the user's mistake; 3 a tool is missing or failed; 4 a mistake of ours.
"""

import gc
import math
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from einsum_cascade.errors import (
    CascadeError,
    IllegalMappingError,
    InfeasibleMappingError,
    SourceError,
    ToolError,
)
from einsum_cascade.terminal.bars import bars_on_terminal
from einsum_cascade.terminal.options import (
    ArrayChoices,
    CascadeName,
    CascadeOptions,
    FormOptions,
    MachineOptions,
    PlanOptions,
)
from einsum_cascade.version import __version__
from einsum_cascade.watching import tracked

if TYPE_CHECKING:
    from einsum_cascade.study.sweeps import What

__all__ = ["app", "main"]

app = App(
    name="einsum-cascade",
    version=__version__,
    help="From an attention algorithm's equations to what any implementation of it must do.",
)
app.register_install_completion_command(  # pyright: ignore[reportUnknownMemberType]
    help="Install completion of commands and options in your shell."
)

_NOTHING, _AS_IT_IS, _PLAIN = CascadeOptions(), ArrayChoices(), FormOptions()
"""Options where none are given."""


class _AnswerIsNo(Exception):
    """The answer is no: all is printed, and the exit code is 1."""


type AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]


def _example(*lines: str) -> str:
    """Return the end of a help page: commands that work as they stand."""
    return "\n".join(["Examples:", "", *(f"    {line}" for line in lines)])


def _listed(title: str, headers: tuple[str, ...], rows: Iterable[tuple[str, ...]], form: FormOptions) -> None:
    from einsum_cascade.study.lists import ListReport
    from einsum_cascade.terminal.printing import print_report

    print_report(ListReport(title, tuple(dict(zip(headers, row, strict=True)) for row in rows)), form)


@app.command(help_epilogue=_example("einsum-cascade zoo"))
def zoo(*, form: FormOptions = _PLAIN) -> None:
    """List the cascades that come with the package."""
    from einsum_cascade import zoo as library

    rows = ((entry.name, entry.title, entry.citation) for entry in library.entries())
    _listed("cascades", ("name", "title", "citation"), rows, form)


@app.command(help_epilogue=_example("einsum-cascade architectures"))
def architectures(*, form: FormOptions = _PLAIN) -> None:
    """List the architectures that come with the package."""
    from einsum_cascade.arch.presets import described

    _listed("architectures", ("name", "what it is"), described(), form)


@app.command(help_epilogue=_example("einsum-cascade mappings"))
def mappings(*, form: FormOptions = _PLAIN) -> None:
    """List the mappings that come with the package, and the cascades that they are for."""
    from einsum_cascade.mapping.presets import load_mapping, mapping_names

    found = map(load_mapping, mapping_names())
    _listed("mappings", ("name", "cascade"), ((each.name, each.cascade) for each in found), form)


@app.command(help_epilogue=_example("einsum-cascade show attention-1pass --set M=10,M0=4"))
def show(
    cascade: CascadeName,
    *,
    given: CascadeOptions = _NOTHING,
    notation: Annotated[Literal["text", "latex", "html"], Parameter(name="--format")] = "text",
    as_json: AsJson = False,
) -> None:
    """Print a cascade as text, LaTeX or HTML, and the extents that are known."""
    from einsum_cascade.cascade.extents import known_extents
    from einsum_cascade.cascade.html import to_html
    from einsum_cascade.cascade.latex import to_latex
    from einsum_cascade.cascade.text import to_text
    from einsum_cascade.terminal.printing import print_json

    study = given.study(cascade)
    found = study.cascade
    extents = known_extents(found, study.extents, {name: array.shape for name, array in study.inputs.items()})
    if as_json:
        forms = {"text": to_text(found), "latex": to_latex(found), "html": to_html(found)}
        outputs = list(found.outputs)
        inputs = [tensor.name for tensor in found.inputs]
        print_json({"cascade": found.name, "inputs": inputs, "outputs": outputs, "extents": extents} | forms)
        return
    print({"text": to_text, "latex": to_latex, "html": to_html}[notation](found))
    if extents:
        print("# extents: " + ", ".join(f"{rank} = {extent}" for rank, extent in extents.items()))


@app.command(
    help_epilogue=_example(
        "einsum-cascade bounds attention", "einsum-cascade bounds softmax --set M=1K,P=8 --capacity 64KiB"
    )
)
def bounds(
    cascade: CascadeName,
    *,
    given: CascadeOptions = _NOTHING,
    capacity: Annotated[str | None, Parameter(help="On-chip capacity, such as 16MiB.")] = None,
    word_bytes: Annotated[int, Parameter(help="Bytes of a word.")] = 2,
    everything: Annotated[bool, Parameter(name="--all", negative="", help="Show computed tensors too.")] = False,
    form: FormOptions = _PLAIN,
) -> None:
    """Say how often any implementation must walk over each tensor, why, what it must hold, and what it must move."""
    from einsum_cascade.terminal.printing import print_report

    options = {"capacity": capacity, "word_bytes": word_bytes}
    if given.is_list:
        _print_sweep(given, cascade, {}, "bounds", options, form)
        return
    report = given.study(cascade).bounds(**options)
    print_report(report, form, report if everything else report.of_inputs())


@app.command(
    help_epilogue=_example(
        "einsum-cascade run softmax --set M=8,P=2", "einsum-cascade run attention --set E=4,F=4,M=9,P=3 --dtype bf16"
    )
)
def run(
    cascade: CascadeName,
    *,
    given: CascadeOptions = _NOTHING,
    seed: Annotated[int, Parameter(help="Seed of the inputs that are drawn at random.")] = 0,
    dtype: Annotated[
        str, Parameter(help="Number format: float64, float32, fp16, bf16, fp8_e4m3, e5m10, ...")
    ] = "float64",
    output: Annotated[Path | None, Parameter(help="Folder that gets one NAME.npy per output.")] = None,
    form: FormOptions = _PLAIN,
) -> None:
    """Evaluate a cascade on given or random tensors."""
    from einsum_cascade.terminal.printing import print_report, write_tensors

    write_tensors({}, output)
    report = given.study(cascade).run(seed=seed, dtype=dtype)
    print_report(replace(report, files=write_tensors(report.tensors, output)), form)


@app.command(
    help_epilogue=_example(
        "einsum-cascade cost attention-1pass --arch fusemax-cloud --model BERT --seq 64K",
        "einsum-cascade cost attention-1pass --arch fusemax-8x8 --set E=64,F=64,P=256,M=1K..4K",
    )
)
def cost(
    cascade: CascadeName,
    *,
    plan: PlanOptions,
    given: CascadeOptions = _NOTHING,
    explain: Annotated[bool, Parameter(negative="", help="Print every number with its formula.")] = False,
    form: FormOptions = _PLAIN,
) -> None:
    """Say what a cascade costs on an architecture: time, energy, traffic, utilisation, and what bounds it."""
    from einsum_cascade.terminal.printing import print_report

    if given.is_list:
        _print_sweep(given, cascade, plan.named, "cost", {"explain": explain}, form)
        return
    report = given.study(cascade, **plan.named).cost(explain=explain)
    print_report(report, form)
    if report.infeasible:
        raise _AnswerIsNo


@app.command(
    help_epilogue=_example(
        "einsum-cascade compare attention-1pass --arch fusemax-cloud --baseline flat --model BERT --seq 64K"
    )
)
def compare(
    cascade: CascadeName,
    *,
    plan: PlanOptions,
    baseline: Annotated[
        str, Parameter(help="A published configuration: unfused, flat, cascade, architecture, binding.")
    ],
    given: CascadeOptions = _NOTHING,
    form: FormOptions = _PLAIN,
) -> None:
    """Compare a cascade on an architecture with a published baseline, side by side, and say what bounds either."""
    from einsum_cascade.terminal.printing import print_report

    if given.is_list:
        _print_sweep(given, cascade, plan.named, "comparison", {"baseline": baseline}, form)
        return
    report = given.study(cascade, **plan.named).compare(baseline)
    print_report(report, form)
    if report.infeasible:
        raise _AnswerIsNo


@app.command(
    help_epilogue=_example("einsum-cascade schedule attention-1pass --arch fusemax-8x8 --set E=64,F=64,M=256,P=64")
)
def schedule(
    cascade: CascadeName,
    *,
    plan: PlanOptions,
    given: CascadeOptions = _NOTHING,
    width: Annotated[int, Parameter(help="Columns of the drawing.")] = 100,
    form: FormOptions = _PLAIN,
) -> None:
    """Schedule the tiles of a mapping: the interval, what bounds it and whether that is proved, and a drawing."""
    from einsum_cascade.terminal.printing import print_report

    report = given.study(cascade, **plan.named).schedule(width=width)
    print_report(report, form)
    if report.infeasible:
        raise _AnswerIsNo


@app.command(
    help_epilogue=_example(
        "einsum-cascade rtl attention-1pass --arch fusemax-4x4 --set E=4,F=4,M=8,P=4 --output build/rtl"
    )
)
def rtl(
    cascade: CascadeName,
    *,
    machine: MachineOptions,
    output: Annotated[Path, Parameter(help="Folder that gets the Verilog, register maps, a test bench and a driver.")],
    given: CascadeOptions = _NOTHING,
    seed: Annotated[int, Parameter(help="Seed of the inputs that are drawn at random.")] = 0,
    choices: ArrayChoices = _AS_IT_IS,
    prefix: Annotated[str, Parameter(help="What the names of all modules begin with.")] = "",
    form: FormOptions = _PLAIN,
) -> None:
    """Write an array as Verilog, for an architecture and the schedule of a cascade."""
    from einsum_cascade.terminal.printing import print_report

    study = given.study(cascade, **machine.named)
    print_report(study.write_rtl(output, seed=seed, options=choices.options(), prefix=prefix), form)


@app.command(help_epilogue=_example("einsum-cascade simulate attention-1pass --arch fusemax-4x4 --set E=4,F=4,M=8,P=4"))
def simulate(
    cascade: CascadeName,
    *,
    machine: MachineOptions,
    given: CascadeOptions = _NOTHING,
    output: Annotated[Path | None, Parameter(help="Folder that gets one NAME.npy per output.")] = None,
    seed: Annotated[int, Parameter(help="Seed of the inputs that are drawn at random.")] = 0,
    choices: ArrayChoices = _AS_IT_IS,
    memory_latency: Annotated[int, Parameter(help="Cycles from an address to data, beyond the least.")] = 0,
    memory_bandwidth: Annotated[float | None, Parameter(help="Bytes a cycle; a beat if not given.")] = None,
    backpressure: Annotated[int | None, Parameter(help="Seed of random pauses on the memory port.")] = None,
    wave: Annotated[Path | None, Parameter(help="File that gets the waveforms, .fst or .vcd.")] = None,
    chain: Annotated[
        bool,
        Parameter(
            negative="", help="Leave results that only programs read in memory, as operands: no host between them."
        ),
    ] = False,
    form: FormOptions = _PLAIN,
) -> None:
    """Run a cascade on an array in Verilator, beside the model, and compare them bit for bit and cycle for cycle."""
    from einsum_cascade.terminal.printing import print_report, write_tensors

    # A folder that cannot be is told before anything runs.
    write_tensors({}, output)
    memory = {
        "memory_latency": memory_latency,
        "memory_bandwidth": memory_bandwidth,
        "backpressure": backpressure,
        "wave": wave,
    }
    study = given.study(cascade, **machine.named)
    report = study.simulate(seed=seed, options=choices.options(chain=chain), **memory)
    print_report(replace(report, files=write_tensors(report.tensors, output)), form)
    if not report.is_right:
        raise _AnswerIsNo


@app.command(help_epilogue=_example("einsum-cascade cache"))
def cache(
    *,
    clear: Annotated[bool, Parameter(negative="", help="Remove all of it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say where built designs are kept and what they take, or remove them."""
    from einsum_cascade.cosim import cache as kept
    from einsum_cascade.terminal.printing import print_json

    folder, found = kept.cache_folder(), list(kept.kept())
    if clear:
        kept.clear()
    if as_json:
        kinds = {kind: {"entries": count, "bytes": size} for kind, count, size in found}
        print_json({"folder": str(folder), "kinds": kinds, "is_cleared": clear})
        return
    print(f"{'removed from' if clear else 'kept in'} {folder}")
    for kind, count, size in found:
        print(f"  {kind}: {count:,}, {size / 1e6:,.1f} MB")


@app.command(help_epilogue=_example("einsum-cascade reproduce fusemax"))
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
    form: FormOptions = _PLAIN,
) -> None:
    """Regenerate a published evaluation from its rules, and say what an honest accounting changes."""
    from einsum_cascade.reproduction import effects, reproduce_fusemax
    from einsum_cascade.study.evaluations import report_of_evaluation
    from einsum_cascade.terminal.arguments import parse_options
    from einsum_cascade.terminal.printing import print_report

    found = reproduce_fusemax(parse_options(quirk or (), refine or (), is_audited=audited))
    print_report(report_of_evaluation(found, tuple(effects()) if audited else ()), form)


def _print_sweep(
    given: CascadeOptions,
    cascade: str,
    named: dict[str, Any],
    what: "What",
    options: dict[str, Any],
    form: FormOptions,
) -> None:
    """Print a table with a row for every combination of the extents that are set."""
    from einsum_cascade.study.sweeps import sweep
    from einsum_cascade.terminal.printing import print_report

    total = math.prod(len(values) for values in given.extents.values())
    report = sweep(tracked(given.studies(cascade, **named), what, total), what, options)
    print_report(report, form)
    if not report.is_feasible:
        raise _AnswerIsNo


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(100_000, 20, 20)  # a short process that keeps nearly all that it makes
    sys.exit(_guarded(lambda: _watched(arguments)))


def _watched(arguments: Sequence[str] | None) -> None:
    with bars_on_terminal():
        app(arguments, exit_on_error=False, print_error=False)


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
