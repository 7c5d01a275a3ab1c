"""Reads of generations: what the checker accepts has been written by the time it is read, whatever the extent."""

import random

import numpy as np
from random_counts import random_count

from einsum_cascade import evaluate, parse
from einsum_cascade.errors import CheckError

STREAM = 1305


def draw(rng: random.Random) -> tuple[str, int, list[str]]:
    """An iterative tensor that steps by 1 to 3 and reads itself at generations near and fixed, and one beside it."""
    step = rng.randint(1, 3)
    reads = [rng.choice([str(rng.randint(0, 4)), "i", f"i + {rng.randint(1, 4)}"]) for _ in range(rng.randint(1, 3))]
    body = " + ".join(f"{rng.choice('RT')}[{read}]" for read in reads)
    lines = ["rank I >= 5", "input X[i:I]", *(f"init R[{at}] = {at} + 1" for at in range(step))]
    beside = f"T[i] = R[{rng.choice(['i', '0', '1', '2', f'i + {step}', f'i + {step - 1}'])}] + X[i]"
    own = f"R[i + {step}] = ({body}) / 4"
    return "\n".join([*lines, *rng.sample([beside, own], 2), "output R, T"]), step, [own, beside]


def test_what_is_read_has_been_written(seed: int) -> None:
    rng = random.Random(f"{seed} {STREAM}")
    accepted = refused = 0
    for _ in range(random_count(5000)):
        text, _, _ = draw(rng)
        try:
            cascade = parse(text)
        except CheckError:
            refused += 1
            continue
        accepted += 1
        for extent in (5, 7):
            # The interpreter refuses to read what is not written yet, and nothing that is read is absent.
            X = np.arange(extent) + 1.0
            results = evaluate(cascade, {"X": X})
            assert results["R"].shape == (extent + 1,), text
            assert np.isfinite(results["R"]).all() and (results["R"] > 0).all(), text
    assert min(accepted, refused) > random_count(500), (accepted, refused)


def test_a_fixed_generation_must_be_one_of_the_first() -> None:
    # R steps by 2: generations 0 and 1 are given, 2 is what the first iteration writes.
    for at, is_right in ((0, True), (1, True), (2, False), (3, False)):
        text = f"rank I >= 5\ninput X[i:I]\ninit R[0] = 1\ninit R[1] = 2\nR[i + 2] = R[{at}] + X[i]\noutput R"
        try:
            parse(text)
        except CheckError as error:
            assert "tensor 'R' must not be defined by itself" in str(error)
            assert not is_right
        else:
            assert is_right
