"""Products that are multiplied where they are added: the same values, one operation a point."""

import numpy as np
import pytest

from einsum_cascade import evaluate, parse, random_inputs, zoo
from einsum_cascade.arch.presets import load_architecture
from einsum_cascade.mapping.covers import cover
from einsum_cascade.mapping.merging import merge_products, mergeable


def test_one_pass_attention_has_two_products_to_merge() -> None:
    """SPD is added to SLD, SPNV to SLNV; SLNV is a reduction and stays."""
    assert mergeable(zoo.load("attention-1pass")) == ("SPD", "SPNV")


def test_values_stay(seed: int) -> None:
    before = zoo.load("attention-1pass")
    after = merge_products(before)
    settings = {"E": 4, "F": 3, "M": 11, "P": 5, "M0": 4}
    inputs = random_inputs(before, settings, seed)
    np.testing.assert_allclose(
        evaluate(before, inputs, settings)["AV"], evaluate(after, inputs, settings)["AV"], rtol=1e-12
    )


def test_a_merged_product_is_one_multiply_add() -> None:
    engine = load_architecture("fusemax-cloud").engine("1d")
    assert engine is not None
    after = merge_products(zoo.load("attention-1pass"))
    update = next(e for e in after.einsums if e.tensor == "RNV" and not e.is_init)
    covered = cover(update, engine)
    assert [(operation.name, count) for operation, count in covered.operations] == [("mac", 1)]


def test_indices_are_renamed_as_the_reader_says() -> None:
    text = """
        rank M
        var i : M
        input X[m:M], Y[m:M]
        T[m] = X[m] * Y[m]
        Z[i] = T[i] + X[i]
        output Z
    """
    assert "Z[i] = X[i] * Y[i] + X[i]" in str(merge_products(parse(text)))


@pytest.mark.parametrize(
    "change",
    [
        "T[m] = X[m] * Y[m]\nZ[m] = T[m] + X[m]\nU[m] = exp(T[m])\noutput Z, U",  # read twice
        "T[m] = X[m] * Y[m]\nZ[m] = T[m] + X[m]\noutput Z, T",  # an output
        "T[m] = X[m] + Y[m]\nZ[m] = T[m] + X[m]\noutput Z",  # no product
        "T[m] = X[m] * Y[m]\nZ[m] = T[m] - X[m]\noutput Z",  # not added
        "T[m] = X[m] * Y[m] where m < 2\nZ[m] = T[m] + X[m]\noutput Z",  # absent in part
    ],
)
def test_what_cannot_be_merged(change: str) -> None:
    cascade = parse(f"rank M\ninput X[m:M], Y[m:M]\n{change}")
    assert mergeable(cascade) == ()
    with pytest.raises(
        ValueError, match=r"^tensor 'T' must be a product that one Einsum adds, but can be merged are none$"
    ):
        merge_products(cascade, ("T",))
