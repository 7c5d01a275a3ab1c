"""Which results stay in memory for the programs after them, where they lie there, and why others do not."""

from einsum_cascade import load_architecture, parse, resolve_extents, zoo
from einsum_cascade.array.program import Layout
from einsum_cascade.cascade.ir import Cascade
from einsum_cascade.lowering.division import Division, division_of

PRODUCTS = """
rank M, N, K, L
input A[m:M, k:K], B[k:K, n:N], C[n:N, l:L]
"""


def chained(cascade: Cascade, **extents: int) -> Division:
    return division_of(cascade, load_architecture("fusemax-4x4"), resolve_extents(cascade, extents), is_chained=True)


def held(division: Division) -> list[tuple[int, str, list[str]]]:
    return [(each.submission, each.work.output.tensor, sorted(each.held)) for each in division.programs]


def test_self_attention_with_projections_is_one_submission() -> None:
    found = chained(zoo.load("attention-1pass-self"), D=8, E=8, F=8, N=12, M0=4)
    assert held(found) == [(0, "Q", []), (0, "K", []), (0, "V", []), (0, "AV", ["key", "query", "value"])]
    assert found.reasons == {}
    *projections, attention = (each.lowered.program for each in found.programs)
    assert [each.has_operand_rows for each in projections] == [True] * 3
    assert not attention.has_operand_rows
    # Rows of 8 operands of 2 bytes, in beats of 8 bytes; each tensor of 12 rows has a page, after all others.
    assert [attention.query, attention.key, attention.value] == [each.output for each in projections]
    assert [each.output for each in projections] == [Layout(at * 4096, 16, 0) for at in (13, 14, 15)]


def test_a_product_turns_its_operands_round_where_that_gives_the_rows() -> None:
    """Y[m, n] would leave a row for each n, with its m; the next product reads rows of m."""
    text = PRODUCTS + "Y[m, n] = A[m, k] * B[k, n]\nZ[m, l] = Y[m, n] * C[n, l]\noutput Z"
    found = chained(parse(text), M=6, N=7, K=5, L=9)
    assert held(found) == [(0, "Y", []), (0, "Z", ["key"])]
    assert (found.programs[0].work.rows, found.programs[0].work.columns) == ("n", "m")


def test_heads_in_one_rank_with_values_lie_side_by_side() -> None:
    """AV[h*F + f, p] is a row of 2 heads of 8 values for each p: a head is 16 bytes from the one before, a row 32."""
    text = """
rank H, E, F, M, P, D
rank J = H*F
input Q[h:H, e:E, p:P], K[h:H, e:E, m:M], V[h:H, f:F, m:M], W[d:D, j:J]
QK[h, m, p] = Q[h, e, p] * K[h, e, m]
GM[h, p] = max[m](QK[h, m, p])
SN[h, m, p] = exp(QK[h, m, p] - GM[h, p])
SD[h, p] = sum[m](SN[h, m, p])
N[h, f, p] = SN[h, m, p] * V[h, f, m]
tensor AV[j:J, p:P]
AV[h*F + f, p] = N[h, f, p] / SD[h, p]
O[d, p] = W[d, j] * AV[j, p]
output O
"""
    found = chained(parse(text), H=2, E=8, F=8, M=6, P=5, D=3)
    assert held(found) == [(0, "AV", []), (0, "O", ["query"])]
    attention, product = (each.lowered.program for each in found.programs)
    assert (attention.output.stride_bytes, attention.output.head_stride_bytes) == (32, 16)
    assert product.query == Layout(attention.output.address, 32, 0)
    # With 6 values a head of 12 bytes would begin within a beat.
    assert [*chained(parse(text), H=2, E=8, F=6, M=6, P=5, D=3).reasons] == ["AV"]


def test_reasons() -> None:
    product = "Y[m, n] = A[m, k] * B[k, n]\n"
    cases = {
        "it is an output, which leaves in fp32": product + "Z[m, l] = Y[m, n] * C[n, l]\noutput Y, Z",
        "the host reads it": product + "Z[m, l] = Y[m, n] * C[n, l]\nT[m, n] = tanh(Y[m, n])\noutput Z, T",
        "its maker's rows of queries are not the rows that those who read it take": (
            # Both ways round: rows of m for Z, rows of n for the other.
            product + "Z[m, l] = Y[m, n] * C[n, l]\nS[n, k] = Y[m, n] * A[m, k]\noutput Z, S"
        ),
    }
    for reason, text in cases.items():
        found = chained(parse(PRODUCTS + text), M=6, N=7, K=5, L=9)
        assert found.reasons == {"Y": reason}, text
        assert not any(each.held or each.lowered.program.has_operand_rows for each in found.programs)


def test_what_goes_through_the_host_parts_a_submission() -> None:
    text = PRODUCTS + (
        "Y[m, n] = A[m, k] * B[k, n]\nT[m, n] = tanh(Y[m, n])\nZ[m, l] = T[m, n] * C[n, l]\n"
        "X[m, n] = Z[m, l] * C[n, l]\noutput X"
    )
    found = chained(parse(text), M=6, N=7, K=5, L=9)
    assert held(found) == [(0, "Y", []), (1, "Z", []), (1, "X", ["key"])]
    assert found.reasons == {}


def test_sums_beside_the_results_leave_as_they_are() -> None:
    found = chained(zoo.load("attention-linear"), E=8, F=8, M=12, P=6)
    assert found.reasons == {"KV": "it leaves together with KS, in fp32"}


def test_what_is_read_on_both_sides_of_the_host_goes_through_it() -> None:
    """Z reads Y, which would stay, and T, which the host makes of a product that comes after Y."""
    text = PRODUCTS + (
        "Y[m, n] = A[m, k] * B[k, n]\nX[n, l] = B[k, n] * D[k, l]\nT[n, l] = tanh(X[n, l])\n"
        "Z[m, l] = Y[m, n] * T[n, l]\noutput Z"
    )
    found = chained(parse(text.replace("C[n:N, l:L]", "D[k:K, l:L]")), M=6, N=7, K=5, L=9)
    assert held(found) == [(0, "Y", []), (0, "X", []), (1, "Z", [])]
    assert found.reasons == {"Y": "something goes through the host between its maker and one that reads it"}
