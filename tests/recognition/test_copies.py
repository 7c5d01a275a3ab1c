"""Copies of computed tensors are read through, however many there are."""

from einsum_cascade import parse
from einsum_cascade.recognition.copies import without_copies


def test_copies_one_after_another_and_side_by_side() -> None:
    """B is A, C is B, E is D: what reads C reads A, and what reads E reads D; no Einsum of a copy is left."""
    text = (
        "rank M\ninput X[m:M]\nA[m] = 2*X[m]\nB[m] = A[m]\nC[m] = B[m]\nD[m] = 3*X[m]\nE[m] = D[m]\n"
        "F[] = max[m](C[m])\nG[] = max[m](E[m])\noutput F, G"
    )
    found = without_copies(parse(text), {"A", "B", "C", "D", "E"})
    assert {each.tensor: [str(read) for read in each.reads] for each in found.einsums} == {
        **{"A": ["X[m]"], "D": ["X[m]"]},
        **{"F": ["A[m]"], "G": ["D[m]"]},
    }
    assert {each.tensor for each in found.einsums} == {tensor.name for tensor in found.tensors if not tensor.is_given}
