import math
import re
from pathlib import Path

import numpy as np
import pytest

from einsum_cascade import analyse, cascade, evaluate, operator, parse
from einsum_cascade.cascade.operators import OPERATORS, Operator, Registry, register


def test_a_users_operator_works_in_both_notations() -> None:
    """One line registers it; text, Python, interpreter and analysis know it."""
    mish = operator("mish_of_test", lambda x: x * np.tanh(np.logaddexp(0, x)))

    @cascade
    def activated(c, M):
        (m,) = c.ranks(m=M)
        X = c.input("X", m)
        c.Y[m] = mish(X[m])
        return c.Y

    text = "cascade activated\noperator mish_of_test\nrank M\ninput X[m:M]\nY[m] = mish_of_test(X[m])\noutput Y"
    assert activated == parse(text)
    assert "operator mish_of_test" in str(activated)
    x = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_allclose(evaluate(activated, {"X": x})["Y"], x * np.tanh(np.log1p(np.exp(x))), rtol=1e-12)
    (count,) = analyse(activated).operations
    assert (count.operator, str(count.count)) == ("mish_of_test", "M")


def test_a_users_operator_reduces() -> None:
    """log(sum(exp)) as a reduction: associative, commutative, identity -inf; a barrier like any other."""
    operator("lse_of_test", np.logaddexp, identity=-math.inf, is_associative=True, is_commutative=True)
    text = "rank M\ninput X[m:M]\nL[] = lse_of_test[m](X[m])\nY[m] = exp(X[m] - L[])\noutput Y, L"
    softmax = parse(text)
    x = np.random.default_rng(0).standard_normal(7)
    found = evaluate(softmax, {"X": x})
    np.testing.assert_allclose(found["Y"], np.exp(x) / np.exp(x).sum(), rtol=1e-12)
    assert evaluate(softmax, {"X": x[:0]})["L"] == -math.inf
    assert analyse(softmax).of("X", "M").count == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("exp", "operator 'exp' is built in and must not be replaced; choose another name"),
        ("soft plus", "the name of an operator must be an identifier, not 'soft plus'"),
    ],
)
def test_names_that_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        operator(name, np.exp)


def test_arity_is_told_from_the_function() -> None:
    registry = Registry()
    assert register("fused", lambda a, b, c: a * b + c, registry=registry).arity == 3
    assert register("angle", np.arctan2, registry=registry).arity == 2
    assert "fused" in registry.copy()


@pytest.mark.parametrize("name", [name for name in OPERATORS if OPERATORS[name].is_builtin])
def test_declared_algebra_holds(name: str) -> None:
    """Every declared property is checked on random numbers: a wrong one would make a later rewrite wrong."""
    found = OPERATORS[name]
    a, b, c = np.random.default_rng(1).uniform(0.1, 3.0, (3, 200))
    arguments = (a, b, c)[: found.arity]
    values = found.function(*arguments)
    assert np.all(values >= found.range[0]) and np.all(values <= found.range[1])
    if found.is_commutative:
        np.testing.assert_allclose(found.function(a, b), found.function(b, a))
    if found.is_associative:
        np.testing.assert_allclose(found.function(found.function(a, b), c), found.function(a, found.function(b, c)))
    if found.identity is not None:
        np.testing.assert_array_equal(found.function(a, np.full_like(a, found.identity)), a)
    if found.absorbing is not None:
        np.testing.assert_array_equal(
            found.function(a, np.full_like(a, found.absorbing)), np.full_like(a, found.absorbing)
        )
    if found.is_monotone:
        assert np.all(np.diff(found.function(np.sort(a))) >= 0)
    for other in found.distributes_over:
        _holds_distributivity(found, OPERATORS[other], a, b, c)
    for inner, outer in found.homomorphism:
        left = found.function(OPERATORS[inner].function(a, b))
        np.testing.assert_allclose(left, OPERATORS[outer].function(found.function(a), found.function(b)))


def _holds_distributivity(outer: Operator, inner: Operator, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    left = outer.function(inner.function(a, b), c)
    np.testing.assert_allclose(left, inner.function(outer.function(a, c), outer.function(b, c)))


def test_expsub_of_nothing_seen_is_one() -> None:
    """The dead first tile of a running maximum: exp(-inf - -inf) is 1, not NaN."""
    infinity = np.array([-np.inf])
    assert OPERATORS["expsub"].function(infinity, infinity) == 1
    assert OPERATORS["expsub"].function(infinity, np.array([2.0])) == 0


def test_operators_from_a_file_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from einsum_cascade.cli import main

    (tmp_path / "ops.py").write_text(
        "from einsum_cascade import operator\nimport numpy as np\noperator('cube_of_test', lambda x: x**3)\n"
    )
    (tmp_path / "c.cascade").write_text(
        "operator cube_of_test\nrank M\ninput X[m:M]\nY[m] = cube_of_test(X[m])\noutput Y\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(["bounds", str(tmp_path / "c.cascade"), "--operators", str(tmp_path / "ops.py"), "--json"])
    assert ended.value.code == 0
    assert '"operator": "cube_of_test"' in capsys.readouterr().out
