"""A cascade is split into programs of the array by what its Einsums compute; what is in none is refused, and named."""

import re

import pytest
from array_programs import SOFTMAX
from attention_cascades import attention

from einsum_cascade import parse, zoo
from einsum_cascade.errors import IllegalMappingError
from einsum_cascade.recognition.sequence import recognise_sequence
from einsum_cascade.recognition.works import recognise

PROJECTIONS = ["product: WQ X -> Q", "product: WK X -> K", "product: WV X -> V"]
CHAIN = """
rank M, K, N, L
input A[m:M, k:K], B[k:K, n:N], C[n:N, l:L]
Y[m, n] = A[m, k] * B[k, n]
Z[m, l] = Y[m, n] * C[n, l]
output Z
"""


def split(text: str) -> list[str]:
    """Return the kernel of each program, what it reads, and what it makes."""
    found: list[str] = []
    for work in recognise_sequence(parse(text)):
        operands = sorted(each.tensor for each in (work.query, work.key, work.value) if each is not None)
        found.append(f"{work.kernel.name}: {' '.join(operands)} -> {work.output.tensor}")
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("attention", ["softmax: K Q -> A", "product: A V -> AV"]),
        ("attention-causal", ["softmax: K Q -> A", "product: A V -> AV"]),
        ("attention-self", [*PROJECTIONS, "softmax: K Q -> A", "product: A V -> AV"]),
        ("attention-deferred-self", [*PROJECTIONS, "two-pass attention: K Q V -> AV"]),
        ("attention-1pass-self", [*PROJECTIONS, "attention: K Q V -> AV"]),
    ],
)
def test_attention_of_the_zoo(name: str, expected: list[str]) -> None:
    assert split(str(zoo.load(name))) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CHAIN, ["product: A B -> Y", "product: C Y -> Z"]),
        # A result between may be an output, too, and outputs may be in any order.
        (CHAIN.replace("output Z", "output Z, Y"), ["product: A B -> Y", "product: C Y -> Z"]),
        # The product is read as scores only, and is part of the softmax; or it is an output, and a program.
        (SOFTMAX, ["softmax: K Q -> A"]),
        (SOFTMAX.replace("output A", "output A, QK"), ["product: K Q -> QK", "softmax: QK -> A"]),
        # A program is where its result is, whatever is written between its Einsums.
        (
            SOFTMAX.replace("rank E", "rank F, E")
            .replace("m:M]", "m:M], V[f:F, m:M]")
            .replace("SD[p] =", "T[e, f] = K[e, m] * V[f, m]\nSD[p] =")
            .replace("output A", "AV[f, p] = V[f, m] * A[m, p]\noutput T, AV"),
            ["product: K V -> T", "softmax: K Q -> A", "product: A V -> AV"],
        ),
    ],
)
def test_splits(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_layers_of_attention_follow_one_another() -> None:
    """Three layers, each of which reads the results of the one before as queries."""
    lines = ["rank E, M, P", "input Q0[e:E, p:P], K[e:E, m:M], V[f:E, m:M]"]
    for at in range(3):
        lines += [
            f"S{at}[m, p] = Q{at}[e, p] * K[e, m]",
            f"G{at}[p] = max[m](S{at}[m, p])",
            f"N{at}[m, p] = exp(S{at}[m, p] - G{at}[p])",
            f"D{at}[p] = sum[m](N{at}[m, p])",
            f"W{at}[f, p] = N{at}[m, p] * V[f, m]",
            f"Q{at + 1}[f, p] = W{at}[f, p] / D{at}[p]",
        ]
    text = "\n".join([*lines, "output Q3"])
    assert split(text) == [f"two-pass attention: K Q{at} V -> Q{at + 1}" for at in range(3)]


def test_a_cascade_of_one_program_is_itself() -> None:
    cascade = zoo.load("attention-1pass")
    (work,) = recognise_sequence(cascade)
    assert work.cascade == recognise(cascade).cascade
    assert work.cascade.outputs == ("AV",)


def refusals(text: str) -> list[str]:
    """Return the Einsums that are refused, in the order of the sentences."""
    with pytest.raises(IllegalMappingError) as caught:
        recognise_sequence(parse(text))
    return [match[1] for each in caught.value.violations if (match := re.search(r"Einsum, but (\S.*?\]) needs", each))]


ONE_PASS = attention("1-pass")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Whole products around it are programs; it alone is refused.
        (CHAIN.replace("Y[m, n] * C[n, l]", "T[m, n] * C[n, l]").replace("Z[m", "T[m, n] = exp(Y[m, n])\nZ[m", 1), 1),
        # Attention that lacks something is told of attention, its product being the scores of that.
        (ONE_PASS.replace("expsub(RM[m1, p], RM[m1 + 1, p])", "expsub(RM[m1 + 1, p], RM[m1, p])"), 1),
        (str(zoo.load("attention-1pass-lse")), 1),
        (str(zoo.load("attention-lse")), 1),
        (str(zoo.load("layernorm-matmul")), 1),
    ],
)
def test_only_what_is_in_no_kernel_is_refused(text: str, expected: int) -> None:
    assert len(refusals(text)) == expected


@pytest.mark.parametrize("kernel", ["product", "softmax"])
def test_results_that_a_filter_leaves_out_are_no_scores(kernel: str) -> None:
    """They are 0 in memory: the same as nothing to a product, a score of 0 to a softmax."""
    filtered = CHAIN.replace("B[k, n]\n", "B[k, n] where m <= n\n")
    assert split(filtered) == ["product: A B -> Y", "product: C Y -> Z"]
    softmax = (
        "GM[l] = max[m](Z[m, l])\nSN[m, l] = exp(Z[m, l] - GM[l])\nSD[l] = sum[m](SN[m, l])\n"
        "W[m, l] = SN[m, l] / SD[l]\noutput W, Z"
    )
    text, scores = filtered.replace("output Z", softmax), r"Z"
    if kernel == "product":
        text, scores = text.replace("output W, Z", "output W"), r"Y"
    message = (
        r"\S+\[.*\] must read all elements of "
        rf"{scores} for the array, but a filter leaves some out; filter the scores instead"
    )
    with pytest.raises(IllegalMappingError, match=f"^{message}$"):
        recognise_sequence(parse(text))
