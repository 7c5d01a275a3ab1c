import math
import re
from pathlib import Path

import numpy as np
import pytest

from einsum_cascade import analyse, cascade, evaluate, operator, parse
from einsum_cascade.cascade import syntax
from einsum_cascade.cascade.laws import Domain, Law
from einsum_cascade.cascade.operators import OPERATORS, Registry, register
from einsum_cascade.cascade.parser import parse_value
from einsum_cascade.errors import Span


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


FINITE = (-7.25, -2.0, -1.0, -0.375, 0.0, 0.375, 0.5, 1.0, 3.0, 11.0)
DOMAINS: dict[Domain, tuple[float, ...]] = {
    "real": FINITE,
    "nonnegative": tuple(x for x in FINITE if x >= 0),
    "positive": tuple(x for x in FINITE if x > 0),
}
BUILT_IN = [name for name in OPERATORS if OPERATORS[name].is_builtin]
LAWS = [(name, law) for name in BUILT_IN for law in OPERATORS[name].laws]


def value(node: syntax.Expression, at: dict[str, np.ndarray]) -> np.ndarray:
    match node:
        case syntax.Number(number):
            return np.asarray(float(number))
        case syntax.Name(name):
            return at[name]
        case syntax.Call(operator, arguments):
            return OPERATORS[operator].function(*(value(argument, at) for argument in arguments))
        case _:
            raise AssertionError(node)


def variables(node: syntax.Expression) -> set[str]:
    match node:
        case syntax.Name(name):
            return {name}
        case syntax.Call(_, arguments):
            return set().union(*map(variables, arguments))
        case _:
            return set()


def holds(law: Law, domains: dict[str, Domain], *, at_infinity: bool, undefined: bool = True) -> bool:
    """Compare both sides at all points of a grid: at 0, at numbers below and above it, and at infinities if told.

    With `undefined`, sides that are both NaN are equal.
    """
    left, right = (parse_value(text, Span("<law>", 1)) for text in (law.left, law.right))
    names = sorted(variables(left) | variables(right))
    infinities = {"real": (-math.inf, math.inf), "nonnegative": (math.inf,), "positive": (math.inf,)}
    axes = [
        np.array(DOMAINS[of] + (infinities[of] if at_infinity else ()))
        for of in (domains.get(name, "real") for name in names)
    ]
    at = dict(zip(names, np.meshgrid(*axes, indexing="ij"), strict=True))
    with np.errstate(all="ignore"):
        sides = np.broadcast_arrays(value(left, at), value(right, at))
    return bool(np.isclose(*sides, rtol=1e-11, atol=0, equal_nan=undefined).all())


@pytest.mark.parametrize(("name", "law"), LAWS, ids=[f"{name}: {law.left}" for name, law in LAWS])
def test_laws_hold_where_they_are_declared_to_and_no_further(name: str, law: Law) -> None:
    """A wrong law, or one on too large a domain, would make a rewrite wrong; on too small a one, it would be missed."""
    domains = dict(law.domains)
    assert holds(law, domains, at_infinity=law.at_infinity), str(law)
    assert law.at_infinity or not holds(law, domains, at_infinity=True), f"{law}: holds at infinity too"
    larger: dict[Domain, Domain] = {"positive": "nonnegative", "nonnegative": "real"}
    for wider in (dict(domains) | dict.fromkeys(domains, larger[of]) for of in set(domains.values())):
        assert not holds(law, wider, at_infinity=law.at_infinity, undefined=False), f"{law}: holds on a larger domain"


def test_laws_that_a_rewrite_needs_are_declared() -> None:
    told = {(law.left, law.right) for _, law in LAWS}
    assert told >= {
        ("a - b", "a + -b"),
        ("a + -a", "0"),
        ("a / b", "a * (1 / b)"),
        ("a * (1 / a)", "1"),
        ("(a / c) + (b / c)", "(a + b) / c"),
        ("max(a, b) * c", "max(a * c, b * c)"),
        ("max(a, b) - c", "max(a - c, b - c)"),
        ("((a + b) * c)", "((a * c) + (b * c))"),
        ("exp((a - b))", "(exp(a) / exp(b))"),
        ("log((a * b))", "(log(a) + log(b))"),
        ("expsub(a, b) * expsub(b, c)", "expsub(a, c)"),
    }


@pytest.mark.parametrize("name", BUILT_IN)
def test_ranges_and_orders_hold(name: str) -> None:
    """The range holds for all real numbers that the operator has a value for; what is monotone is so up to infinity."""
    found = OPERATORS[name]
    grid = np.meshgrid(*[np.array(FINITE)] * found.arity)
    with np.errstate(all="ignore"):
        values = found.function(*grid)
        assert np.all((values >= found.range[0]) | np.isnan(values)), name
        assert np.all((values <= found.range[1]) | np.isnan(values)), name
        if found.arity == 1:
            ordered = found.function(np.array([*DOMAINS[found.domain], math.inf]))
            is_ordered = bool(np.all(ordered[1:] >= ordered[:-1]))
            assert is_ordered == found.is_monotone or not found.is_monotone, name


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
