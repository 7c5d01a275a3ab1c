"""Matrix products on systolic arrays: cycles against the closed forms of scalesim, accesses by hand."""

import re
from pathlib import Path

import numpy as np
import pytest
from matrix_products import TEXT, cycles_of_scalesim, estimated, random_product, systolic
from random_counts import random_count

from einsum_cascade import parse
from einsum_cascade.mapping.matrix_product import matrix_product
from einsum_cascade.mapping.workload import Workload

DATAFLOWS = ("output", "weights", "inputs")


@pytest.mark.parametrize(("stationary", "theirs"), [("output", 3039), ("weights", 3551), ("inputs", 3551)])
def test_128_cubed_on_32_by_32(stationary, theirs) -> None:
    """16 tiles of 128 cycles, and 32 + 32 - 2 = 62 each to fill and drain: 3040; or 94 with 32 to load: 3552.

    scalesim, run for real, tells the number of the last cycle, counted from 0.
    """
    found = estimated(32, 32, stationary, dict.fromkeys("MNK", 128))
    assert found.cycles - 1 == theirs
    assert found.busy_cycles("2d") == found.cycles


@pytest.mark.parametrize("stationary", DATAFLOWS)
def test_cycles_equal_the_closed_forms(stationary, seed: int) -> None:
    for number in range(random_count(500)):
        rng = np.random.default_rng([seed, 61, number])
        rows, columns, extents = random_product(rng, 40, 300)
        found = estimated(rows, columns, stationary, extents)
        expected = cycles_of_scalesim(rows, columns, stationary, extents)
        assert found.cycles - 1 == expected, f"case {number} of seed {seed}: {rows} x {columns}, {extents}"


# 5 x 6 x 7 (M, N, K) on 2 x 4: A has 35 elements, B 42, Z 30.
@pytest.mark.parametrize(
    ("stationary", "dram", "array"),
    [
        # All passes the buffer. A once, B for each of the 3 strips of rows; every PE keeps its sum until it is done.
        ("output", {"A": 35, "B": 3 * 42, "Z": 30}, {"Z": 30}),
        # B is loaded once; A is read for each of the 2 strips of columns.
        ("weights", {"A": 2 * 35, "B": 42, "Z": 30}, {"B": 42}),
        # The same with A loaded, and B read for each of the 2 strips of 4 rows of Z.
        ("inputs", {"A": 35, "B": 2 * 42, "Z": 30}, {"A": 35}),
    ],
)
def test_the_stationary_matrix_moves_once(stationary, dram, array) -> None:
    accesses = estimated(2, 4, stationary, {"M": 5, "N": 6, "K": 7}).accesses
    moved = {tensor: entry.read + entry.written for (level, tensor), entry in accesses.items() if level == "dram"}
    assert moved == dram
    kept = {tensor: entry for (level, tensor), entry in accesses.items() if level == "2d"}
    assert {tensor: max(entry.fills, entry.drains) for tensor, entry in kept.items()} == array


def test_partial_sums_come_back() -> None:
    """With weights in the array, Z is added to in the buffer once for each of the 4 strips of K, read 3 times."""
    accesses = estimated(2, 4, "weights", {"M": 5, "N": 6, "K": 7}).accesses["buffer", "Z"]
    assert (accesses.updates, accesses.reads, accesses.drains, accesses.fills) == (4 * 30, 3 * 30, 30, 0)


def test_names_and_order_of_indices_do_not_matter() -> None:
    text = "rank E, M, P\ninput Q[e:E, p:P], K[e:E, m:M]\nS[m, p] = K[e, m] * Q[e, p]\noutput S"
    mapping = matrix_product(Workload(parse(text)).task["S"], systolic(2, 4).engine("2d"), "output")
    assert [str(step) for step in mapping.root.steps] == [
        "for m by 2",
        "keep K in buffer",
        "for p by 4",
        "keep Q, S in buffer",
    ]


@pytest.mark.parametrize(
    "equation",
    ["Z[m, n] = A[m, k] * B[k, m] * C[n]", "Z[m] = A[m, k] * D[k]", "Z[m, k] = A[m, k] * B[k, m]"],
)
def test_another_einsum_is_refused(equation) -> None:
    inputs = {"A": "A[m:M, k:K]", "B": "B[k:K, m:M]", "C": "C[n:N]", "D": "D[k:K]"}
    used = ", ".join(text for name, text in inputs.items() if f"{name}[" in equation.split("=")[1])
    ranks = ", ".join(r for r in "MNK" if f":{r}" in used)
    task = Workload(parse(f"rank {ranks}\ninput {used}\n{equation}\noutput Z")).task["Z"]
    with pytest.raises(ValueError, match=r"^Task 'Z' must be a product of two matrices, such as "):
        matrix_product(task, systolic(2, 4).engine("2d"), "output")


def test_another_dataflow_is_refused() -> None:
    task = Workload(parse(TEXT)).task["Z"]
    sentence = r"^Stationary must be 'output', 'weights' or 'inputs', not 'rows'$"
    with pytest.raises(ValueError, match=sentence):
        matrix_product(task, systolic(2, 4).engine("2d"), "rows")


def test_the_page_has_our_numbers() -> None:
    """Every row of the table in docs/peers.md: array, product, dataflow, scalesim's cycles, ours, difference."""
    text = (Path(__file__).parents[2] / "docs/peers.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (\d+) x (\d+) \| (\d+) x (\d+) x (\d+) \| (\w+) \| ([\d,]+) \| ([\d,]+) \| 1 \|$", text, re.M
    )
    assert len(rows) == 18
    for rows_, columns, m, n, k, stationary, theirs, ours in rows:
        extents = {"M": int(m), "N": int(n), "K": int(k)}
        found = estimated(int(rows_), int(columns), stationary, extents).cycles
        assert (f"{found:,}", f"{found - 1:,}") == (ours, theirs)
