"""Options that several commands share, and the studies that they describe.

Every command starts by importing this module, so what is heavy is imported where it is needed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from einsum_cascade.errors import UsageError

__all__ = ["ArrayChoices", "CascadeName", "CascadeOptions", "FormOptions", "MachineOptions", "PlanOptions"]

type CascadeName = Annotated[str, Parameter(help="A zoo name, a .cascade file, or file.py:name.")]


@Parameter(name="*")
@dataclass(frozen=True)
class CascadeOptions:
    """Extents, tensors and operators of a cascade."""

    settings: Annotated[
        list[str] | None,
        Parameter(
            name="--set",
            negative="",
            help="Extents, as RANK=NUMBER[,...], where 64K is 65536. 1K,4K..64K is a list with a range that doubles "
            "and gives a table. May be repeated.",
        ),
    ] = None
    inputs: Annotated[
        list[str] | None,
        Parameter(name="--input", negative="", help="Input tensors, as NAME=FILE.npy[,...]; may be repeated."),
    ] = None
    operators: Annotated[
        list[str] | None, Parameter(name="--operators", negative="", help="Python files that register operators.")
    ] = None

    def study(self, cascade: str, **options: Any) -> Any:
        """Return the study of a cascade at the extents, each of which is one number.

        Raises
        ------
        UsageError
            An extent is a list.

        """
        found = list(self.studies(cascade, **options))
        if len(found) > 1:
            lists = ", ".join(name for name, values in self.extents.items() if len(values) > 1)
            raise UsageError(f"--set must give one number for {lists} here; bounds, cost and compare take lists")
        return found[0]

    def studies(self, cascade: str, **options: Any) -> Iterator[Any]:
        """Yield the studies of a cascade at all combinations of the extents."""
        from einsum_cascade.study.door import study
        from einsum_cascade.terminal.arguments import load_cascade, load_inputs

        found, inputs, extents = (
            load_cascade(cascade, self.operators or ()),
            load_inputs(self.inputs or ()),
            self.extents,
        )
        for values in product(*extents.values()):
            own = dict(zip(extents, values, strict=True))
            yield study(found, inputs=inputs, extents=own, **options)

    @property
    def extents(self) -> Mapping[str, tuple[int, ...]]:
        """The extents that are set, by rank."""
        from einsum_cascade.terminal.arguments import parse_settings

        return parse_settings(self.settings or ())

    @property
    def is_list(self) -> bool:
        """Whether an extent is a list."""
        return any(len(values) > 1 for values in self.extents.values())


@Parameter(name="*")
@dataclass(frozen=True)
class MachineOptions:
    """Where a cascade runs."""

    architecture: Annotated[str, Parameter(name="--arch", help="A preset such as fusemax-cloud, or a .yaml file.")]
    mapping: Annotated[str | None, Parameter(name="--mapping", help="A preset such as binding, or a .yaml file.")] = (
        None
    )

    @property
    def named(self) -> dict[str, Any]:
        """The machine and the mapping."""
        return {"machine": self.architecture, "mapping": self.mapping}


@Parameter(name="*")
@dataclass(frozen=True)
class PlanOptions(MachineOptions):
    """Where a cascade runs, how large it is, and how often."""

    model: Annotated[str | None, Parameter(name="--model", help="BERT, TrXL, T5 or XLM.")] = None
    seq: Annotated[str | None, Parameter(name="--seq", help="Its length: 1K, 4K, 16K, 64K, 256K or 1M.")] = None
    repeat: Annotated[int | None, Parameter(name="--repeat", help="How often the cascade runs; heads of a model.")] = (
        None
    )
    multiply_add: Annotated[
        bool, Parameter(name="--multiply-add", negative="", help="Multiply products where they are added.")
    ] = False

    objective: Annotated[
        str, Parameter(name="--objective", help="What the mapping is chosen for: latency, energy, edp or traffic.")
    ] = "latency"

    @property
    def named(self) -> dict[str, Any]:
        """What `study` takes."""
        names = "mapping", "model", "seq", "repeat", "multiply_add", "objective"
        return {"machine": self.architecture, **{name: getattr(self, name) for name in names}}


@Parameter(name="*")
@dataclass(frozen=True)
class ArrayChoices:
    """How an array computes."""

    operands: Annotated[
        str, Parameter(help="Format of queries, keys and values: bf16, fp16, fp8_e4m3, fp8_e5m2, fp32.")
    ] = "bf16"
    scores: Annotated[
        str | None, Parameter(help="Format that exponentials are rounded to; like operands if not given.")
    ] = None
    multiplier: Annotated[
        Literal["narrow", "mixed", "wide"] | None,
        Parameter(name="--multiplier", help="Multiplier of a PE: operands, operands x 24 bits, 24 x 24 bits."),
    ] = None
    accumulation: Annotated[
        str, Parameter(help="Format that scores and sums down a column are rounded to: fp32, bf16, fp16, or as e8m10.")
    ] = "fp32"
    strict: Annotated[
        bool, Parameter(negative=(), help="Refuse a cascade of which the host would do a part, instead of doing it.")
    ] = False
    saturate: Annotated[
        bool,
        Parameter(negative=(), help="Make what is beyond the operand format its greatest number, not infinite or NaN."),
    ] = False

    def options(self, *, chain: bool = False) -> Any:
        """Return the options of a study."""
        from einsum_cascade.study.door import ArrayOptions

        return ArrayOptions(
            self.operands, self.scores, self.multiplier, self.accumulation, self.strict, self.saturate, chain
        )


@Parameter(name="*")
@dataclass(frozen=True)
class FormOptions:
    """What a report is printed as, and the files that get its tables."""

    as_json: Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")] = False
    csv: Annotated[Path | None, Parameter(name="--csv", help="File that gets the tables as CSV.")] = None
    latex: Annotated[Path | None, Parameter(name="--latex", help="File that gets the tables as LaTeX.")] = None
