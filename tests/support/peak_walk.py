"""The most elements that a level holds of a tensor while a mapping runs, found by running it with sets of elements."""

from loop_walk import Walk

from einsum_cascade.mapping.ir import Compute

__all__ = ["PeakWalk"]


class PeakWalk(Walk):
    """Notes, each time that a `keep` is reached, every element that is used inside until it is reached again."""

    def __init__(self, tasks, extents, tails, registers):
        super().__init__(tasks, extents, tails, (), {"read": (), "write": ()})
        self.registers = registers
        self.now, self.peak = {}, {}

    def arrive(self, tensor, level, outer, pes, block, position):
        self.now[position, tensor] = level, block, {}

    def operate(self, leaf, pes, held):
        task = self.tasks[leaf.task]
        for (position, tensor), (level, block, places) in self.now.items():
            if not any(leaf is other for other in _leaves(block)):
                continue
            references = [r for r in (*task["reads"], task["write"]) if r.tensor == tensor]
            for pe in (pe for pe in pes if not pe.is_done):
                held_here = places.setdefault(pe.place if level == self.registers else (), set())
                for reference in references:
                    held_here |= self.elements(reference, pe)
                key = position, tensor
                self.peak[key] = max(self.peak.get(key, 0), len(held_here))


def _leaves(node):
    if isinstance(node, Compute):
        yield node
    else:
        for part in node.body:
            yield from _leaves(part)
