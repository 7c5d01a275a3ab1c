"""Programs of small arrays, drawn at random or told, and operands for them."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from einsum_cascade import parse, zoo
from einsum_cascade.arch.fusemax import contexts_for
from einsum_cascade.array.memory import memory_bytes, rounded
from einsum_cascade.array.numbers import Numbers
from einsum_cascade.array.program import STATE_WORDS, Layout, Program
from einsum_cascade.array.program_rules import check_program
from einsum_cascade.array.shape import ArrayShape
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.formats import parse_format
from einsum_cascade.lowering.lowered import Extents, Lowered, lower_program
from einsum_cascade.recognition.head_masks import Band
from einsum_cascade.recognition.works import ArrayWork, recognise

__all__ = [
    "NUMBERS",
    "PRODUCT",
    "SOFTMAX",
    "as_operands",
    "in_blocks",
    "lowered",
    "mistakes",
    "random_lowered",
    "random_tensors",
    "square",
    "work_of",
]

PRODUCT = "rank M, N, K\ninput A[m:M, k:K], B[k:K, n:N]\nZ[m, n] = A[m, k] * B[k, n]\noutput Z"

SOFTMAX = """
rank E, M, P
input Q[e:E, p:P], K[e:E, m:M]
QK[m, p] = sum[e](Q[e, p] * K[e, m])
GM[p] = max[m](QK[m, p])
SN[m, p] = exp(QK[m, p] - GM[p])
SD[p] = sum[m](SN[m, p])
A[m, p] = SN[m, p] / SD[p]
output A
"""

_BF16, _FP16, _E4M3, _E5M2, _FP32, _TF32 = map(parse_format, ("bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "fp32", "e8m10"))
NUMBERS = (
    Numbers(),
    Numbers(multiplier="mixed"),
    Numbers(multiplier="wide"),
    Numbers(score=_FP32, multiplier="wide"),
    Numbers(score=_FP32, multiplier="mixed"),
    Numbers(_FP32, _FP32, "wide"),
    Numbers(_FP16, _FP16),
    Numbers(_FP16, _BF16, "mixed"),
    Numbers(_E4M3, _BF16),
    Numbers(_E4M3, _E4M3, "mixed"),
    Numbers(_E5M2, _E5M2),
    Numbers(accumulation=_BF16),
    Numbers(score=_FP32, multiplier="wide", accumulation=_TF32),
    Numbers(_FP16, _FP16, accumulation=_FP16),
    Numbers(_E4M3, _BF16, "mixed", _FP16),
)
"""Every format, every multiplier, and every way to accumulate, at least once."""


_FEATURES = """
rank E, F, M, P
input Q[e:E, p:P], K[e:E, m:M], V[f:F, m:M], Z[m:M]
QK[m, p] = sum[e](Q[e, p] * K[e, m])
S[m, p] = relu(QK[m, p]) + exp(min(QK[m, p], 0))
N[f, p] = S[m, p] * V[f, m]
"""
_FEATURE_KERNELS = {
    "feature product": "output N",
    "feature sums": "D[p] = sum[m](S[m, p])\noutput N, D",
    "feature attention": "D[p] = sum[m](S[m, p])\nA[f, p] = N[f, p] / D[p]\noutput A",
    "linear attention": "D[p] = S[m, p] * Z[m]\nA[f, p] = N[f, p] / D[p]\noutput A",
}

_CASCADES = {
    "attention": zoo.load("attention-1pass"),
    "two-pass attention": zoo.load("attention-deferred"),
    "softmax": parse(SOFTMAX),
    "sigmoid attention": zoo.load("attention-sigmoid"),
    "product": parse(PRODUCT),
    **{name: parse(_FEATURES + rest) for name, rest in _FEATURE_KERNELS.items()},
}


@cache
def work_of(kernel: str) -> ArrayWork:
    return recognise(_CASCADES[kernel])


def square(n: int, *, e: int = 64, f: int = 64, **others: Any) -> ArrayShape:
    """An array with as many contexts as FuseMax's interval needs, and one more for the lengths of its slots."""
    contexts = contexts_for(n, e=e, f=f, stages=others.get("stages", 1)) + 1
    sizes = {"contexts": contexts, "queue": contexts, "product_steps": e, "output_steps": max(f, n), **others}
    return ArrayShape(n, n, **{"kernel_rows": 4096, **sizes})


