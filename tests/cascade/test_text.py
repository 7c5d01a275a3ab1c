import numpy as np
import pytest
from random_cascades import random_cascade
from random_counts import random_count

from einsum_cascade import parse, zoo
from einsum_cascade.errors import ParseError


def test_text_parses_back_to_an_equal_cascade(seed: int) -> None:
    for number in range(random_count(1_000)):
        cascade = random_cascade(np.random.default_rng([seed, number]))
        assert parse(str(cascade)) == cascade, f"case {number} of seed {seed}:\n{cascade}"


@pytest.mark.parametrize("name", zoo.names())
def test_zoo_parses_back(name: str) -> None:
    cascade = zoo.load(name)
    again = parse(str(cascade))
    assert again == cascade
    assert again.documentation == cascade.documentation


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        # Every place in which parentheses or signs matter, with what the printer makes of it.
        ("a[] - (b[] - c[])", "a[] - (b[] - c[])"),
        ("(a[] - b[]) - c[]", "a[] - b[] - c[]"),
        ("a[] * (b[] + c[])", "a[] * (b[] + c[])"),
        ("a[] / (b[] * c[])", "a[] / (b[] * c[])"),
        ("-(a[] + b[])", "-(a[] + b[])"),
        ("-a[] * b[]", "-a[] * b[]"),
        ("a[] - -3", "a[] - -3"),
        ("(-3) * a[]", "-3 * a[]"),
        ("+a[]", "a[]"),
        ("-inf", "-inf"),
        ("2 * pi * a[]", "2 * pi * a[]"),
        ("1.5e-3 + a[]", "0.0015 + a[]"),
        ("max(a[], min(b[], c[]))", "max(a[], min(b[], c[]))"),
        ("select(a[], 1, 0)", "select(a[], 1, 0)"),
    ],
)
def test_expressions(written: str, printed: str) -> None:
    head = "cascade x\nrank M\ninput a[], b[], c[], d[m:M]\n"
    cascade = parse(f"{head}Y[m] = d[m]\nZ[] = {written}\noutput Y, Z")
    assert str(cascade).splitlines()[-2].split(" = ")[1] == printed
    assert parse(str(cascade)) == cascade


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("m0 + m1*M0", "m1*M0 + m0"),
        ("m - p + P - 1", "m - p + P - 1"),
        ("P - 1 - p + m", "m - p + P - 1"),
        ("2*(m + 1) - 2", "2*m"),
        ("M - 1 - m", "-m + M - 1"),
        ("R - 1 + 0*p", "R - 1"),
    ],
)
def test_indices_have_one_form(written: str, printed: str) -> None:
    head = "rank M, P, M0\nrank M1 = M / M0\nrank R = 4*(M + P)\ninput X[r:R], Z[m:M, p:P, m1:M1, m0:M0]\n"
    cascade = parse(f"{head}Y[m, p, m1, m0] = X[{written}] * Z[m, p, m1, m0] where m >= 0 and p >= 0\noutput Y")
    read = cascade.einsums[0].reads[0]
    assert str(read.indices[0]) == printed
    assert parse(str(cascade)) == cascade


def test_filters_keep_their_shape() -> None:
    text = "where (m <= p or not (m == 3 and p > 1)) and m < M - 1 else -inf"
    cascade = parse(f"cascade x\nrank M, P\ninput X[m:M, p:P]\nY[m, p] = X[m, p] {text}\noutput Y")
    assert text in str(cascade)
    assert parse(str(cascade)) == cascade


def test_all_lines_that_are_not_in_the_grammar_are_reported() -> None:
    with pytest.raises(ParseError) as raised:
        parse("rank M,\ninput X[m\noutput Y", "three.cascade")
    assert [d.span.line for d in raised.value.diagnostics] == [1, 2]


def test_latex_and_html() -> None:
    cascade = zoo.load("attention")
    assert r"\mathit{QK}_{m, p} &= Q_{e, p} \times K_{e, m}" in cascade._repr_latex_()
    assert r"\frac{\mathit{SN}_{m, p}}{\mathit{SD}_{p}}" in cascade._repr_latex_()
    assert "<i>QK</i><sub>m, p</sub>" in cascade._repr_html_()
    assert "<script" not in cascade._repr_html_()
