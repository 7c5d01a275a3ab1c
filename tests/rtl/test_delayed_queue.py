"""The queue of values that are due later, against a list of times."""

import random as random_module

import pytest
from clocked import peek, run_bench
from random_counts import draw_seed, random_count

from einsum_cascade.rtl.delayed_queue import DelayedQueue


@pytest.mark.parametrize(("cycles", "depth", "share"), [(3, 2, 0.3), (3, 4, 1.0), (17, 32, 0.9), (40, 3, 0.5)])
def test_values_come_out_after_their_delay(cycles, depth, share):
    queue, random = DelayedQueue(7, cycles, depth), random_module.Random(draw_seed() + cycles)

    async def bench(ctx):
        due, in_flight = {}, 0
        for cycle in range(random_count(4000)):
            pushes = in_flight < queue.depth - 1 and random.random() < share
            value = random.getrandbits(7)
            ctx.set(queue.push, pushes)
            ctx.set(queue.value, value)
            if pushes:
                due[cycle + cycles] = value
            assert peek(ctx, queue.pop) == (cycle in due)
            if cycle in due:
                assert peek(ctx, queue.due) == due.pop(cycle)
            in_flight = len(due)
            await ctx.tick()

    run_bench(queue, bench)
