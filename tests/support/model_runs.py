"""Run a prepared cascade in the model of the array alone, without RTL."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einsum_cascade.lowering.prepared import Judge, Prepared
from einsum_cascade.sim.program_values import Results, evaluate_program

__all__ = ["modelled"]


def modelled(
    prepared: Prepared,
    stored: Mapping[str, NDArray[Any]],
    judge: Judge | None = None,
    take: Callable[[Results], NDArray[np.float32]] = lambda results: results.output,
) -> dict[str, NDArray[Any]]:
    """Return the tensors that model and host make of inputs of the operand format; `take` says what of the results."""

    def execute(number: int, tensors: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        step = prepared.steps[number]
        return take(evaluate_program(step.lowered.program, step.operands(tensors)))

    return prepared.run(stored, execute, judge)
