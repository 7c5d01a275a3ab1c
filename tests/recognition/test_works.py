"""What the array can run is recognised by what it computes; everything else is refused, and named."""

import re

import numpy as np
import pytest
from array_programs import PRODUCT, SOFTMAX
from attention_cascades import attention

from einsum_cascade import parse, zoo
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.recognition.refusals import REFUSALS
from einsum_cascade.recognition.scaling import scaling_of
from einsum_cascade.recognition.works import KERNELS, recognise

RUNNING = ("attention-1pass", "attention-1pass-causal", "attention-1pass-gqa", "attention-1pass-window")
DEFERRED = (
    "attention-deferred",
    "attention-deferred-causal",
    "attention-deferred-gqa",
    "attention-deferred-window",
)
RUN = (*RUNNING, *DEFERRED, "softmax", "attention-sigmoid")
ATTENTION = {*next(kernel.roles for kernel in KERNELS if kernel.name == "attention")}
TEXT = attention("1-pass")
VALUES_PER_QUERY = (
    TEXT.replace("V[f:F, m:M]", "V[f:F, m:M, p:P]")
    .replace("BV[f, m1, m0]", "BV[f, m1, m0, p]")
    .replace("V[f, m1*M0 + m0]", "V[f, m1*M0 + m0, p]")
)
REMEDY = (
    "write it as attention with running maxima, with its division deferred, with a sigmoid or with a feature map, as a "
    "softmax, or as a product of two inputs, or compute it elsewhere"
)
KNOWN = "|".join(re.escape(f"{each.reason}; {each.remedy}").replace("{", "{{").replace("}", "}}") for each in REFUSALS)
REFUSAL = r"the array must be able to do every Einsum, but {} needs {}; (?:" + REMEDY + "|" + KNOWN + ")"


def refusal(einsum: str, needs: str) -> str:
    return REFUSAL.format(re.escape(einsum), re.escape(needs))


def edited(old: str, new: str) -> str:
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)


@pytest.mark.parametrize("name", RUNNING)
def test_attention_with_running_maxima_is_recognised(name: str) -> None:
    work = recognise(zoo.load(name))
    assert (work.kernel.name, work.kernel.passes) == ("attention", 1)
    assert set(work.tasks) == ATTENTION
    assert work.query is not None
    assert (work.query.tensor, work.key.tensor, work.output.tensor) == ("Q", "K", "AV")
    assert work.value is not None and work.value.tensor == "V"
    assert (work.steps, work.rows, work.columns, work.outputs) == ("e", "M:M1*M0", "p", "f")
    assert (work.shared, work.group) == ((("b", "g"), ("r",)) if name.endswith("gqa") else ((), ()))
    tensors = {role: einsum.tensor for role, einsum in work.tasks.items()}
    assert tensors == {
        "product": "BQK",
        "maximum": "LM",
        "running maximum": "RM",
        "exponential": "SLN",
        "sum": "SLD",
        "combine": "SLNV",
        "correction": "PRM",
        "running sum": "RD",
        "running combine": "RNV",
        "quotient": "AV",
    }


@pytest.mark.parametrize("name", DEFERRED)
def test_attention_with_its_division_deferred_is_recognised(name: str) -> None:
    work = recognise(zoo.load(name))
    assert (work.kernel.name, work.kernel.passes) == ("two-pass attention", 2)
    assert work.query is not None and work.value is not None
    assert (work.query.tensor, work.key.tensor, work.value.tensor, work.output.tensor) == ("Q", "K", "V", "AV")
    assert (work.steps, work.rows, work.columns, work.outputs) == ("e", "m", "p", "f")
    assert (work.shared, work.group) == ((("b", "g"), ("r",)) if name.endswith("gqa") else ((), ()))
    tensors = {role: einsum.tensor for role, einsum in work.tasks.items()}
    expected = {"product": "QK", "maximum": "GM", "exponential": "SN", "sum": "SD", "combine": "SNV", "quotient": "AV"}
    assert tensors == expected


SIGMOID = str(zoo.load("attention-sigmoid"))
ARGUMENT = "QK[m, p] / sqrt(E) - log(M)"


