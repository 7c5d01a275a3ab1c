"""Programs in one submission, the host doing nothing between them: equal in every bit to the way through the host."""

from random import Random

import numpy as np
import pytest
from random_counts import draw_seed, random_count

from einsum_cascade import load_architecture, parse, random_inputs, resolve_extents, zoo
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.cosim.memory_timing import MemoryTiming
from einsum_cascade.cosim.simulation import CosimResult, simulate
from einsum_cascade.study.preparation import prepare

SMALL, MEDIUM = "fusemax-4x4", "fusemax-8x8-4stages"

BLOCK = """
rank H, D, E, F, N, M0
rank M = N
rank P = N
rank M1 = M/M0
rank J = H*F
input X[d:D, n:N]
param WQ[h:H, d:D, e:E], WK[h:H, d:D, e:E], WV[h:H, d:D, f:F], WO[o:D, j:J]
Q[h, p, e] = X[d, p] * WQ[h, d, e]
K[e, h, m] = WK[h, d, e] * X[d, m]
V[h, f, m] = WV[h, d, f] * X[d, m]
QK[h, m1, m0, p] = Q[h, p, e] * K[e, h, m1*M0 + m0] where m1*M0 + m0 <= p
init RM[h, 0, p] = -inf
init RD[h, 0, p] = 0
init RN[h, f, 0, p] = 0
LM[h, m1, p] = max[m0](QK[h, m1, m0, p])
RM[h, m1 + 1, p] = max(RM[h, m1, p], LM[h, m1, p])
SN[h, m1, m0, p] = exp(QK[h, m1, m0, p] - RM[h, m1 + 1, p])
SD[h, m1, p] = sum[m0](SN[h, m1, m0, p])
SV[h, f, m1, p] = SN[h, m1, m0, p] * V[h, f, m1*M0 + m0]
PM[h, m1, p] = expsub(RM[h, m1, p], RM[h, m1 + 1, p])
PD[h, m1, p] = RD[h, m1, p] * PM[h, m1, p]
RD[h, m1 + 1, p] = SD[h, m1, p] + PD[h, m1, p]
PV[h, f, m1, p] = RN[h, f, m1, p] * PM[h, m1, p]
RN[h, f, m1 + 1, p] = SV[h, f, m1, p] + PV[h, f, m1, p]
tensor AV[j:J, p:P]
AV[h*F + f, p] = RN[h, f, M1, p] / RD[h, M1, p]
O[o, p] = WO[o, j] * AV[j, p]
output O
"""


def check(
    cascade: Cascade, architecture: str, extents: dict[str, int], memory: MemoryTiming, seed: int
) -> tuple[CosimResult, CosimResult]:
    """Run both ways; all that leaves is the same in every bit."""
    machine, sizes = load_architecture(architecture), resolve_extents(cascade, extents)
    inputs = random_inputs(cascade, sizes, seed)
    chained, apart = (
        simulate(prepare(cascade, machine, sizes, is_chained=is_chained), inputs, memory)
        for is_chained in (True, False)
    )
    assert chained.is_right and apart.is_right
    for name, values in apart.outputs.items():
        assert np.array_equal(chained.outputs[name].view(np.uint32), values.view(np.uint32)), name
    return chained, apart


@pytest.mark.parametrize("architecture", [SMALL, MEDIUM])
def test_self_attention_with_projections(architecture: str) -> None:
    n = 4 if architecture == SMALL else 8
    cascade = zoo.load("attention-1pass-self")
    sizes = {"D": 8, "E": 12, "F": 5, "N": 3 * n + 1, "M0": n}
    chained, apart = check(cascade, architecture, sizes, MemoryTiming(9, 2.4), 3)
    assert (chained.prepared.submissions, apart.prepared.submissions) == (1, 4)
    assert chained.to_json()["through_host"] == {}


def test_heads_with_projections_and_a_causal_mask() -> None:
    """The output projection adds up heads and values: one rank, of whose rows each head writes a part."""
    sizes = {"H": 2, "D": 8, "E": 8, "F": 8, "N": 11, "M0": 4}
    chained, apart = check(parse(BLOCK), SMALL, sizes, MemoryTiming(0, 5.0, backpressure=7), 4)
    assert (chained.prepared.submissions, apart.prepared.submissions) == (1, 5)


def _draw_chain(random: Random) -> tuple[str, dict[str, int]]:
    """Draw products of products: any order of axes and of operands, either rank added up, with heads or without."""
    heads = random.choice(["", "h"])
    summed, kept = random.sample("mn", 2)
    last, left = random.sample([kept, "l"], 2)

    def drawn(name: str, axes: str) -> tuple[str, str]:
        order = random.sample(axes + heads, len(axes + heads))
        return f"{name}[{', '.join(order)}]", f"{name}[{', '.join(f'{axis}:{axis.upper()}' for axis in order)}]"

    inputs = [drawn("A", "mk"), drawn("B", "kn"), drawn("C", f"{summed}l"), drawn("D", f"{last}o")]
    (one, two, three, four), declared = zip(*inputs, strict=True)
    made = [drawn(name, axes)[0] for name, axes in (("Y", "mn"), ("Z", f"{kept}l"), ("R", f"{left}o"))]
    operands = (one, two), (made[0], three), (made[1], four)
    lines = [f"{left} = {' * '.join(random.sample(own, 2))}" for left, own in zip(made, operands, strict=True)]
    ranks = [axis.upper() for axis in f"mnklo{heads}"]
    text = [f"rank {', '.join(ranks)}", f"input {', '.join(declared)}", *lines, "output R"]
    return "\n".join(text), {name: random.randint(1, 3 if name == "H" else 11) for name in ranks}


def test_random_products_of_products() -> None:
    random, held = Random(draw_seed()), 0
    for number in range(random_count(40, nightly=200)):
        text, sizes = _draw_chain(random)
        memory = random.choice([MemoryTiming(), MemoryTiming(5), MemoryTiming(0, 1.5), MemoryTiming(0, 0.0, number)])
        print(text, sizes, memory)
        chained, _ = check(parse(text), SMALL, sizes, memory, number)
        held += sum(len(step.held) for step in chained.prepared.steps)
    assert held


def test_what_does_not_fit_the_format_is_the_greatest_number_if_asked_for() -> None:
    """greatest + 2^119 is half-way to 2^128 in bf16, whose last place is 2^120 there: to even, it is infinite."""
    cascade = parse(
        "rank M, K, N, L\ninput A[m:M, k:K], B[k:K, n:N], C[n:N, l:L]\n"
        "Y[m, n] = A[m, k] * B[k, n]\nZ[m, l] = Y[m, n] * C[n, l]\noutput Z"
    )
    inputs = {"A": np.array([[2.0**127, 2.0**119]]), "B": np.array([[1.9921875], [1.0]]), "C": np.array([[2.0**-120]])}
    machine, sizes = load_architecture(SMALL), resolve_extents(cascade, {"M": 1, "K": 2, "N": 1, "L": 1})
    for saturates, expected in ((False, np.inf), (True, 128 * 1.9921875)):
        result = simulate(prepare(cascade, machine, sizes, saturates=saturates, is_chained=True), inputs)
        assert result.is_agreed
        assert result.outputs["Z"].tolist() == [[expected]]
        assert result.handed.overflowed == 1
