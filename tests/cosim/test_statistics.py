"""Sums and maxima that leave beside the results of attention: where they are asked for, and log-sum-exp from them."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from array_programs import in_blocks, mistakes
from model_runs import modelled
from random_counts import draw_seed, random_count

from einsum_cascade import evaluate, load_architecture, parse, random_inputs, resolve_extents, zoo
from einsum_cascade.cascade.text import to_text
from einsum_cascade.cosim.accuracy import Accuracy, accuracy_of
from einsum_cascade.cosim.memory_timing import MemoryTiming
from einsum_cascade.cosim.simulation import simulate
from einsum_cascade.lowering.prepared import Prepared
from einsum_cascade.recognition.sequence import HostWork
from einsum_cascade.recognition.works import ArrayWork
from einsum_cascade.study.preparation import prepare

ARRAY = load_architecture("fusemax-4x4")
SCORES = "S[b, m, p] = Q[b, e, p] * K[b, e, m]{scale}{mask}\n"
TWO_PASSES = """
rank B, E, F, M, P
input Q[b:B, e:E, p:P], K[b:B, e:E, m:M], V[b:B, f:F, m:M]
{scores}G[b, p] = max[m](S[b, m, p])
N[b, m, p] = exp(S[b, m, p] - G[b, p])
D[b, p] = sum[m](N[b, m, p])
NV[b, f, p] = N[b, m, p] * V[b, f, m]
A[b, f, p] = NV[b, f, p] / D[b, p]{otherwise}
"""
LOG_SUM_EXP = "L[b, p] = log(D[b, p]) + G[b, p]\n"


def two_passes(outputs: str, scale: str, mask: str) -> str:
    """Attention with what is to leave; queries that the mask leaves no key are 0."""
    otherwise = " where p >= 3 else 0" if "+ 3" in mask else ""
    text = TWO_PASSES.format(scores=SCORES.format(scale=scale, mask=mask), otherwise=otherwise)
    return text + (LOG_SUM_EXP if "L" in outputs else "") + f"output {outputs}"


def case_of(text: str, **extents: int) -> Prepared:
    cascade = parse(text)
    return prepare(cascade, ARRAY, resolve_extents(cascade, extents))


def leaving(case: Prepared) -> list[set[str]]:
    """What leaves the array beside the results of each of its programs."""
    return [{*work.statistics} for work in case.works if isinstance(work, ArrayWork)]


def checked(case: Prepared, seed: int) -> dict[str, np.ndarray]:
    """What model and host make; every word of the array is as near as its formats allow."""
    stored, found = case.stored(random_inputs(case.cascade, case.extents, seed)), list[Accuracy]()
    made = modelled(case, stored, lambda *those: found.append(accuracy_of(*those)))
    assert sum(each.beyond for each in found) == 0, found
    exact = evaluate(case.cascade, stored, case.extents, allows_empty=True)
    for name in case.cascade.outputs:
        is_known = np.isfinite(exact[name])
        assert np.array_equal(np.isneginf(made[name]), np.isneginf(exact[name])), name
        # Of bf16 scores and weights, whose sums are of few keys.
        assert np.abs(made[name][is_known] - exact[name][is_known]).max(initial=0) < 0.05, name
    return made


def test_they_leave_where_they_are_asked_for(seed: int) -> None:
    """Two passes over the keys: any of the sum and the maximum, masks that leave queries none, blocks of heads, scales.

    The host makes log-sum-exp of both, multiplied by the scale again; a maximum of scaled scores that is an output is
    none that the array has.
    """
    random = Random(f"{seed} statistics")
    for number in range(random_count(60)):
        outputs = random.choice(["A, L", "A, G, D", "D, A", "A, G, L", "L, D, A"])
        scale = random.choice(["", " * 0.25", " / sqrt(E)"]) if "G" not in outputs else ""
        mask = random.choice(["", " where m <= p", " where m + 3 <= p", " where p < m + 4 and m <= p"])
        sizes = {"B": random.randint(1, 2), "E": random.randint(1, 9), "F": random.randint(1, 9)}
        case = case_of(two_passes(outputs, scale, mask), **sizes, M=random.randint(4, 14), P=random.randint(4, 14))
        print(number, outputs, scale, mask, case.extents)
        wanted = {"sum"} if outputs == "D, A" else {"sum", "maximum"}
        assert leaving(case) == [wanted]
        assert any(isinstance(work, HostWork) for work in case.works) == ("L" in outputs)
        checked(case, number)


@pytest.mark.parametrize("mask", ["", " where m1*M0 + m0 <= p"])
def test_of_running_state_the_last_leaves(mask: str) -> None:
    """The zoo's attention with running maxima and its log-sum-exp, alone and causal: one program, and one sum."""
    text = to_text(zoo.load("attention-1pass-lse"))
    (product,) = (line for line in text.splitlines() if line.startswith("BQK["))
    case = case_of(text.replace(product, product + mask), E=6, F=5, M=13, P=7, M0=4)
    assert leaving(case) == [{"sum", "maximum"}]
    (host,) = (work for work in case.works if isinstance(work, HostWork))
    assert host.outputs == ("LSE",)
    checked(case, 1)


def test_a_history_of_running_state_does_not_leave() -> None:
    text = to_text(zoo.load("attention-1pass")).replace("output AV", "output AV, RM")
    case = case_of(text, E=4, F=4, M=9, P=5, M0=4)
    assert {"sum", "maximum"} not in leaving(case)
    made = modelled(case, case.stored(random_inputs(case.cascade, case.extents, 2)))
    assert made["RM"].shape == (4, 5)


def test_the_rtl_lets_them_leave() -> None:
    """Bit for bit as in the model, and in as many cycles: both kernels, blocks with running state, slow memory."""
    random = Random(draw_seed())
    last, running = two_passes("A, G, D, L", "", " where m + 3 <= p"), to_text(zoo.load("attention-1pass-lse"))
    for number in range(random_count(20)):
        sizes = {"E": random.randint(1, 9), "F": random.randint(1, 9), "M": random.randint(9, 30), "P": 11}
        case = case_of(running, **sizes, M0=4) if number % 2 else case_of(last, **sizes, B=2)
        memory = MemoryTiming(random.choice([0, 20]), random.choice([0.0, 3.0]))
        (step,) = case.steps
        blocks = in_blocks(step.lowered.program, 2)
        if number % 4 == 1 and not mistakes(blocks):
            step = replace(step, lowered=replace(step.lowered, program=blocks))
        assert step.lowered.program.has_statistics
        result = simulate(replace(case, steps=(step,)), random_inputs(case.cascade, case.extents, number), memory)
        assert result.is_agreed, result.to_json()
