"""Bounds of the errors of an array, against what its model makes of random programs and float64 of their operands."""

import numpy as np
from array_programs import random_lowered, random_tensors
from random_counts import random_count

from einsum_cascade.array.instruction import MatrixOp, VectorOp
from einsum_cascade.array.program import Program
from einsum_cascade.sim.error_bounds import error_bounds
from einsum_cascade.sim.program_values import evaluate_program, operands_of

SUMS = VectorOp.DENOMINATOR, VectorOp.ADD_DENOMINATOR


def exact(program: Program, tensors: dict[str, np.ndarray]) -> np.ndarray:
    """Return the results of a program in float64, (H, F, P), statistics behind them, or (H, M, P)."""
    return np.stack([exact_head(program, tensors, head) for head in range(program.key_heads * program.group)])


def exact_head(program: Program, tensors: dict[str, np.ndarray], head: int) -> np.ndarray:
    own = head // program.group
    scores = tensors["key"][own].astype(float) @ tensors["query"][head].astype(float).T
    m, p = np.indices(scores.shape)
    kept = np.ones(scores.shape, bool)
    if program.diagonal_high is not None:
        kept &= m <= p + program.diagonal_high
    if program.diagonal_low is not None:
        kept &= m >= p + program.diagonal_low
    slots = [row.matrix.index for row in program.kernel if row.matrix.op == MatrixOp.EXPONENTIAL]
    if not slots:
        return np.where(kept, scores, 0)
    kind = program.shape.numbers.steps[min(slots)].kind
    if min(slots) <= 1:
        weights = np.exp(program.scale * (scores - np.where(kept, scores, -np.inf).max(axis=0)))
    elif kind == "multiply":
        weights = 1 / (1 + np.exp(-(program.scale * scores + program.bias)))
    else:
        weights = np.maximum(scores, 0) + np.exp(np.minimum(scores, 0))
    weights = np.where(kept, weights, 0)
    values = tensors["value"][own].astype(float) if "value" in tensors else None
    found = weights if values is None else values[:, : program.output_steps].T @ weights
    if not program.is_divided:
        return found
    sums = next(row.matrix for row in program.kernel if row.vector.op in SUMS)
    is_weighted = sums.op == MatrixOp.COMBINE and values is not None
    total = values[:, sums.index] @ weights if is_weighted else weights.sum(axis=0)
    if not program.has_statistics:
        return found / total
    return np.concatenate((found / total, total[None], np.where(kept, scores, -np.inf).max(axis=0)[None]))


def operands(rng: np.random.Generator, program: Program, scale: float) -> dict[str, np.ndarray]:
    """Draw operands of the array's format, without the padding of tiles."""
    kept = {"query": program.queries, "key": program.keys, "value": program.keys}
    padded = operands_of(program, random_tensors(rng, program, scale))
    return {name: values[:, : kept[name]] for name, values in padded.items()}


def test_no_result_is_beyond_its_bound(seed: int) -> None:
    """Bounds hold for every kernel, format, mask and size; most are within a factor of 1000 of what is found."""
    shares: list[float] = []
    for number in range(random_count(1_000)):
        rng = np.random.default_rng([seed, number])
        program = random_lowered(rng).program
        tensors = operands(rng, program, float(rng.choice([0.3, 1, 3])))
        with np.errstate(all="ignore"):
            wanted = exact(program, tensors)
            found, bounds = evaluate_program(program, tensors).output, error_bounds(program, tensors)
            errors = np.abs(found - wanted[:, : found.shape[1]])
        known = np.isfinite(wanted[:, : found.shape[1]]) & np.isfinite(bounds)
        case = f"case {number} of seed {seed}: {program}"
        assert (errors[known] <= bounds[known]).all(), case
        if known.any() and bounds[known].max() > 0:
            shares.append(float(errors[known].max() / bounds[known].max()))
    assert np.median(shares) > 1e-3


def test_a_wrong_result_is_beyond_its_bound(seed: int) -> None:
    """Results of bf16 with two queries exchanged differ by more than formats explain."""
    caught = tried = 0
    for number in range(random_count(300)):
        rng = np.random.default_rng([seed, number])
        program = random_lowered(rng).program
        if program.queries < 2 or program.shape.numbers.accumulation.mantissa_bits < 23:
            continue
        tensors = operands(rng, program, 1.0)
        with np.errstate(all="ignore"):
            wanted, bounds = exact(program, tensors), error_bounds(program, tensors)
            wrong = evaluate_program(program, tensors).output[:, :, [1, 0, *range(2, program.queries)]]
            excess = np.abs(wrong - wanted[:, : wrong.shape[1]]) - bounds
            gap = np.abs(wanted[..., 0] - wanted[..., 1])[:, : wrong.shape[1]]
        known = np.isfinite(excess[..., 0]) & (gap > 0.5)
        tried += bool(known.any())
        caught += bool((excess[..., 0][known] > 0).any())
    assert caught > 0.7 * tried


def test_nothing_is_said_of_sums_that_may_overflow() -> None:
    """Scores of 10^76 are infinite in fp32."""
    rng = np.random.default_rng(0)
    while (program := random_lowered(rng).program).shape.numbers.operand.exponent_bits < 8:
        pass
    tensors = {name: np.copysign(1e38, values) for name, values in operands(rng, program, 1.0).items()}
    assert np.isinf(error_bounds(program, tensors)).all()