@pytest.mark.parametrize(
    ("argument", "scale", "bias"),
    [
        (ARGUMENT, 0.5, -3.0),
        ("QK[m, p]", 1.0, 0.0),
        ("-QK[m, p]", -1.0, 0.0),
        ("3 - 2 * QK[m, p] / E", -0.5, 3.0),
        ("(QK[m, p] + 1) * M", 8.0, 8.0),
        ("0.1 * QK[m, p]", 0.10000000149011612, 0.0),
    ],
)
def test_sigmoids_of_scaled_scores(argument: str, scale: float, bias: float) -> None:
    """E = 4, M = 8, in fp32; the bias of the zoo's is -log(8), of which 3 log(2) is taken here."""
    assert SIGMOID.count(ARGUMENT) == 1
    work = recognise(parse(SIGMOID.replace(ARGUMENT, argument)))
    assert (work.kernel.name, work.kernel.passes, work.rows, work.columns) == ("sigmoid attention", 1, "m", "p")
    found = scaling_of(work.tasks["sigmoid"], {"E": 4, "F": 4, "M": 8, "P": 4})
    assert found == (scale, bias if argument != ARGUMENT else float(np.float32(bias * np.log(2))))


@pytest.mark.parametrize(
    "argument", ["QK[m, p] * QK[m, p]", "1 / QK[m, p]", "exp(QK[m, p])", "QK[m, p] + m", "2 * (QK[m, p] + QK[m, p])"]
)
def test_sigmoids_of_something_else_are_refused(argument: str) -> None:
    with pytest.raises(IllegalMappingError, match=r"^the array must be able to do every Einsum, but SN\[m, p\] needs "):
        recognise(parse(SIGMOID.replace(ARGUMENT, argument)))


FEATURES = """
rank H, F, M, P
input W[h:H, m:M, p:P], X[h:H, m:M, p:P], V[f:F, m:M], Z[h:H, m:M]
S[h, m, p] = relu(X[h, m, p]) + exp(min(X[h, m, p], 0))
N[h, p, f] = S[h, m, p] * V[f, m]
D[h, p] = S[h, m, p] * Z[h, m]
A[h, p, f] = N[h, p, f] / D[h, p]
output A
"""
FEATURE, SUMS, QUOTIENT = (
    "relu(X[h, m, p]) + exp(min(X[h, m, p], 0))",
    "S[h, m, p] * Z[h, m]",
    "A[h, p, f] = N[h, p, f] / D[h, p]\noutput A",
)


@pytest.mark.parametrize(
    ("edits", "kernel", "operands"),
    [
        ({}, "linear attention", "X V Z A"),
        ({FEATURE: "exp(min(0, X[h, m, p])) + max(0, X[h, m, p])"}, "linear attention", "X V Z A"),
        ({SUMS: "sum[m](S[h, m, p])"}, "feature attention", "X V - A"),
        ({SUMS: "sum[m](S[h, m, p])", QUOTIENT: "output D, N"}, "feature sums", "X V - N D"),
        ({f"D[h, p] = {SUMS}\n{QUOTIENT}": "output N"}, "feature product", "X V - N"),
    ],
)
def test_features(edits: dict[str, str], kernel: str, operands: str) -> None:
    """Values may be the same for all heads, and columns are of the rank that they do not have."""
    work = recognise(parse(_edited_features(edits)))
    read = ["-" if each is None else each.tensor for each in (work.key, work.value, work.weight)]
    assert (work.kernel.name, [*read, *(each.tensor for each in work.results)]) == (kernel, operands.split())
    assert (work.query, work.shared, work.rows, work.columns, work.outputs) == (None, ("h",), "m", "p", "f")


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        # No elu(x) + 1 of one place.
        ({"relu(X": "exp(X"}, r"S\[h, m, p\] needs \+ and exp and min in this place"),
        ({"relu(X[h, m, p])": "relu(X[h, m, p] + 1)"}, r"S\[h, m, p\] needs \+ and exp and min and relu in this place"),
        ({"p], 0)": "p], 1)"}, r"S\[h, m, p\] needs \+ and exp and min and relu in this place"),
        ({"min(X": "min(W"}, r"S\[h, m, p\] needs \+ and exp and min and relu in this place"),
        ({"min(X[h, m, p], 0))": "min(X[h, m, p], 0)) where m <= p"}, r"S\[h, m, p\] needs .* in this place"),
        # The quotient the wrong way round.
        ({"N[h, p, f] / D[h, p]": "D[h, p] / N[h, p, f]"}, r"A\[h, p, f\] needs / in this place"),
        # A weight for every column, which leaves none that is the same for all, and values likewise.
        (
            {"Z[h:H, m:M]": "Z[h:H, m:M, p:P]", "Z[h, m]": "Z[h, m, p]"},
            r"D\[h, p\] needs a second combine",
        ),
        ({"V[f:F, m:M]": "V[p:P, f:F, m:M]", "V[f, m]": "V[p, f, m]"}, r"must have one rank of keys, for the rows"),
        ({"output A": "output A, D"}, r"the outputs of 'text' must be A alone for the array, not A, D"),
    ],
)
def test_other_features_are_refused(edits: dict[str, str], message: str) -> None:
    with pytest.raises(IllegalMappingError, match=message):
        recognise(parse(_edited_features(edits)))


