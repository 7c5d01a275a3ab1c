"""What Python can say and a cascade cannot: each is one sentence with the user's own line and what to write.

Where the meaning is plain, it works instead.
"""

import linecache
import math
import re

import numpy as np
import pytest

from einsum_cascade import cascade, exp, maximum, parse
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.errors import BuilderError

HEAD = ["m, p = c.ranks(m=M, p=P)", "X, Z = c.input('X', m), c.input('Z', p)"]
TEXT = "cascade layer\nrank M, P\ninput X[m:M], Z[p:P]\n{}\noutput Y"


def build(lines: list[str]) -> Cascade:
    """Turn the lines of a function into a cascade; errors find them under the file's name."""
    source = "\n    ".join(["def layer(c, M, P):", *lines]) + "\n"
    linecache.cache["layer.py"] = (len(source), None, source.splitlines(keepends=True), "layer.py")
    names = {"np": np, "math": math, "exp": exp, "maximum": maximum}
    exec(compile(source, "layer.py", "exec"), names)
    return cascade(names["layer"])


@pytest.mark.parametrize(
    ("line", "equation"),
    [
        ("c.Y[m] = X[m].where(m == 3)", "Y[m] = X[m] where m == 3"),
        ("c.Y[m, p] = X[m].where((m != p) & (p == M - 1))", "Y[m, p] = X[m] where m != p and p == M - 1"),
        ("c.Y[m] = np.exp(X[m])", "Y[m] = exp(X[m])"),
        ("c.Y[m, p] = np.maximum(X[m], np.sqrt(Z[p]))", "Y[m, p] = max(X[m], sqrt(Z[p]))"),
        ("c.Y[m] = X[m].where(np.less(m, 3))", "Y[m] = X[m] where m < 3"),
        ("c.Y[m] = np.float32(2) * X[m]", "Y[m] = 2.0 * X[m]"),
        ("c.Y[m] = X[m] - np.float64(0.5)", "Y[m] = X[m] - 0.5"),
        ("c.Y[m] = X[np.int64(1) * m + np.int32(0)]", "Y[m] = X[m]"),
        ("c.Y[m] = np.int32(3) / X[m]", "Y[m] = 3 / X[m]"),
        ("c.Y[m] = X[m] ** 2", "Y[m] = square(X[m])"),
        ("c.Y[m] = X[m] ** 0.5 + X[m] ** -0.5", "Y[m] = sqrt(X[m]) + rsqrt(X[m])"),
        ("c.Y[m] = abs(+X[m])", "Y[m] = abs(X[m])"),
    ],
)
def test_what_is_plain_works(line: str, equation: str) -> None:
    assert build([*HEAD, line, "return c.Y"]) == parse(TEXT.format(equation))


