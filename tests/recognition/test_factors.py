"""Constant factors of scores, wherever a cascade has them: the scale of its program, and what the model makes of it.

The references are the cascade as it stands, by the float64 interpreter, and the factor by Python's own arithmetic.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from model_runs import modelled
from random_counts import random_count

from einsum_cascade import evaluate, load_architecture, parse, zoo
from einsum_cascade.array.numbers import Multiplier, Numbers
from einsum_cascade.cascade.transform import own_extents
from einsum_cascade.cosim.accuracy import Accuracy, accuracy_of
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.mapping.merging import merge_products
from einsum_cascade.recognition.unscaled import without_factors
from einsum_cascade.study.preparation import prepare

ARRAY = load_architecture("fusemax-4x4")
SIZES = {"E": 16, "F": 3, "M": 9, "P": 6}

DEFERRED = """
rank E, F, M, P
input Q[e:E, p:P], K[e:E, m:M], V[f:F, m:M]
S[m, p] = Q[e, p] * K[e, m]
GM[p] = max[m](S[m, p])
SN[m, p] = exp(S[m, p] - GM[p])
SD[p] = sum[m](SN[m, p])
NV[f, p] = SN[m, p] * V[f, m]
AV[f, p] = NV[f, p] / SD[p]
output AV
"""
ONE_PASS = str(zoo.load("attention-1pass")).replace("BQK", "S").replace("  = ", " = ")


def scale_in(text: str, sizes: dict[str, int] = SIZES) -> float:
    (step,) = prepare(parse(text), ARRAY, sizes, is_strict=True).steps
    return step.lowered.program.scale


def edited(text: str, *edits: tuple[str, str]) -> str:
    for old, new in edits:
        assert text.count(old) == 1, (old, text)
        text = text.replace(old, new)
    return text


PRODUCT, GREATEST, RAISED = "Q[e, p] * K[e, m]", "max[m](S[m, p])", "exp(S[m, p] - GM[p])"
ELEMENTWISE = (
    "GM[p] = max[m](S[m, p])\nSN[m, p] = exp(S",
    "T[m, p] = S[m, p]{}\nGM[p] = max[m](T[m, p])\nSN[m, p] = exp(T",
)


@pytest.mark.parametrize(
    ("edits", "scale"),
    [
        ((), 1.0),
        (((PRODUCT, f"{PRODUCT} / sqrt(E)"),), 0.25),
        (((PRODUCT, "0.3 * Q[e, p] * K[e, m]"),), 0.3),
        (((PRODUCT, "Q[e, p] / 2 * K[e, m] * (M / E)"),), 9 / 32),
        (((ELEMENTWISE[0], ELEMENTWISE[1].format(" / sqrt(E)")),), 0.25),
        (((ELEMENTWISE[0], ELEMENTWISE[1].format(" * 3 where m <= p + 4")),), 3.0),
        (((PRODUCT, "R[e, p] * K[e, m]"), ("S[m, p] = ", "R[e, p] = Q[e, p] / sqrt(E)\nS[m, p] = ")), 0.25),
        (((RAISED, "exp((S[m, p] - GM[p]) * 0.125)"),), 0.125),
        (((RAISED, "exp(2 * ((S[m, p] - GM[p]) / E))"),), 0.125),
        (((RAISED, "exp(S[m, p] * 0.7 - GM[p] * 0.7)"),), 0.7),
        (((RAISED, "expsub(S[m, p] / E, GM[p] / E)"),), 1 / 16),
        # A difference in other signs.
        (((RAISED, "exp(-(GM[p] - S[m, p]))"),), 1.0),
        (((RAISED, "exp(-GM[p] + S[m, p])"),), 1.0),
        (((RAISED, "exp(S[m, p] + -GM[p])"),), 1.0),
        (((RAISED, "exp((GM[p] - S[m, p]) * -0.5)"),), 0.5),
        (((RAISED, "exp((GM[p] - S[m, p]) / -E)"),), 1 / 16),
        (((RAISED, "exp(-(0.7 * GM[p] - S[m, p] * 0.7))"),), 0.7),
        (((RAISED, "exp(-2 * GM[p] + 2 * S[m, p])"),), 2.0),
        (((RAISED, "exp(--(S[m, p] - GM[p]) / 2)"),), 0.5),
        (((RAISED, "exp(-(-S[m, p] - -GM[p]))"),), 1.0),
        (((GREATEST, "max[m](S[m, p] / sqrt(E))"), (RAISED, "exp(S[m, p] / sqrt(E) - GM[p])")), 0.25),
        # 1/4 is 1/sqrt(16), however it is written; what is multiplied in all is 1/2 * 1/4 * 3.
        (
            (
                (PRODUCT, f"{PRODUCT} / 2"),
                (GREATEST, "max[m](S[m, p] / sqrt(E))"),
                (RAISED, "exp((S[m, p] * 0.25 - GM[p]) * 3)"),
            ),
            0.375,
        ),
        # Two negative factors are a positive one.
        (((PRODUCT, "-Q[e, p] * K[e, m] * -0.5"),), 0.5),
    ],
)
def test_the_scale_of_a_program(edits: tuple[tuple[str, str], ...], scale: float) -> None:
    assert scale_in(edited(DEFERRED, *edits)) == pytest.approx(scale, rel=1e-15)


ONE_NUMBER = "must compare what is multiplied by one number for the array"
POSITIVE = "must compare scores that are multiplied by a positive number for the array"


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (
            ((RAISED, "exp(S[m, p] * 0.125 - GM[p])"),),
            rf"^SN\[m, p\] {ONE_NUMBER}, not by 0\.125 and 1\.0; scale both alike$",
        ),
        (
            ((GREATEST, "max[m](S[m, p] / E)"),),
            rf"^SN\[m, p\] {ONE_NUMBER}, not by 1\.0 and 0\.0625; scale both alike$",
        ),
        (
            ((PRODUCT, f"-0.5 * {PRODUCT}"),),
            rf"^GM\[p\] {POSITIVE}, not by -0\.5; change it$",
        ),
        (
            ((RAISED, "exp((S[m, p] - GM[p]) * 0)"),),
            rf"^SN\[m, p\] {POSITIVE}, not by 0\.0; change it$",
        ),
        (
            ((RAISED, "exp((S[m, p] - GM[p]) / (E - 16))"),),
            rf"^SN\[m, p\] {POSITIVE}, not by inf; change it$",
        ),
        (
            ((PRODUCT, f"{PRODUCT} * 1e-30"),),
            r"^SN\[m, p\] must multiply by 2\^-56 to 2\^61 for the array, not by 1e-30;",
        ),
        (
            ((PRODUCT, f"{PRODUCT} * 1e30"),),
            r"^SN\[m, p\] must multiply by 2\^-56 to 2\^61 for the array, not by 1e\+30;",
        ),
        # Of what leaves, a factor is no part of an exponential.
        (
            ((" * V[f, m]", " * V[f, m] * 2"),),
            r"^the array must be able to do every Einsum, but NV\[f, p\] needs \* and ",
        ),
        (
            ((PRODUCT, f"{PRODUCT} / 2"), ("output AV", "output AV, S")),
            r"but S\[m, p\] needs \* and / and \+ over e in",
        ),
        # A soft cap and a bias are no factors, and are what is refused.
        (
            ((PRODUCT, f"{PRODUCT} / 2"), (GREATEST, "max[m](tanh(S[m, p]))")),
            r"but GM\[p\] needs / and tanh and max over m in this place",
        ),
        (
            (
                (PRODUCT, f"{PRODUCT} / sqrt(E)"),
                ("V[f:F, m:M]", "V[f:F, m:M], B[m:M, p:P]"),
                (GREATEST, "max[m](S[m, p] + B[m, p])"),
            ),
            r"but GM\[p\] needs \+ and / and sqrt and max over m in this place",
        ),
    ],
)
def test_what_is_no_scale_is_refused(edits: tuple[tuple[str, str], ...], message: str) -> None:
    with pytest.raises(IllegalMappingError, match=message):
        scale_in(edited(DEFERRED, *edits))


def test_a_correction_has_the_scale_of_its_exponential() -> None:
    text = edited(ONE_PASS, ("exp(S[m1, m0, p] - RM[m1 + 1, p])", "exp((S[m1, m0, p] - RM[m1 + 1, p]) / 2)"))
    with pytest.raises(
        IllegalMappingError, match=r"^PRM\[m1, p\] must multiply by the 0\.5 of SLN\[m1, m0, p\] for the "
    ):
        scale_in(text, SIZES | {"M0": 4})


def test_each_program_has_its_own_scale() -> None:
    """A projection is multiplied, and so is what reads it: both factors are of the scores."""
    text = edited(
        DEFERRED,
        ("input Q[e:E, p:P]", "rank D\ninput X[d:D, p:P], W[d:D, e:E]"),
        ("S[m, p] = ", "Q[e, p] = W[d, e] * X[d, p] * 0.5\nS[m, p] = "),
        ("Q[e, p] * K[e, m]", "Q[e, p] * K[e, m] / sqrt(E)"),
    )
    prepared = prepare(parse(text), ARRAY, SIZES | {"D": 5})
    assert [step.lowered.program.scale for step in prepared.steps] == [1.0, 0.125]
    _check(prepared, np.random.default_rng(0), 1.0, "projection")


def test_sigmoids_get_the_factors_of_their_scores() -> None:
    sigmoid = str(zoo.load("attention-sigmoid"))
    text = edited(sigmoid, ("Q[e, p] * K[e, m]", "Q[e, p] * K[e, m] / 2"))
    (step,) = prepare(parse(text), ARRAY, SIZES, Numbers(multiplier="wide")).steps
    assert step.lowered.program.scale == 0.125


@dataclass
class Spelling:
    """Constants as text, drawn one by one, and the product of those between a score and its exponential."""

    rng: np.random.Generator
    rank: str
    factor: str = "1"

    def constant(self) -> str:
        forms = ["2", "0.3", "E", "sqrt(E)", "(1/sqrt(E))", "(E/M)", "(pi/4)", "(3*M/E)"]
        return forms[self.rng.integers(len(forms))].replace("E", self.rank)

    def of(self, expression: str) -> str:
        """An expression with a factor, or none, which is noted."""
        constant = self.constant()
        written, own = [
            (expression, "1"),
            (f"{expression} * {constant}", constant),
            (f"{constant} * {expression}", constant),
            (f"{expression} / {constant}", f"(1/{constant})"),
        ][self.rng.integers(4)]
        self.factor += f" * {own}"
        return written


FILTERS = "", " where m <= p + 2", " where m >= p - 1 and m <= p + 2"


def attention(rng: np.random.Generator, *, is_tiled: bool, is_given: bool) -> tuple[str, str]:
    """A softmax with factors anywhere, and their product as text."""
    draw = Spelling(rng, "P" if is_given else "E")
    kept = "" if is_given else FILTERS[rng.integers(3)]
    m = "m1, m0" if is_tiled else "m"
    kept = kept.replace("m ", "m1*M0 + m0 ") if is_tiled else kept
    on_copy = bool(rng.integers(2))
    has_values = is_tiled or not (is_given or rng.integers(2))
    ranks = [*(["E"] if not is_given else []), *(["F"] if has_values else []), "M", "P"]
    lines = [f"rank {', '.join(ranks)}", *(["rank M0\nrank M1 = M/M0"] if is_tiled else [])]
    lines += ["input V[f:F, m:M]"] if has_values else []
    if is_given:
        lines += ["input X[m:M, p:P]", f"S[m, p] = {draw.of('X[m, p]')}"]
    else:
        lines += ["input Q[e:E, p:P], K[e:E, m:M]", f"R[e, p] = {draw.of('Q[e, p]')}"]
        read = "K[e, m1*M0 + m0]" if is_tiled else "K[e, m]"
        lines += [f"L[e, {m}] = {read}", f"S[{m}, p] = {draw.of(f'R[e, p] * L[e, {m}]')}{'' if on_copy else kept}"]
    lines += [f"T[{m}, p] = {draw.of(f'S[{m}, p]')}{kept if on_copy else ''}"]
    # The maximum has a factor more, and so must what it is subtracted from.
    own = draw.constant()
    outer = draw.constant()
    draw.factor += f" * {own} * {outer}"
    if is_tiled:
        lines += [
            "init RM[0, p] = -inf\ninit RD[0, p] = 0\ninit RN[f, 0, p] = 0\nBV[f, m1, m0] = V[f, m1*M0 + m0]",
            "LM[m1, p] = max[m0](T[m1, m0, p])",
            f"RM[m1 + 1, p] = max(RM[m1, p], {own} * LM[m1, p])",
            f"SN[m1, m0, p] = exp((T[m1, m0, p] * {own} - RM[m1 + 1, p]) * {outer})",
            "SD[m1, p] = sum[m0](SN[m1, m0, p])",
            "NV[f, m1, p] = SN[m1, m0, p] * BV[f, m1, m0]",
            f"C[m1, p] = expsub({outer} * RM[m1, p], RM[m1 + 1, p] * {outer})",
            "RD[m1 + 1, p] = RD[m1, p] * C[m1, p] + SD[m1, p]",
            "RN[f, m1 + 1, p] = RN[f, m1, p] * C[m1, p] + NV[f, m1, p]",
            "AV[f, p] = RN[f, M1, p] / RD[M1, p]\noutput AV",
        ]
    else:
        lines += [
            f"GM[p] = max[m](T[m, p] * {own})",
            f"SN[m, p] = exp(T[m, p] * {own} * {outer} - GM[p] * {outer})",
            "SD[p] = sum[m](SN[m, p])",
        ]
        deferred = "NV[f, p] = SN[m, p] * V[f, m]\nAV[f, p] = NV[f, p] / SD[p]\noutput AV"
        lines.append(deferred if has_values else "A[m, p] = SN[m, p] / SD[p]\noutput A")
    return "\n".join(lines), draw.factor


@pytest.mark.parametrize(("is_tiled", "is_given"), [(True, False), (False, False), (False, True)])
def test_random_factors(is_tiled: bool, is_given: bool, seed: int) -> None:
    """The results are as near to those of the cascade as it stands as the formats allow."""
    for number in range(random_count(150)):
        rng = np.random.default_rng([seed, number, is_tiled, is_given])
        text, factor = attention(rng, is_tiled=is_tiled, is_given=is_given)
        sizes = {"E": int(rng.integers(1, 9)), "F": 3, "M": int(rng.integers(1, 10)), "P": int(rng.integers(1, 7))}
        sizes |= {"M0": 4} if is_tiled else {}
        case = f"case {number} of seed {seed}: {sizes}\n{text}\n{factor}"
        multipliers: tuple[Multiplier, ...] = ("narrow", "mixed", "wide")
        numbers = Numbers(multiplier=multipliers[rng.integers(3)])
        cascade = parse(text)
        prepared = prepare(cascade, ARRAY, {name: sizes[name] for name in cascade.free_ranks}, numbers)
        scale = eval(factor, {"sqrt": math.sqrt, "pi": math.pi, **sizes})
        assert [step.lowered.program.scale for step in prepared.steps] == [pytest.approx(scale, rel=1e-14)], case
        _check(prepared, rng, scale, case)


def _check(prepared: Prepared, rng: np.random.Generator, scale: float, case: str) -> None:
    shapes = {t.name: [prepared.extents[d.rank] for d in t.dimensions] for t in prepared.cascade.inputs}
    inputs = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    scores = "X" if "X" in inputs else "Q"
    stored = prepared.stored(inputs | {scores: inputs[scores] * 2 / scale})

    found: list[Accuracy] = []
    modelled(prepared, stored, lambda *each: found.append(accuracy_of(*each)))
    assert all(each.beyond == 0 and each.compared > 0 for each in found), f"{case}\n{found}"
    if len(prepared.steps) == 1:
        exact, same = (
            evaluate(each, stored, own_extents(each, prepared.extents), allows_empty=True)
            for each in (prepared.cascade, prepared.steps[0].work.cascade)
        )
        for name in prepared.cascade.outputs:
            assert np.allclose(exact[name], same[name], rtol=1e-9, equal_nan=True), case


def test_a_cascade_without_factors_is_left_as_it_is() -> None:
    for name in ("attention-1pass-causal", "attention-deferred", "softmax", "attention-linear", "attention-sigmoid"):
        cascade = merge_products(zoo.load(name))
        assert without_factors(cascade).cascade == cascade


def test_a_maximum_of_scores_with_a_factor_leaves_beside_the_results(seed: int) -> None:
    """The array leaves the maximum of the scores alone; the host multiplies it, which is all that it does."""
    text = edited(DEFERRED, (PRODUCT, f"{PRODUCT} / sqrt(E)"), ("output AV", "output AV, GM, SD"))
    cascade = parse(text)
    case = prepare(cascade, ARRAY, SIZES)
    assert [[operand.tensor for operand in step.work.results] for step in case.steps] == [["AV", "SD", "GM_less"]]
    assert [[*work.reasons] for work in case.host_works] == [["GM"]]
    random = np.random.default_rng([seed, 490])
    stored = case.stored(
        {each.name: random.standard_normal([SIZES[d.rank] for d in each.dimensions]) for each in cascade.inputs}
    )
    found, exact = modelled(case, stored), evaluate(cascade, stored, SIZES)
    for name in ("GM", "SD", "AV"):
        assert np.abs(found[name] - exact[name]).max() < 0.02 * np.abs(exact[name]).max(), name