def _edited_features(edits: dict[str, str]) -> str:
    text = FEATURES
    for old, new in edits.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_a_scale_must_be_finite() -> None:
    work = recognise(parse(SIGMOID.replace(ARGUMENT, "QK[m, p] / (E - 4)")))
    with pytest.raises(IllegalMappingError, match=r"the scale of SN\[m, p\] must be finite for the array, not inf"):
        scaling_of(work.tasks["sigmoid"], {"E": 4, "F": 4, "M": 8, "P": 4})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (str(zoo.load("softmax")), "- X m p - -"),
        (SOFTMAX, "Q K m p e -"),
        ("rank B, M, P\ninput X[b:B, p:P, m:M]\n{}output A", "- X m p - b"),
        ("rank B, M, P\ninput X[m:M, b:B, p:P]\n{}output A", "- X m p - b"),
    ],
)
def test_softmaxes(text: str, expected: str) -> None:
    """Scores are a product or an input, with axes in any order; the last rank but the keys' is that of the columns."""
    axes = re.findall(r"X(\[[^]]*\])", text)[:1]
    read = re.sub(r":\w+", "", axes[0]) if axes else ""
    body = (
        f"GM[b, p] = max[m](X{read})\nSN[b, m, p] = exp(X{read} - GM[b, p])\nSD[b, p] = sum[m](SN[b, m, p])\n"
        "A[b, m, p] = SN[b, m, p] / SD[b, p]\n"
    )
    work = recognise(parse(text.replace("{}", body)))
    query, *rest = expected.split()
    assert (work.kernel.name, work.kernel.passes) == ("softmax", 3)
    assert (work.query.tensor if work.query else "-") == query
    found = work.key.tensor, work.rows, work.columns, work.steps or "-", *(work.shared or ("-",))
    assert found == (*rest,)
    assert work.value is None and work.output.tensor == "A"


