"""What rounding to an operand format does: what is beyond it is told apart from what is rounded, and may saturate."""

import math

import numpy as np
import pytest
from random_counts import random_count

from einsum_cascade.array.memory import Roundings, rounded
from einsum_cascade.array.numbers import OPERANDS


def test_by_hand() -> None:
    """Of fp8_e4m3, 448 is the greatest number. The next step is 480: 464 is the tie, and goes to 448, which is even.

    1/3 is rounded; 2 is not; NaN and infinities were no numbers before.
    """
    form = OPERANDS["fp8_e4m3"]
    values = np.array([464, 465, -1000, 1 / 3, 2, math.nan, math.inf, -math.inf])
    found = rounded(values, form)
    assert found[0] == 448 and np.isnan(found[[1, 2, 5, 6, 7]]).all()
    assert Roundings.of(values, found, form) == Roundings(rounded=2, overflowed=2)
    limited = rounded(values, form, saturates=True)
    assert limited[:3].tolist() == [448, 448, -448] and np.isnan(limited[5:]).all()
    assert Roundings.of(values, limited, form) == Roundings(rounded=4, overflowed=2)


@pytest.mark.parametrize("name", OPERANDS)
def test_every_format(name: str, seed: int) -> None:
    """A finite value overflows if it is nearer to what would come after the greatest number."""
    form = OPERANDS[name]
    after = 2.0 ** (form.greatest_exponent - form.mantissa_bits) + form.greatest
    # A tie goes to the even one; the greatest number is odd where its format has infinities.
    limit = (form.greatest + after) / 2
    overflows_at_tie = form.specials == "ieee"
    for number in range(random_count(100)):
        rng = np.random.default_rng([seed, number])
        values = rng.choice([-1, 1], 20) * form.greatest * 2.0 ** rng.uniform(-2, 2, 20)
        values[:3] = limit, np.nextafter(limit, 0), np.nextafter(limit, np.inf)
        beyond = np.abs(values) >= limit if overflows_at_tie else np.abs(values) > limit
        found, limited = (rounded(values, form, saturates=each) for each in (False, True))
        assert (~np.isfinite(found) == beyond).all(), (number, seed)
        assert Roundings.of(values, found, form).overflowed == int(beyond.sum()), (number, seed)
        assert np.isfinite(limited).all() and np.abs(limited).max() <= form.greatest, (number, seed)
        assert (limited[~beyond] == found[~beyond]).all(), (number, seed)
        assert Roundings.of(values, found, form).rounded == int((found != values)[~beyond].sum()), (number, seed)