TUPLE = r"c.ranks gives a tuple of variables that must be taken apart; write (m,) = c.ranks(m=M)"
WITHOUT = r"tensor 'X' must be read with its indices in brackets, as X[...]"
LAST = r"a filter must be the last thing on the right of an equation, as in X[m].sum(m).where(m <= p)"
UNKNOWN = "a comparison must not be asked whether it holds before the cascade runs; "
SET = "an expression must be made of tensors, rank variables, ranks and numbers, not "
REDUCE = "a reduction must name its rank variables and nothing else, as in ."


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "c.Y[()] = X[m].mean(m)",
            "a value has sum, prod, max, min, reduce and where, but not 'mean'; divide the sum by",
        ),
        (
            "c.Y[()] = X[m].std()",
            "a value has sum, prod, max, min, reduce and where, but not 'std'; write the squares' sum",
        ),
        ("c.Y[m] = X[m].exp()", "a value has sum, prod, max, min, reduce and where, but not 'exp'; write exp(...) of"),
        (
            "c.Y[m] = X[m].frobnicate",
            "a value has sum, prod, max, min, reduce and where, but not 'frobnicate'; functions",
        ),
        ("c.Y[()] = X[m].max()", REDUCE + "max(m)"),
        ("c.Y[()] = X[m].sum(axis=0)", REDUCE + "sum(m)"),
        ("c.Y[()] = X[m].prod(0)", REDUCE + "prod(m)"),
        ("c.Y[()] = X[m].reduce(maximum)", REDUCE + "max(m)"),
        ("c.Y[m] = max(X[m], 0)", UNKNOWN + "write maximum(a, b) or minimum(a, b) of einsum_cascade"),
        (
            "c.Y[m] = X[m] if m < 3 else 0",
            UNKNOWN + "filter the equation with .where(...), or write select(x, yes, no)",
        ),
        ("if m < p: c.Y[m] = X[m]", UNKNOWN + "filter the equation with .where(...), or write select(x, yes, no)"),
        ("c.Y[m] = X[m].where(m < 3 and m > 1)", UNKNOWN + "join filters with & | ~, as in (a < b) & (b < c)"),
        ("c.Y[m] = X[m].where(not m < 3)", UNKNOWN + "join filters with & | ~, as in (a < b) & (b < c)"),
        ("c.Y[m] = X[m].where(1 < m < 3)", UNKNOWN + "join filters with & | ~, as in (a < b) & (b < c)"),
        ("c.Y[m] = X[m].where(True)", "a filter must be a comparison of values, as in .where(m <= p), not True"),
        ("c.Y[m] = X[m].where(m < 3).max(m)", LAST),
        ("c.Y[m] = 2 * X[m].where(m < 3)", LAST),
        ("c.Y[m] = exp(X[m].where(m < 3))", LAST),
        (
            "c.Y[m] = X[m] ** 3",
            "a power must be 2, 0.5 or -0.5, not 3; multiply the value with itself, or write exp(y *",
        ),
        ("c.Y[m] = 2 ** X[m]", "a power must be 2, 0.5 or -0.5, not a value; write exp(x * log(2))"),
        (
            "c.Y[m] = X[m] @ Z[p]",
            "a product must name its indices, and @ does not; multiply reads with their indices, as in",
        ),
        (
            "c.Y[m] = np.log1p(X[m])",
            "np.log1p must be an operator of the cascade to be written in one, but is none; register",
        ),
        (
            "c.Y[()] = np.sum(X[m])",
            "np.sum must be given arrays, not values of a cascade; reduce as in X[m].sum(m), X[m].",
        ),
        (
            "c.Y[()] = np.add.reduce(X[m])",
            "np.add.reduce must be given arrays, not values of a cascade; reduce as in X[m]",
        ),
        (
            "c.Y[m] = np.where(m < 3, X[m], 0)",
            "np.where must be given arrays, not values of a cascade; filter the equation",
        ),
        (
            "c.Y[m] = np.dot(X[m], Z[p])",
            "np.dot must be given arrays, not values of a cascade; multiply reads with their",
        ),
        ("c.Y[m] = X[m] * np.ones(3)", SET + "an array; declare it with c.input, and give it when the cascade runs"),
        ("c.Y[m] = np.ones(3) * X[m]", SET + "an array; declare it with c.input, and give it when the cascade runs"),
        ("c.Y[m] = X[m] + '3'", SET + "'3'"),
        ("c.Y[m] = X[m] + True", SET + "True"),
        ("c.Y[m] = X[m] + np.bool_(1)", SET + "np.True_"),
        (
            "c.Y[m] = math.exp(X[m])",
            "a value has no number before the cascade runs; use functions of einsum_cascade, as in exp",
        ),
        (
            "c.Y[()] = sum(X[m])",
            "a value must not be looped over; name the rank variables, as in X[m].sum(m), X[m].max(m)",
        ),
        ("for i in range(M): pass", "a value has no number before the cascade runs; use functions of einsum_cascade"),
        ("c.Y[m] = X * 2", WITHOUT),
        ("c.Y[m] = X @ Z", WITHOUT),
        ("c.Y[m] = X.T", WITHOUT),
        ("c.Y[m] = exp(X)", WITHOUT),
        ("for x in X: pass", WITHOUT),
        ("c.Y = X[m]", "tensor 'Y' must be defined with its indices, as c.Y[...] = ..."),
        ("c.init.Y = 0", "tensor 'Y' must be given with its indices, as c.init.Y[..., 0, ...] = ..."),
        (
            "W = c.input('W', m + 1)",
            "a tensor must be declared with one rank variable per dimension, not with an expression",
        ),
        ("W = c.input('W', 'm')", SET + "'m'"),
        ("W = c.input('W', 3)", "a tensor must be declared with one rank variable per dimension, not with 3"),
        ("(k,) = c.ranks(k='K')", "variable 'k' must be bound to a rank, as in k=c.rank('M'), not to 'K'"),
        ("c.require(M + 1)", "a relation of extents must be a comparison, as in c.require(G >= 2)"),
        ("k = c.ranks(m=M); W = c.input('W', k)", TUPLE),
        ("k = c.ranks(m=M); c.Y[k, p] = Z[p]", TUPLE),
        ("k = c.ranks(m=M); c.Y[m] = X[k * 2]", TUPLE),
        ("k = c.ranks(m=M); c.Y[m] = X[k + 1]", TUPLE),
        ("k = c.ranks(m=M); c.Y[m] = X[1 + k]", TUPLE),
        ("k = c.ranks(m=M); c.Y[m] = X[m].where(k < 3)", TUPLE),
        ("k = c.ranks(m=M); c.Y[()] = X[m].max(k)", REDUCE + "max(m)"),
    ],
)
def test_what_is_refused(line: str, sentence: str) -> None:
    with pytest.raises(BuilderError, match=rf"^layer\.py:4: {re.escape(sentence)}") as raised:
        build([*HEAD, line, "c.Y[m] = X[m]", "return c.Y"])
    assert str(raised.value).splitlines()[1:] == [f"    {line}"]


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        ("pass", "a cascade's function must return its outputs; end it with return c.Y"),
        ("return c.Y[m]", "an output must be a tensor without indices, as c.Y"),
        ("return c.Y, 3", "an output must be a tensor, as c.Y, not 3"),
    ],
)
def test_what_is_returned(end: str, sentence: str) -> None:
    with pytest.raises(BuilderError, match=rf"^layer\.py:\d: {re.escape(sentence)}\n    (return|c\.Y|pass)"):
        build([*HEAD, "c.Y[m] = X[m]", end])
    assert build([*HEAD, "c.Y[m] = X[m]", "return [c.Y]"]).outputs == ("Y",)


def test_a_variable_of_its_own_tuple_is_an_index() -> None:
    """A single index may be a tuple, as everywhere in Python."""
    assert build(["k = c.ranks(m=M)", "X = c.input('X', M)", "c.Y[k] = exp(X[k]) + P", "return c.Y"]).outputs == ("Y",)


def test_a_function_without_the_builder() -> None:
    with pytest.raises(BuilderError, match=r"a cascade's function must take the builder and its ranks, as in def f"):

        @cascade
        def f():  # pyright: ignore
            return None
