"""Rewriting: syntax from the representation checks to an equal cascade, and what is made computes the same."""

import numpy as np
import pytest
from random_cascades import extents_for, random_cascade
from random_counts import random_count
from streaming_oracle import all_extents

from einsum_cascade import evaluate, operator, parse, random_inputs, zoo
from einsum_cascade.cascade.affine import affine_variable
from einsum_cascade.cascade.checker import check
from einsum_cascade.cascade.ir import Apply, Cascade, Constant, Coordinate, Read
from einsum_cascade.cascade.operators import OPERATORS
from einsum_cascade.cascade.transform import (
    as_input,
    map_einsum,
    map_expression,
    own_extents,
    rebuild,
    rename,
    substitute,
)
from einsum_cascade.cascade.unchecked import unchecked
from einsum_cascade.errors import CheckError

FORMS = """
rank B, M, N
rank U = N
rank T = M/4
rank W = 2*N - 3*M/(B + 1) + 7
rank M >= 4, N >= 2*B
input X[b:B, m:M, n:N], LEN[b:B]
param C[w:W]
S[b, m] = max[n](-X[b, m, n] * 2.5 + n * N) where (m <= LEN[b] or not (n < B)) and n != 1 else -inf
G[n] = sum[b, m](X[b, m, n])
H[n] = max[u](G[u]) where u <= n
Y[n] = exp(G[n] - H[n]) where n > 0
Z[b, t] = S[b, t*2 + 1] where t*2 + 1 < M else 0
output S, Y, Z
"""


def test_every_cascade_of_the_zoo_checks_to_itself() -> None:
    for name in zoo.names():
        cascade = zoo.load(name)
        again = check(unchecked(cascade))
        assert again == cascade and again.documentation == cascade.documentation
        assert [einsum.span for einsum in again.einsums] == [einsum.span for einsum in cascade.einsums]


def test_random_cascades_check_to_themselves(seed: int) -> None:
    for number in range(random_count(1_000)):
        cascade = random_cascade(np.random.default_rng([seed, 51, number]))
        assert check(unchecked(cascade)) == cascade, f"case {number} of seed {seed}: {cascade}"


def _made_of(cascade: Cascade, at: int) -> set[str]:
    """What some first Einsums make for the others; nothing where a cut cannot be."""
    first, second = cascade.einsums[:at], cascade.einsums[at:]
    made, later = ({einsum.tensor for einsum in part} for part in (first, second))
    # What is absent, by a filter or in the last of a rank's tiles, is 0 once it has left.
    indices = [index for einsum in first for read in einsum.all_reads for index in read.indices]
    has_absent = any(einsum.where is not None for einsum in first) or any(len(own.variables) > 1 for own in indices)
    if made & later or has_absent or any(read.tensor in later for e in first for read in e.all_reads):
        return set()
    return {name for name in made if any(read.tensor == name for e in second for read in e.all_reads)}


def _cut(cascade: Cascade, rng: np.random.Generator) -> tuple[Cascade, Cascade] | None:
    """What some first Einsums make, and what the others make of that, all generations; None where no cut can be."""
    possible = [(at, kept) for at in range(len(cascade.einsums)) if (kept := _made_of(cascade, at))]
    if not possible:
        return None
    at, kept = possible[int(rng.integers(len(possible)))]
    first, second = cascade.einsums[:at], cascade.einsums[at:]
    later = {einsum.tensor for einsum in second}
    given = [as_input(cascade.tensor[name]) for name in kept]
    ours = [name for name in cascade.outputs if name in later] or [second[-1].tensor]
    return rebuild(cascade, first, outputs=sorted(kept)), rebuild(cascade, second, given=given, outputs=ours)


def test_two_parts_of_a_cascade_compute_what_it_does(seed: int) -> None:
    compared = generations = 0
    for number in range(random_count(1_000)):
        rng = np.random.default_rng([seed, 55, number])
        cascade = random_cascade(rng)
        parts = _cut(cascade, rng)
        if parts is None:
            continue
        first, second = parts
        extents = all_extents(cascade, extents_for(cascade, rng, "M"))
        inputs = random_inputs(cascade, extents, seed=number)
        whole = _run(rebuild(cascade, cascade.einsums, outputs=second.outputs), inputs, extents)
        found = _run(second, inputs | _run(first, inputs, extents), extents)
        for name in second.outputs:
            # Sums may be in another order.
            is_same = np.allclose(found[name], whole[name], rtol=1e-9, atol=1e-12, equal_nan=True)
            assert is_same, f"case {number} of seed {seed}: {cascade}"
        compared += 1
        generations += any(cascade.tensor[name].generation_axis is not None for name in first.outputs)
    assert compared > random_count(200) and generations > 0, (compared, generations)


