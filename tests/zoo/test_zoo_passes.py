"""Pass counts of the zoo, each derived by hand from the definition (DESIGN section 4) before the analysis was run.

In every derivation a pass is a traversal of one fiber; "free" means that an Einsum reads nothing of the family.
"""

import pytest

from einsum_cascade import zoo
from einsum_cascade.analysis.passes import passes

# Scores, maximum, exponentials, sum, division.
# K/M: pass 1 QK, whose maximum GM needs every key. Pass 2 SN re-reads QK with GM, its sum SD needs every key.
#      Pass 3 A re-reads SN with SD, and AV reads A as it comes.
# V/M: AV alone reads V: 1.   QK/M: read by GM (1), SN (2), then A through SN (3).   SN/M: SD (1), A (2).   A/M: 1.
# Q/P, QK/P, SN/P: nothing is reduced over P.   Q/E, K/E: QK alone reads them along E.   V/F: AV alone.
THREE_PASS = {
    "K/M": 3, "V/M": 1, "QK/M": 3, "SN/M": 2, "A/M": 1,
    "Q/P": 1, "QK/P": 1, "SN/P": 1, "GM/P": 1, "SD/P": 1, "Q/E": 1, "K/E": 1, "V/F": 1,
}  # fmt: skip

# The division waits until after the sum over M.
# K/M: pass 1 QK and GM; pass 2 SN, and both sums over it, SD and SNV. AV is free. V/M: SNV alone, 1. SN/M: 1.
DEFERRED = {
    "K/M": 2, "V/M": 1, "QK/M": 2, "SN/M": 1, "Q/P": 1, "QK/P": 1, "SNV/F": 1, "Q/E": 1, "K/E": 1, "V/F": 1,
}  # fmt: skip

# Maxima per tile.
# K/M: a tile of K is visited: BK, BQK, its maximum LM, SLN and SLD, all within the visit: pass 1. GM needs all tiles.
#      PRM and GD read LM, SLD, which lack M0 and so are summaries, not family: free. CN re-reads SLN with PRM: pass 2,
#      and A divides it by GD, known by then. AV reads A: pass 2. The same for BK/M, BQK/M along the composite.
# V/M, BV/M: BV is copied and used in the same visit: 1.
# BK/M1 (a fiber is one m0): LM, SLD, PRM carry M1 and are family now. Pass 1 BQK, LM, SLN, SLD; GM ends it. Pass 2: PRM
#      re-reads LM; GD sums SLD * PRM and ends it; CN. Pass 3: A re-reads CN with GD. BV/M1: AV alone, 1.
# BK/M0 (a fiber is one tile): pass 1 BQK, ended by LM. Pass 2: SLN re-reads BQK with LM; SLD ends it, and with it GD.
#      CN, too, is pass 2 (PRM needs only LM). Pass 3: A re-reads CN with GD. BV/M0: 1.
# LM/M1: pass 1 GM, SLN, SLD; pass 2 PRM with GM, GD, CN; pass 3 A re-reads CN with GD.
# SLN/M: pass 1 SLD, and CN, since PRM does not depend on SLN; GD needs every SLD; pass 2 A re-reads CN.
TWO_PASS = {
    "K/M": 2, "V/M": 1, "BK/M": 2, "BQK/M": 2, "BV/M": 1, "BK/M1": 3, "BK/M0": 3, "BQK/M1": 3, "BQK/M0": 3,
    "BV/M1": 1, "BV/M0": 1, "LM/M1": 3, "SLN/M": 2, "Q/P": 1, "Q/E": 1,
}  # fmt: skip

# Running maxima.
# K/M: while a tile is visited: BK, BQK, LM, the next generation of RM, SLN, SLD, SLNV, PRM, SPD, RD, SPNV, RNV.
#      AV reads final generations, which do not go along M: free. One pass. V/M: BV and SLNV in one visit: 1.
# BK/M1: the same with every tensor in the family; generation m1 + 1 is made at m1, m1 at m1 - 1: streaming. 1.
# BK/M0 (one tile): LM ends pass 1, and RM with it; SLN re-reads BQK with RM: pass 2, with SLD and SLNV in it. 2.
# BV/M0: SLNV alone reads BV inside a tile: 1.
# RM/M1, RD/M1, RNV/M1: read at m1 and m1 + 1 while they are made, and at the end: 1.
ONE_PASS = {
    "K/M": 1, "V/M": 1, "BK/M": 1, "BQK/M": 1, "BV/M": 1, "BK/M1": 1, "BK/M0": 2, "BQK/M0": 2, "BV/M1": 1, "BV/M0": 1,
    "RM/M1": 1, "RD/M1": 1, "RNV/M1": 1, "SLN/M0": 1, "Q/P": 1, "Q/E": 1,
}  # fmt: skip

FORMS = {"": THREE_PASS, "-deferred": DEFERRED, "-2pass": TWO_PASS, "-1pass": ONE_PASS}

