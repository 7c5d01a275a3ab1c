from collections.abc import Iterator

import numpy as np
import pytest
from oracle_agreement import disagreements
from random_cascades import random_cascade
from random_counts import mode, random_count

from einsum_cascade import parse

CHUNKS = 20


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_analysis_agrees_with_the_oracle(chunk: int, seed: int) -> None:
    """DESIGN section 4: the streaming simulator and the analysis count alike, or the analysis says at least less.

    Nightly, where 200,000 cascades run, one target of each is drawn; otherwise all are compared.
    """
    most = 1 if mode() == "nightly" else None
    for number in range(chunk, random_count(5_000, nightly=200_000), CHUNKS):
        rng = np.random.default_rng([seed, number])
        cascade = random_cascade(rng)
        found = list(disagreements(cascade, rng, most))
        assert not found, f"case {number} of seed {seed}: {found}\n{cascade}"


def regressions() -> Iterator[tuple[str, str]]:
    """Yield shrunk cascades on which the two once disagreed."""
    yield (
        "a scan that is read after its loop",
        """
        rank M, C, T
        input X[c:C, m:M]
        init Y1[0, c] = 1
        Y2[t, c] = X[c, m] * Y1[t, c]
        Y1[t + 1, c] = tanh(Y2[t, c] + Y1[t, c])
        Y3[c, t] = max[m](X[c, m] * Y1[t, c])
        output Y1, Y3
        """,
    )
    yield (
        "an input that only a filter reads",
        """
        rank M, C
        input X[c:C, m:M], LEN[c:C]
        Y1[c] = sum[m](X[c, m]) where m < LEN[c]
        output Y1
        """,
    )
    yield (
        "an earlier generation beside a barrier",
        """
        rank M, D, T
        input V[d:D, m:M]
        init Y1[0, d] = 0
        Y1[m + 1, d] = Y1[m, d] * V[d, m] + V[d, m]
        Y2[d] = sum[m](V[d, m])
        Y3[m, d] = Y1[m, d] + Y2[d]
        init Y4[0, d] = 1
        Y5[t, d] = Y3[m, d] * Y4[t, d]
        Y4[t + 1, d] = tanh(Y5[t, d] + Y4[t, d])
        output Y4
        """,
    )


@pytest.mark.parametrize(("name", "text"), [pytest.param(name, text, id=name) for name, text in regressions()])
def test_regression(name: str, text: str, seed: int) -> None:
    assert not list(disagreements(parse(text, f"{name}.cascade"), np.random.default_rng(seed)))
