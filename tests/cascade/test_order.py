"""The order of equations: what reduces over the generations of a tensor needs all of them."""

import pytest

from einsum_cascade.cascade import parse
from einsum_cascade.errors import CheckError


def test_a_recurrence_must_not_need_the_sum_of_its_own_generations():
    text = "rank I, P\ninit X[0, p] = 1\nZ[p] = X[i, p]\nX[i + 1, p] = X[i, p] * Z[p]\noutput X"
    with pytest.raises(CheckError, match=r"tensors must not be defined in a cycle, but Z -> X -> Z is one"):
        parse(text)


def test_a_sum_over_generations_follows_the_recurrence():
    first, sum_, next_ = "init X[0] = 1", "Z[] = X[i]", "X[i + 1] = X[i] * 2"
    with pytest.raises(CheckError, match=r"tensor 'X' must be defined before it is read"):
        parse("\n".join(["rank I", first, sum_, next_, "output Z"]))
    assert parse("\n".join(["rank I", first, next_, sum_, "output Z"])).outputs == ("Z",)