@pytest.mark.parametrize("name", [name for name in zoo.names() if name not in RUN])
def test_the_rest_of_the_zoo_is_refused(name: str) -> None:
    """Every sentence names an Einsum of the cascade and what it needs; the operations are those it is written with."""
    cascade = zoo.load(name)
    with pytest.raises(IllegalMappingError) as caught:
        recognise(cascade)
    for sentence in caught.value.violations:
        match = re.fullmatch(refusal("E", "N").replace("E needs N", r"(\S.*\]) needs (.*)"), sentence)
        assert match is not None, sentence
        einsum = match[1]
        assert einsum.partition("[")[0] in cascade.tensor
        assert re.fullmatch(
            r"[\w+*/ -]+( over [\w, ]+?)?(, under its [a-z ]+,)? in this place|a second [a-z ]+", match[2]
        )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Z[m, n] = A[m, k] * B[k, n]", "A B m n k - -"),
        ("Z[m, n] = B[k, n] * A[m, k]", "A B m n k - -"),
        ("Z[n, m] = A[m, k] * B[k, n]", "B A n m k - -"),
        ("Z[n, m] = sum[k](B[k, n] * A[m, k])", "B A n m k - -"),
        ("Z[m, n] = A[m, k] * A[n, k]", "A A m n k - -"),
        ("Z[h, m, n] = C[h, m, k] * D[h, k, n]", "C D m n k h -"),
        ("Z[m, h, n] = D[h, k, n] * C[h, m, k]", "C D m n k h -"),
        ("Z[h, m, n] = C[h, m, k] * B[k, n]", "B C n m k - h"),
        ("Z[h, n, m] = A[m, k] * D[h, k, n]", "A D m n k - h"),
    ],
)
def test_matrix_products(text: str, expected: str) -> None:
    """Keys are the operand with one rank of its own, the first on the left; queries may have more, in a group."""
    key, query, rows, columns, steps, shared, group = expected.split()
    head = "rank H, M, N = M, K\ninput A[m:M, k:K], B[k:K, n:N], C[h:H, m:M, k:K], D[h:H, k:K, n:N]\n"
    used = [name for name in "ABCD" if f"{name}[" in text]
    declared = ", ".join(part for part in re.findall(r"[A-D]\[[^]]*\]", head) if part[0] in used)
    ranks = "rank H, M, N, K" if "A" not in used or used != ["A"] else "rank M, K\nrank N = M"
    ranks = ranks if "h" in text else ranks.replace("H, ", "")
    work = recognise(parse(f"{ranks}\ninput {declared}\n{text}\noutput Z"))
    assert work.query is not None
    found = work.key.tensor, work.query.tensor, work.rows, work.columns, work.steps
    assert (work.kernel.name, found) == ("product", (key, query, rows, columns, steps))
    assert (work.shared, work.group) == tuple(() if names == "-" else (names,) for names in (shared, group))
    assert work.value is None and work.outputs is None and work.output.tensor == "Z"


