"""The reservation table against a list of counts per residue."""

import numpy as np
from random_counts import random_count

from einsum_cascade.schedule.problem import PieceUse
from einsum_cascade.schedule.table import ReservationTable


def with_added(counts: list[list[int]], uses: tuple[PieceUse, ...], start: int) -> list[list[int]]:
    after = [list(row) for row in counts]
    for use in uses:
        for cycle in range(use.duration):
            after[use.resource][(start + use.offset + cycle) % len(after[use.resource])] += use.amount
    return after


def test_the_table_agrees_with_counting(seed: int) -> None:
    for number in range(random_count(500)):
        rng = np.random.default_rng([seed, 47, number])
        interval = int(rng.integers(1, 12))
        capacities = [int(rng.integers(1, 4)) for _ in range(2)]
        table, counts = ReservationTable(interval, capacities), [[0] * interval for _ in capacities]
        placed: list[tuple[tuple[PieceUse, ...], int]] = []
        for _ in range(8):
            uses = tuple(
                PieceUse(
                    at := int(rng.integers(0, 2)),
                    *map(int, rng.integers(0, 5, 2)),
                    int(rng.integers(1, capacities[at] + 1)),
                )
                for _ in range(rng.integers(1, 4))
            )
            earliest = int(rng.integers(-20, 20))
            latest = earliest + int(rng.integers(-1, 30))
            legal = [
                start
                for start in range(earliest, min(latest, earliest + interval - 1) + 1)
                if all(
                    max(row) <= capacity
                    for row, capacity in zip(with_added(counts, uses, start), capacities, strict=True)
                )
            ]
            found = table.first_fit(uses, earliest, latest)
            assert found == (legal[0] if legal else None), f"case {number} of seed {seed}"
            if found is not None:
                table.add(uses, found)
                placed.append((uses, found))
                counts = with_added(counts, uses, found)
            elif placed:
                uses, start = placed.pop(int(rng.integers(len(placed))))
                table.remove(uses, start)
                counts = [[0] * interval for _ in capacities]
                for uses, start in placed:
                    counts = with_added(counts, uses, start)