def lowered(
    shape: ArrayShape,
    kernel: str = "attention",
    *,
    e: int = 64,
    f: int = 64,
    keys: int = 64,
    queries: int = 64,
    heads: tuple[int, int] = (1, 1),
    band: Band | None = None,
    leaves_statistics: bool = False,
) -> Lowered:
    work = work_of(kernel)
    if leaves_statistics:
        work = replace(work, statistics={"sum": work.output})
    outputs = shape.rows if work.value is None else f + (work.sums is not None)
    scaling = (0.25, -1.5) if kernel == "sigmoid attention" else ()
    extents = Extents(e, outputs, keys, queries, *heads, band or Band(), *scaling)
    return lower_program(work, extents, shape)


def random_lowered(random: np.random.Generator, most: int = 6) -> Lowered:
    """A program for any kernel, array, mask, grouping and format; few tiles."""
    n, stages, e, f = (int(random.integers(low, high + 1)) for low, high in ((2, most), (1, 8), (1, 9), (1, 9)))
    numbers = NUMBERS[random.integers(len(NUMBERS))]
    shape = square(n, e=e, f=f, stages=stages, numbers=numbers, slots=int(random.choice([16, 64])))
    keys, queries = (int(x) for x in random.integers(1, 3 * n + 2, 2))
    heads = (int(random.integers(1, 3)), int(random.integers(1, 3)))
    kernel = str(random.choice([*_CASCADES], p=[0.32, *4 * [0.12], *4 * [0.05]]))
    if kernel in _FEATURE_KERNELS:
        shape = replace(shape, numbers=replace(numbers, has_feature_map=True), output_steps=max(f + 1, n))
    if kernel == "sigmoid attention":
        formats = (_FP32, _FP32) if random.random() < 0.5 else (_BF16, _BF16)
        own = Numbers(*formats, "wide", numbers.accumulation, has_sigmoid=True)
        shape = replace(shape, numbers=own)
    band = _random_band(random, keys, queries)
    has_more = bool(work_of(kernel).kernel.statistics) and random.random() < 0.4
    sizes = {"e": e, "f": f, "keys": keys, "queries": queries}
    found = lowered(shape, kernel, **sizes, heads=heads, band=band, leaves_statistics=has_more)
    if found.program.has_maxima:
        scale = float(random.choice([1.0, 1 / np.sqrt(e), np.exp2(random.uniform(-6, 3)), random.uniform(0.05, 2)]))
        found = replace(found, program=replace(found.program, scale=scale))
    in_parts = in_blocks(found.program, int(random.integers(1, 4)))
    if random.random() < 0.5 and not mistakes(in_parts):
        found = replace(found, program=in_parts)
    if random.random() < 0.3 and not found.program.has_statistics:
        found = replace(found, program=as_operands(found.program, saturates=random.random() < 0.5))
    return found


def as_operands(program: Program, *, saturates: bool = False) -> Program:
    """The same program, whose results leave as operands of others."""
    stride = program.shape.beats_of(program.head_rows) * program.shape.beat_bytes
    output = Layout(memory_bytes(program), stride, program.queries * stride)
    return replace(program, output=output, has_operand_rows=True, saturates=saturates)


def in_blocks(program: Program, tiles: int) -> Program:
    """The same program over blocks of so many key tiles; whether that can be is a question to the checker."""
    stride = program.query_tiles * program.shape.result_bytes
    state = Layout(memory_bytes(program), stride, (program.output_steps + STATE_WORDS) * stride)
    return replace(program, block_tiles=tiles, is_resident=True, state=state)


def mistakes(program: Program) -> tuple[str, ...]:
    """What the checker says of a program."""
    try:
        check_program(program)
    except IllegalMappingError as error:
        return tuple(error.violations)
    return ()


def _random_band(random: np.random.Generator, keys: int, queries: int) -> Band:
    """Any of no mask, causal, window, and bounds that mask whole queries."""
    low, high = (int(x) for x in np.sort(random.integers(-queries - 2, keys + 3, 2)))
    choices = Band(), Band(high=0), Band(low=min(low, 0), high=0), Band(high=high), Band(low=low), Band(low, high)
    return choices[random.integers(len(choices))]


def random_tensors(random: np.random.Generator, program: Program, scale: float = 1.0) -> dict[str, Any]:
    """Normally distributed operands, rounded to the array's format."""
    heads, steps = program.key_heads * program.group, program.product_steps
    shapes = {"query": (heads, program.queries, steps), "key": (program.key_heads, program.keys, steps)}
    if program.value is not None:
        shapes["value"] = (program.key_heads, program.keys, program.value_steps)
    form = program.shape.numbers.operand
    return {name: rounded(scale * random.standard_normal(shape), form) for name, shape in shapes.items()}