def test_forms_of_writing_are_the_same() -> None:
    """Either order of a sum, a product or a maximum, and exp of a difference or expsub."""
    text = TEXT
    for old, new in (
        ("max(RM[m1, p], LM[m1, p])", "max(LM[m1, p], RM[m1, p])"),
        ("exp(BQK[m1, m0, p] - RM[m1 + 1, p])", "expsub(BQK[m1, m0, p], RM[m1 + 1, p])"),
        ("expsub(RM[m1, p], RM[m1 + 1, p])", "exp(RM[m1, p] - RM[m1 + 1, p])"),
        ("SLN[m1, m0, p] * BV[f, m1, m0]", "BV[f, m1, m0] * SLN[m1, m0, p]"),
        ("SLD[m1, p] + SPD[m1, p]", "SPD[m1, p] + SLD[m1, p]"),
        ("RNV[f, m1, p] * PRM[m1, p]", "PRM[m1, p] * RNV[f, m1, p]"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    assert set(recognise(parse(text)).tasks) == ATTENTION


@pytest.mark.parametrize(
    ("old", "new", "einsum", "needs"),
    [
        # A generation of the running maximum that is not the tile's own.
        ("exp(BQK[m1, m0, p] - RM[m1 + 1, p])", "exp(BQK[m1, m0, p] - RM[m1, p])", "SLN[m1, m0, p]", "- and exp"),
        # The correction the wrong way round.
        ("expsub(RM[m1, p], RM[m1 + 1, p])", "expsub(RM[m1 + 1, p], RM[m1, p])", "PRM[m1, p]", "expsub"),
        # The quotient the wrong way round.
        ("RNV[f, M1, p] / RD[M1, p]", "RD[M1, p] / RNV[f, M1, p]", "AV[f, p]", "/"),
        # Filters where the array has no mask.
        ("- RM[m1 + 1, p])", "- RM[m1 + 1, p]) where m1 <= p", "SLN[m1, m0, p]", "- and exp, under its filter,"),
        ("/ RD[M1, p]", "/ RD[M1, p] where p < 3 else 1", "AV[f, p]", "/, under its filter and else,"),
        # Other operations in place of those of the array.
        ("max[m0](BQK", "min[m0](BQK", "LM[m1, p]", "min over m0"),
        ("max(RM[m1, p], LM[m1, p])", "max(RM[m1, p], LM[m1, p] + 1)", "RM[m1 + 1, p]", "+ and max"),
        ("SLD[m1, p] + SPD", "SLD[m1, p] - SPD", "RD[m1 + 1, p]", "-"),
    ],
)
def test_near_misses_are_refused(old: str, new: str, einsum: str, needs: str) -> None:
    with pytest.raises(IllegalMappingError) as caught:
        recognise(parse(edited(old, new)))
    # What depends on it is not named; what another kernel would need may be.
    expected = refusal(einsum, f"{needs} in this place")
    assert any(re.fullmatch(expected, sentence) for sentence in caught.value.violations)
    assert len(caught.value.violations) <= 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            edited("init RD[0, p] = 0", "init RD[0, p] = 1"),
            r"init RD\[0, p\] must start from 0, as the vector row does; rewrite it so",
        ),
        (
            edited("init RM[0, p] = -inf", "init RM[0, p] = 0"),
            r"init RM\[0, p\] must start from -inf, as the vector row does; rewrite it so",
        ),
        (
            edited("output AV", "output AV, RM"),
            r"the outputs of '\w+' must be AV alone for the array, not AV, RM",
        ),
        (
            "rank M, K\ninput A[m:M, k:K]\nZ[m] = A[m, k] * A[m, k]\noutput Z",
            r"Z\[m\] must read two tensors, or one at two places, not squares of one",
        ),
        (
            SOFTMAX.replace("exp(QK[m, p]", "exp(QK[M - 1 - m, p]"),
            r"SN\[m, p\] must read QK by rank variables alone, for it stays inside the array, not at -m \+ M - 1; "
            "change the indices of inputs or of the output instead",
        ),
        (
            SOFTMAX.replace("QK[m, p] =", "QK[M - 1 - m, p] =").replace("\nQK", "\ntensor QK[m:M, p:P]\nQK"),
            r"QK\[-m \+ M - 1, p\] must write QK by rank variables alone, for it stays inside the array, not at "
            r"-m \+ M - 1; change the indices of inputs or of the output instead",
        ),
        (
            "rank M, N, K\ninput A[m:M, k:K], B[n:N]\nZ[m, n] = A[m, k] * B[n]\noutput Z",
            r"Z\[m, n\] must read two tensors along k, which it sums over",
        ),
        (
            "rank M, K\ninput A[m:M, k:K], B[k:K]\nZ[m] = A[m, k] * B[k]\noutput Z",
            r"Z\[m\] must have one rank of keys, for the rows, and one of queries, for the columns",
        ),
        (
            VALUES_PER_QUERY,
            r"SLNV\[f, m1, p\] must read V along the ranks of the keys and one of its own, not f, M:M1\*M0, p",
        ),
        (
            PRODUCT.replace("output Z", "Y[m, n] = A[m, k] * B[k, n]\noutput Z, Y"),
            refusal("Y[m, n]", "a second product"),
        ),
        (
            "rank M, N\ninput A[m:M, n:N]\nZ[m] = min[n](A[m, n])\noutput Z",
            refusal("Z[m]", "min over n in this place"),
        ),
        (
            SOFTMAX.replace("sum[m](SN[m, p])", "sum[p](SN[m, p])").replace("SD[p]", "SD[m]"),
            r"SD\[m\] must be over m, as the maximum of the scores is, not over p",
        ),
        (
            SOFTMAX.replace("rank E, M, P", "rank E, M\nrank P = M").replace("/ SD[p]", "/ SD[m]"),
            r"A\[m, p\] must read SD along p, as it is written, for the array; rewrite it so",
        ),
    ],
)  # fmt: skip
def test_what_the_array_does_otherwise_is_refused(text: str, message: str) -> None:
    with pytest.raises(IllegalMappingError, match=f"^{message}$"):
        recognise(parse(text))


def test_a_part_of_a_kernel_is_refused() -> None:
    text = "rank E, M, P\ninput Q[e:E, p:P], K[e:E, m:M]\nS[m, p] = Q[e, p] * K[e, m]\nT[p] = max[m](S[m, p])\noutput T"
    with pytest.raises(
        IllegalMappingError,
        match=r"^all works of softmax \(product, maximum, exponential, sum, weights\) must be there for the array, but "
        rf"'\w+' has product, maximum; {REMEDY}$",
    ):
        recognise(parse(text))
