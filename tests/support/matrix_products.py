"""Matrix products on arrays of any size, with the cycles that scalesim counts for them."""

from dataclasses import replace

import numpy as np

from einsum_cascade import load_architecture, parse
from einsum_cascade.cost.estimate import CostEstimate, estimate
from einsum_cascade.mapping.matrix_product import matrix_product
from einsum_cascade.mapping.workload import Workload

__all__ = ["TEXT", "cycles_of_scalesim", "estimated", "random_product", "systolic"]

TEXT = "rank M, N, K\ninput A[m:M, k:K], B[k:K, n:N]\nZ[m, n] = A[m, k] * B[k, n]\noutput Z"


def systolic(rows, columns):
    """The preset with an array of another shape."""
    preset = load_architecture("systolic")
    engines = tuple(
        replace(engine, rows=rows, columns=columns) if engine.name == "2d" else engine for engine in preset.engines
    )
    return replace(preset, engines=engines)


def estimated(rows: int, columns: int, stationary, extents) -> CostEstimate:
    workload, architecture = Workload(parse(TEXT)), systolic(rows, columns)
    mapping = matrix_product(workload.task["Z"], architecture.engine("2d"), stationary)
    return estimate(workload, architecture, mapping, extents)


def cycles_of_scalesim(rows, columns, stationary, extents):
    """scalesim 3.0.0 numbers cycles from 0 and tells the number of the last one."""
    m, n, k = (extents[name] for name in "MNK")
    match stationary:
        case "output":
            return -(-m // rows) * -(-n // columns) * (rows + columns + k - 2) - 1
        case "weights":
            return -(-k // rows) * -(-n // columns) * (2 * rows + columns + m - 2) - 1
        case "inputs":
            return -(-k // rows) * -(-m // columns) * (2 * rows + columns + n - 2) - 1


def random_product(rng: np.random.Generator, most_pes: int, most: int):
    """Rows, columns and extents, of which the array divides some by chance."""
    rows, columns = (int(x) for x in rng.integers(1, most_pes + 1, 2))
    return rows, columns, {name: int(rng.integers(1, most + 1)) for name in "MNK"}
