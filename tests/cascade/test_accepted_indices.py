"""What the checker accepts is right for all numbers: no index leaves its tensor, no element is written twice."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator

from random_counts import random_count

from einsum_cascade import parse
from einsum_cascade.cascade.constraints import bounds_of
from einsum_cascade.cascade.extents import resolve_extents
from einsum_cascade.cascade.ir import Cascade, Einsum, conjuncts
from einsum_cascade.cascade.partition import partition_of
from einsum_cascade.cascade.reach import coordinate_counts
from einsum_cascade.errors import CheckError, EvaluationError

STREAM = 1304
EXTENTS = ["A", "B", "S", "N", "A - S", "B + S", "1", "2", "N - 1", "S - 1", "A - 1"]
RELATIONS = ["S <= A", "A >= 2", "B < A", "S + B <= A", "A == B", "N >= S", "S >= 1", "B*2 <= A"]
DEFAULTS = ["A + S - 1", "A + B", "2*A", "A/S", "A*S", "A - S", "S*(A/S)"]

OFFSETS = ["", "", " + B", " + S", " + 1", " + A", " - S", " + B - 1"]


def draw_index(rng: random.Random) -> str:
    terms = [
        f"{rng.choice(['a', 'b', 's', 'n'])}{rng.choice(['', '', '', '*2', '*S'])}" for _ in range(rng.randint(0, 2))
    ]
    terms = list({term[0]: term for term in terms}.values())
    offset = rng.choice(
        ["", "", f"+ {rng.choice(EXTENTS)}", f"- {rng.choice(EXTENTS)}", f"+ {rng.choice(EXTENTS)} - 1"]
    )
    signs = [rng.choice(["", "-"]) + term if rng.random() < 0.3 else term for term in terms]
    return f"{' + '.join(signs) or rng.choice(EXTENTS)} {offset}"


def draw_head(rng: random.Random) -> list[str]:
    relations = rng.sample(RELATIONS, rng.randint(0, 2))
    # That each rank is used is no matter here.
    return [
        "rank A, B, S",
        f"rank N = {rng.choice(DEFAULTS)}",
        *(f"rank {relation}" for relation in relations),
        "input X[a:A, b:B, s:S, n:N]",
    ]


def numbers(cascade: Cascade) -> Iterator[dict[str, int]]:
    """Yield extents from 0 to 3 that meet the relations and leave no extent negative."""
    for point in itertools.product(range(4), repeat=3):
        try:
            yield resolve_extents(cascade, dict(zip("ABS", point, strict=True)))
        except EvaluationError as error:
            assert "must stay inside" not in str(error), error


def points(cascade: Cascade, einsum: Einsum, extents: dict[str, int]) -> Iterator[dict[str, int]]:
    counts = coordinate_counts(cascade, einsum, extents)
    for point in itertools.product(*map(range, counts.values())):
        yield dict(zip(counts, point, strict=True))


def test_no_accepted_index_leaves_its_tensor(seed: int) -> None:
    rng = random.Random(f"{seed} {STREAM}")
    accepted = 0
    for _ in range(random_count(3000)):
        axis = rng.randrange(4)
        indices = [draw_index(rng) if at == axis else "abst"[at] if at < 3 else "n" for at in range(4)]
        indices[2] = "s" if axis != 2 else indices[2]
        text = "\n".join([*draw_head(rng), f"Y[a, b, s, n] = X[{', '.join(indices)}]", "output Y"])
        try:
            cascade = parse(text)
        except CheckError:
            continue
        index = cascade.einsums[0].reads[0].indices[axis]
        if index.plain == "absn"[axis] or partition_of(index, cascade.rank_of, cascade.rank):
            continue
        accepted += 1
        for extents in numbers(cascade):
            end = extents["ABSN"[axis]]
            reached = [index.evaluate(point, extents) for point in points(cascade, cascade.einsums[0], extents)]
            assert not reached or (min(reached) >= 0 and max(reached) < end), f"{text}\n{extents}"
    assert accepted > random_count(100)


def test_no_element_of_accepted_regions_is_written_twice(seed: int) -> None:
    rng = random.Random(f"{seed} {STREAM + 1}")
    accepted = 0
    for _ in range(random_count(3000)):
        lines = draw_head(rng)
        for name in ("b", "s"):
            left = name + rng.choice(["", "", "*2", "*3"]) + rng.choice(OFFSETS)
            bound = f"{name} + {rng.choice(EXTENTS)} {rng.choice(['<', '<=', '>='])} {rng.choice(EXTENTS)}"
            guard = rng.choice(["", "", f" and {bound}"])
            other = rng.choice(["", "", "", " else 3"])
            lines.append(f"Y[{left}] = {name} where {left} >= 0 and {left} < N{guard}{other}")
        text = "\n".join(
            [*lines[:-2], "tensor Y[n:N]", *lines[-2:], "Z[a] = sum[b, s, n](X[a, b, s, n])", "output Y, Z"]
        )
        try:
            cascade = parse(text)
        except CheckError:
            continue
        accepted += 1
        for extents in numbers(cascade):
            written: Counter[int] = Counter()
            for einsum in cascade.einsums[:2]:
                guards = [bound for part in conjuncts(einsum.where) for bound in bounds_of(part)]
                for point in points(cascade, einsum, extents):
                    if einsum.otherwise or all(guard.evaluate(point, extents) >= 0 for guard in guards):
                        written[einsum.indices[0].evaluate(point, extents)] += 1
            assert max(written.values(), default=0) <= 1, f"{text}\n{extents}"
    assert accepted > random_count(100)