def _run(cascade: Cascade, tensors: dict[str, np.ndarray], extents: dict[str, int]) -> dict[str, np.ndarray]:
    given = {tensor.name: tensors[tensor.name] for tensor in cascade.inputs}
    return evaluate(cascade, given, own_extents(cascade, extents), allows_empty=True)


def test_renaming_everything_computes_the_same(seed: int) -> None:
    for number in range(random_count(200)):
        rng = np.random.default_rng([seed, 53, number])
        cascade = random_cascade(rng)
        extents = all_extents(cascade, extents_for(cascade, rng, "M"))
        tensors = {tensor.name: f"{tensor.name}_new" for tensor in cascade.tensors}
        ranks = {rank.name: f"Q{rank.name}" for rank in cascade.ranks}
        variables = {variable: f"q{variable}" for variable, _ in cascade.variables}
        renamed = rename(cascade, tensors=tensors, ranks=ranks, variables=variables)
        back = {new: old for old, new in tensors.items()}
        assert (
            rename(
                renamed,
                tensors=back,
                ranks={new: old for old, new in ranks.items()},
                variables={new: old for old, new in variables.items()},
            )
            == cascade
        )
        inputs = random_inputs(cascade, extents, seed=number)
        sizes = {ranks[name]: extent for name, extent in extents.items()}
        ours = evaluate(cascade, inputs, extents, allows_empty=True)
        theirs = evaluate(renamed, {tensors[n]: v for n, v in inputs.items()}, sizes, allows_empty=True)
        for name, values in ours.items():
            assert np.array_equal(theirs[tensors[name]], values, equal_nan=True), f"case {number} of seed {seed}"


def test_forms_of_the_language() -> None:
    cascade = parse(FORMS)
    assert check(unchecked(cascade)) == cascade


def test_operators_of_the_users_are_kept() -> None:
    mine = OPERATORS.copy()
    operator("halved_in_transform", lambda x: x / 2)
    cascade = parse("rank M\ninput X[m:M]\nA[m] = halved_in_transform(X[m])\nY[m] = A[m] + 1\noutput Y")
    assert "halved_in_transform" not in mine
    assert rebuild(cascade, cascade.einsums) == cascade
    assert [found.name for found in rebuild(cascade, cascade.einsums).operators] == ["halved_in_transform"]


def test_what_is_not_mentioned_is_left_out() -> None:
    cascade = parse(
        "rank M, K, N\nrank N >= 2, K >= 3\ninput A[m:M, k:K], B[n:N]\n"
        "S[m] = sum[k](A[m, k])\nT[n] = B[n] * 2\noutput S, T"
    )
    part = rebuild(cascade, cascade.einsums[:1], name="part")
    assert str(part).splitlines() == [
        "cascade part",
        "rank M, K",
        "rank K >= 3",
        "input A[m:M, k:K]",
        "S[m] = sum[k](A[m, k])",
        "output S",
    ]


def test_mistakes_in_what_was_made_are_told_where_it_came_from() -> None:
    cascade = parse("rank M\ninput X[m:M]\nA[m] = X[m] * 2\nY[m] = A[m] + 1\noutput Y", "mine.cascade")
    with pytest.raises(CheckError, match=r"mine\.cascade:4:\d+: .*'A'"):
        rebuild(cascade, cascade.einsums[1:])
    with pytest.raises(CheckError, match="X"):
        rename(cascade, tensors={"A": "X"})


def test_expressions_are_changed_from_the_inside_out() -> None:
    cascade = parse("rank M\ninput X[m:M]\nY[m] = exp(X[m] * 2 + m)\noutput Y")
    (einsum,) = cascade.einsums
    seen = []
    map_expression(einsum.expression, lambda part: seen.append(type(part)) or part)
    assert seen == [Read, Constant, Apply, Coordinate, Apply, Apply]
    doubled = map_einsum(einsum, lambda p: Constant(p.value * 2) if isinstance(p, Constant) else p)
    assert "X[m] * 4" in str(rebuild(cascade, [doubled]))
    moved = substitute(einsum.expression, {"m": affine_variable("n")})
    assert {read.indices[0].plain for read in [part for part in _reads(moved)]} == {"n"}
    with pytest.raises(ValueError, match="coordinate 'm' must become a variable, not"):
        substitute(einsum.expression, {"m": affine_variable("n") + affine_variable("m")})


def _reads(expression):
    found = []
    map_expression(expression, lambda part: found.append(part) or part if isinstance(part, Read) else part)
    return found
