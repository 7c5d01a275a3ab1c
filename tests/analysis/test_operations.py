"""Counts of points against counting them one by one, with the presence that decision 0002 defines."""

from itertools import product

import numpy as np
import pytest
from random_counts import random_count

from einsum_cascade import analyse, parse, resolve_extents
from einsum_cascade.analysis.symbolic import evaluate

RANKS = {"m": "M", "p": "P", "k": "K"}


def random_filter(rng: np.random.Generator, names: list[str]) -> str:
    """Draw affine conjuncts over some variables."""
    parts: list[str] = []
    for _ in range(int(rng.integers(0, 4))):
        first, second = (str(name) for name in rng.choice(names, 2))
        offset = int(rng.integers(-3, 4))
        sign = str(rng.choice(["<", "<=", ">", ">=", "=="], p=[0.25, 0.25, 0.2, 0.2, 0.1]))
        negation = "not " if rng.random() < 0.15 else ""
        kind = rng.random()
        if kind < 0.35:
            parts.append(f"{negation}{first} {sign} {second} + {offset}".replace("+ -", "- "))
        elif kind < 0.7:
            parts.append(f"{negation}{first} {sign} {abs(offset)}")
        elif kind < 0.9:
            parts.append(f"{negation}{first} + {second} {sign} {abs(offset) + 2}")
        else:
            parts.append(f"{negation}2*{first} {sign} {second}")
    return " and ".join(parts)


def points(names: list[str], extents: dict[str, int], condition: str) -> int:
    """Count coordinate tuples that satisfy a condition, which is Python as well."""
    code = compile(condition or "True", "filter", "eval")
    spaces = [range(extents[RANKS[name]]) for name in names]
    return sum(bool(eval(code, {}, dict(zip(names, at, strict=True)))) for at in product(*spaces))


def test_filtered_counts_are_exact(seed: int) -> None:
    for number in range(random_count(1_000)):
        rng = np.random.default_rng([seed, number])
        names = list(RANKS)[: int(rng.integers(1, 4))]
        condition = random_filter(rng, names)
        extents = {RANKS[name]: int(rng.integers(0, 7)) for name in names}
        ranks = ", ".join(extents)
        indices = ", ".join(f"{name}:{RANKS[name]}" for name in names)
        where = f" where {condition}" if condition else ""
        plain = ", ".join(names)
        text = f"rank {ranks}\ninput X[{indices}]\nY[{plain}] = exp(X[{plain}]){where}\nZ[] = Y[{plain}]\noutput Z"
        report = analyse(parse(text))
        wanted = points(names, extents, condition)
        for operation in report.operations:
            assert operation.is_exact
            assert evaluate(operation.count, extents) == wanted, f"case {number} of seed {seed}: {extents}\n{text}"


@pytest.mark.parametrize("keys", [1, 7, 8, 9])
def test_tails_of_partitions_do_not_count(keys: int) -> None:
    """ceil(M/4) tiles of 4, but only M keys: M exponentials a query, not 4 ceil(M/4)."""
    text = """
        rank M, P
        rank M0 = 4*1
        rank M1 = M / M0
        input X[m:M, p:P]
        BX[m1, m0, p] = X[m1*M0 + m0, p]
        SN[m1, m0, p] = exp(BX[m1, m0, p]) where m1*M0 + m0 <= p
        SD[p] = sum[m1, m0](SN[m1, m0, p])
        output SD
    """
    cascade = parse(text)
    extents = resolve_extents(cascade, {"M": keys, "P": 5})
    wanted = sum(m <= p for m in range(keys) for p in range(5))
    assert {evaluate(o.count, extents) for o in analyse(cascade).operations} == {wanted}


def test_filters_that_read_data_give_upper_bounds() -> None:
    text = """
        rank B, M
        input X[b:B, m:M], LEN[b:B]
        Y[b, m] = exp(X[b, m]) where m < LEN[b]
        S[b] = sum[m](Y[b, m])
        output S
    """
    counts = {o.einsum: (str(o.count), o.is_exact) for o in analyse(parse(text)).operations}
    assert counts == {"Y[b, m]": ("B*M", False), "S[b]": ("B*M", False)}


def test_a_recurrence_that_steps_by_two_has_fewer_points() -> None:
    """F[n+2] for n = 0 .. N-2: N - 1 additions."""
    text = "rank N\ninput A[n:N]\ninit F[0] = 0\ninit F[1] = 1\nF[n+2] = F[n+1] + F[n]\nY[n] = A[n] * F[n]\noutput Y"
    counts = {(o.einsum, o.operator): str(o.count) for o in analyse(parse(text)).operations}
    assert counts["F[n + 2]", "+"] == "N - 1"


def test_an_else_and_its_expression_are_counted_apart(seed: int) -> None:
    """Where the filter fails, nothing that the expression reads matters: absences neither count nor spread."""
    for number in range(random_count(300)):
        rng = np.random.default_rng([seed, number])
        names = list(RANKS)[: int(rng.integers(1, 4))]
        absent, condition, other = (random_filter(rng, names) for _ in range(3))
        extents = {RANKS[name]: int(rng.integers(0, 7)) for name in names}
        plain, indices = ", ".join(names), ", ".join(f"{name}:{RANKS[name]}" for name in names)
        condition = condition or f"{names[0]} < 3"
        text = f"""
            rank {", ".join(extents)}
            input X[{indices}]
            A[{plain}] = exp(X[{plain}]){f" where {absent}" if absent else ""}
            B[{plain}] = log(X[{plain}]){f" where {other}" if other else ""}
            Y[{plain}] = sin(A[{plain}]) where {condition} else cos(B[{plain}])
            S[] = sum[{plain}](Y[{plain}])
            output S
        """
        expression = f"({condition}) and ({absent or True})"
        otherwise = f"(not ({condition})) and ({other or True})"
        wanted = {
            "exp": points(names, extents, absent),
            "log": points(names, extents, other),
            "sin": points(names, extents, expression),
            "cos": points(names, extents, otherwise),
            "+": points(names, extents, f"{expression} or {otherwise}"),
        }
        found = {o.operator: evaluate(o.count, extents) for o in analyse(parse(text)).operations if o.is_exact}
        assert found == wanted, f"case {number} of seed {seed}: {extents}\n{text}"


def test_else_gives_every_point_a_value() -> None:
    """Points with the value of else are present: a later sum sees all of them."""
    text = "rank M\ninput X[m:M]\nY[m] = exp(X[m]) where m < 3 else 0\nS[] = sum[m](Y[m])\noutput S"
    counts = {o.einsum: str(o.count) for o in analyse(parse(text)).operations}
    assert counts["S[]"] == "M"


def test_tiles_under_other_names_are_counted_as_the_whole() -> None:
    """Tiles c*T + u of L elements have L points, whatever the rank of u is called."""
    for inner in ("var u : T", "rank U = T"):
        text = f"rank L, T\nrank C = L / T\n{inner}\ninput X[l:L]\nZ[c] = sum[u](X[c*T + u])\noutput Z"
        assert str(analyse(parse(text)).total_operations) == "L"


def test_counts_do_not_depend_on_the_order_of_variables() -> None:
    text = """
        rank M, N, W, G
        input Q[n:N], K[m:M]
        S[m, n] = Q[n] * K[m] where m <= n and (n - W < m or m < G)
        Z[n] = max[m](S[m, n])
        output Z
    """
    multiplications, maxima = analyse(parse(text)).operations
    assert multiplications.count == maxima.count
