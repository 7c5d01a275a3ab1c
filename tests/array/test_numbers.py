"""Number formats that an array can have, and those that it cannot."""

import pytest

from einsum_cascade.array.numbers import SINGLE, Numbers
from einsum_cascade.formats import Format, parse_format


def test_sums_are_single_precision_unless_told() -> None:
    assert Numbers().accumulation == SINGLE


@pytest.mark.parametrize("name", ["fp32", "bf16", "e8m1", "e8m10", "fp16", "fp8_e5m2", "e5m23", "e2m1"])
@pytest.mark.parametrize("score", ["bf16", "fp32"])
def test_sums_may_be_of_any_ieee_format_within_fp32(name: str, score: str) -> None:
    """Whatever the score format is: what is added may have more bits than the sum."""
    numbers = Numbers(score=parse_format(score), multiplier="wide", accumulation=parse_format(name))
    assert numbers.accumulation == parse_format(name)


@pytest.mark.parametrize(
    "form",
    [
        parse_format("fp64"),
        parse_format("e9m3"),
        parse_format("e8m24"),
        parse_format("fp8_e4m3"),
        parse_format("float8_e5m2fnuz"),
        Format(5, 10, 14),
    ],
    ids=repr,
)
def test_sums_of_other_formats_are_refused(form: Format) -> None:
    with pytest.raises(ValueError) as caught:
        Numbers(accumulation=form)
    assert str(caught.value) == (
        "the accumulation format must fit into fp32, with the bias and the infinities of IEEE 754, not be "
        f"{form!r}; choose fp32, bf16, fp16, or widths such as e8m10"
    )
