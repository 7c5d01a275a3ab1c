"""Elements that no equation writes, or that a recurrence lacks: absent in every count, as in the interpreter."""

import numpy as np
import pytest
from random_counts import random_count

from einsum_cascade import analyse, parse, resolve_extents
from einsum_cascade.analysis.symbolic import evaluate as number_of
from einsum_cascade.errors import CheckError
from einsum_cascade.interpreter import evaluate


@pytest.mark.parametrize(
    ("equations", "is_whole"),
    [
        ("Y[z] = X[z]", True),
        ("Y[2*n] = X[n]", False),
        ("Y[2*n] = X[n]\nY[2*n + 1] = X[n]", True),
        ("Y[n] = X[n]\nY[n + N] = X[n]", True),
        ("Y[n] = X[n]", False),
        ("Y[z] = X[z] where z < N", False),
        ("Y[z] = X[z] where z < N\nY[z] = X[z]*2 where z >= N", True),
        ("Y[z] = X[z] where z < N\nY[z] = X[z]*2 where z > N", False),
        ("Y[z] = X[z] where X[z] > 0", False),
        ("Y[z] = X[z] where X[z] > 0 else 1", True),
        ("Y[z] = X[z] where z < N else 1", True),
        ("Y[c*T + t] = B[t]", True),
    ],
)
def test_what_equations_write_together(equations: str, is_whole: bool) -> None:
    """All 2 N elements of Y, or fewer."""
    tiles = "\nrank T\nrank C = Z/T\ninput B[t:T]" if "B[" in equations else ""
    given = "" if "B[" in equations else "\ninput X[z:Z]"
    text = f"rank N\nrank Z = 2*N{tiles}{given}\ntensor Y[z:Z]\n{equations}\noutput Y"
    (found,) = (entry for entry in analyse(parse(text)).traffic if entry.tensor == "Y")
    assert (str(found.words) == "Z" and found.is_exact) is is_whole


@pytest.mark.parametrize(
    ("recurrence", "words", "is_exact"),
    [
        # Of E elements of each of N generations, those of the filter.
        ("init H[0, e] = 0\nH[n + 1, e] = H[n, e] + X[n, e]", "E*N", True),
        ("init H[0, e] = 0\nH[n + 1, e] = H[n, e] + X[n, e] where e < 2", "N*Min(2, E)", True),
        # What a generation lacks, the next one lacks: at most what their own filters leave.
        ("init H[0, e] = 0 where e < 2\nH[n + 1, e] = H[n, e] + X[n, e]", "E*N", False),
        ("init H[0, e] = 0\nH[n + 1, e] = H[n, E - 1 - e] + X[n, e] where e < 2", "N*Min(2, E)", False),
    ],
)
def test_a_recurrence_lacks_what_it_started_without(recurrence: str, words: str, is_exact: bool) -> None:
    report = analyse(parse(f"rank N, E\ninput X[n:N, e:E]\n{recurrence}\noutput H"))
    assert [(str(e.words), e.is_exact) for e in report.traffic if e.tensor == "H"] == [(words, is_exact)]


def random_filter(rng: np.random.Generator, names: str) -> str:
    """A filter of some variables, by numbers or by data, or none."""
    name = str(rng.choice(list(names)))
    forms = [
        "",
        f" where {name} < {rng.integers(0, 4)}",
        f" where {name} >= {rng.integers(0, 3)}",
        f" where L[{name}] > 0",
        " where n <= e" if {"n", "e"} <= {*names} else "",
    ]
    return str(rng.choice(forms))


def random_text(rng: np.random.Generator) -> str:
    """A recurrence, a declared tensor of one to three equations, and what reads them: of positive numbers."""
    written = [("Z[e] = A[e]", "Z[e + E] = A[e]"), ("Z[2*e] = A[e]", "Z[2*e + 1] = A[e]"), ("Z[z] = C[z]",)]
    form = written[int(rng.integers(len(written)))]
    own = rng.choice(form, int(rng.integers(1, len(form) + 1)), replace=False)
    declared = "\n".join(f"{text}{random_filter(rng, 'z' if 'z' in text else 'e')}" for text in own)
    at = str(rng.choice(["e", "e", "E - 1 - e"]))
    start = str(rng.choice(["1", "A[e]"]))
    return (
        "rank N, E\nrank D = 2*E\nrank S = N + D\n"
        "input X[n:N, e:E], A[e:E], C[z:D], L[s:S]\ntensor Z[z:D]\n"
        f"init H[0, e] = {start}{random_filter(rng, 'e')}\n"
        f"H[n + 1, e] = H[n, {at}] + X[n, e]{random_filter(rng, 'ne')}\n"
        f"{declared}\nG[n, e] = H[n, e] + Z[e]{random_filter(rng, 'ne')}\nB[z] = Z[z] + C[z]\n"
        f"T[n, e] = H[n + 1, e]*2\nW[s] = L[s] + 2\noutput H, Z, G, B, T, W"
    )


def drawn(seed: int, test: int, count: int):
    """Yield random cascades with sizes, inputs, and of every result how many elements there are."""
    for at in range(random_count(count)):
        rng = np.random.default_rng([seed, test, at])
        text = random_text(rng)
        try:
            cascade = parse(text)
        except CheckError:
            continue
        sizes = resolve_extents(cascade, {"N": int(rng.integers(1, 5)), "E": int(rng.integers(1, 5))})
        inputs = {
            tensor.name: rng.uniform(1, 2, [d.extent.evaluate(sizes) for d in tensor.dimensions])
            for tensor in cascade.inputs
        }
        inputs["L"] = rng.integers(0, 2, inputs["L"].shape).astype(float)
        values = evaluate(cascade, inputs, sizes)
        there = {name: int(np.count_nonzero(value)) for name, value in values.items()}
        if "H[0, e] = 1" in text:
            there["H"] -= int(np.count_nonzero(values["H"][0])) if "where L" not in text.split("\n")[5] else 0
        yield f"case {at} of seed {seed}: {sizes}\n{text}", cascade, sizes, inputs, there


def test_elements_of_results_are_those_of_the_interpreter(seed: int) -> None:
    """Equal where the count is exact, no fewer where data decide; with the data, equal always."""
    for where, cascade, sizes, inputs, there in drawn(seed, 41, 400):
        report = analyse(cascade)
        for entry in report.traffic:
            if entry.tensor in there:
                words = number_of(entry.words, sizes)
                assert words == there[entry.tensor] if entry.is_exact else words >= there[entry.tensor], (
                    f"{where}\n{entry}, {there}"
                )
        if any("L[" in str(einsum.where) for einsum in cascade.einsums):
            for entry in report.with_data(sizes, inputs).traffic:
                if entry.tensor in there:
                    assert entry.is_exact, where
                    assert number_of(entry.words, sizes) == there[entry.tensor], f"{where}\n{entry}, {there}"