# A filter never lowers a count. Ranks that ride along (G, R) are never reduced; query heads share K and V.
ATTENTION = {
    f"attention{form}{setting}": expected for form, expected in FORMS.items() for setting in ("", "-causal", "-window")
} | {f"attention{form}-gqa": expected | {"Q/G": 1, "Q/R": 1, "K/G": 1} for form, expected in FORMS.items()}

# LSE reads GM and SD (or the final generations of RM and RD) only: free.
ATTENTION |= {"attention-lse": THREE_PASS, "attention-1pass-lse": ONE_PASS}

OTHERS = {
    # Y needs all of A and B; Z re-reads A with Y. B is not read again.
    "pedagogical-2pass": {"A/K": 2, "B/K": 1},
    # Y and X are two sums in the same pass; Z is free.
    "pedagogical-deferred": {"A/K": 1, "B/K": 1},
    # RY[k + 1] is made while A[k], B[k] are visited; RZ[k + 1] needs A[k], RY[k], RY[k + 1], RZ[k]. Z is free.
    "pedagogical-iterative": {"A/K": 1, "B/K": 1, "RY/K": 1, "RZ/K": 1},
    # K/M: PK, then KV and KS in the same pass; queries are free. V/M: KV. Q/P: no reduction over P.
    # Q/E: PQ, read by NV and ND as it comes, with KV and KS, which do not depend on Q: 1.
    # K/E: the family is PK, KV and KS (both keep E); NV and ND read KV and KS as they come along E: 1.
    "attention-linear": {"K/M": 1, "V/M": 1, "Q/P": 1, "Q/E": 1, "K/E": 1, "PK/M": 1},
    # K/N: generation n + 1 of KV and KS is made when token n is visited, and NV, ND read it there. Q/N: NV and ND at n.
    "attention-linear-causal": {"K/N": 1, "V/N": 1, "Q/N": 1, "PK/N": 1, "KV/N": 1},
    # No statistic of a row: QK, SN and the sum AV in one pass.
    "attention-sigmoid": {"K/M": 1, "V/M": 1, "Q/P": 1, "QK/M": 1},
    # S, then the generations n + 1 of RM, U, W and the output of the prefix, all while token n is visited.
    "attention-aaren": {"K/N": 1, "V/N": 1, "S/N": 1, "RM/N": 1, "W/N": 1},
    # GM needs all of X; SN re-reads X with it, SD needs all of SN; A re-reads SN.
    "softmax": {"X/M": 3, "X/P": 1, "SN/M": 2},
    # MU needs all of X; XC re-reads X with it, SS needs all of XC; Y re-reads XC with R. Nothing is reduced over N.
    "layernorm": {"X/D": 3, "X/N": 1, "XC/D": 2, "GAMMA/D": 1},
    # SS needs all of X; Y re-reads X with R.
    "rmsnorm": {"X/D": 2, "X/N": 1, "GAMMA/D": 1},
    # As layernorm; Z reads Y as it comes, in pass 3. W is read by Z alone. GAMMA is read by Y, and Y by Z.
    "layernorm-matmul": {"X/D": 3, "X/N": 1, "Y/D": 1, "W/D": 1, "W/O": 1, "GAMMA/D": 1},
}

# X is read by m (keys and values) and by p (queries), which count as independent ranks.
# By m: K and V are of the family, so X goes with K: 3, 2, 2, 1; V does not need more than K, since AV (SNV, SLNV)
# reads V in the last pass. By p: Q, QK, ..., AV keep P and nothing is reduced over it: 1. The headline is the longest.
SELF = {
    "attention-self": {("m",): 3, ("p",): 1},
    "attention-deferred-self": {("m",): 2, ("p",): 1},
    "attention-2pass-self": {("m",): 2, ("p",): 1},
    "attention-1pass-self": {("m",): 1, ("p",): 1},
}

CASES = [
    (name, *key.split("/"), count) for name, expected in (ATTENTION | OTHERS).items() for key, count in expected.items()
]


@pytest.mark.parametrize(("name", "tensor", "rank", "count"), CASES)
def test_pass_count_is_the_derived_one(name: str, tensor: str, rank: str, count: int) -> None:
    bound = passes(zoo.load(name), tensor, rank)
    assert (bound.count, bound.is_exact) == (count, True), bound.doubts


@pytest.mark.parametrize(("name", "by_variable"), SELF.items())
def test_tokens_of_self_attention_count_by_variable(name: str, by_variable: dict[tuple[str, ...], int]) -> None:
    bound = passes(zoo.load(name), "X", "N")
    assert {via.variables: via.count for via in bound.via} == by_variable
    assert bound.count == max(by_variable.values())


@pytest.mark.parametrize("form", FORMS)
def test_projected_keys_and_values_count_like_given_ones(form: str) -> None:
    cascade = zoo.load(f"attention{form}-self")
    for key, count in FORMS[form].items():
        bound = passes(cascade, *key.split("/"))
        assert bound.count == count, key


def test_every_cascade_has_a_derivation() -> None:
    assert {*ATTENTION, *OTHERS, *SELF} == {*zoo.names()}
