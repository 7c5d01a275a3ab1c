"""What the rule of a parameter asks for: an engine, a memory, and names that have their values before it."""

from collections.abc import Iterator

from einsum_cascade.mapping.mapped import Mapped
from einsum_cascade.mapping.parameters import BestOf, LargestFitting, PartSize, Rule, ShareOf
from einsum_cascade.wording import did_you_mean

__all__ = ["rule_violations"]


def rule_violations(mapped: Mapped, name: str, rule: Rule, known: frozenset[str]) -> Iterator[str]:
    """Yield what a parameter's rule asks that there is not, one sentence each.

    Parameters
    ----------
    mapped
        The mapping.
    name, rule
        The parameter.
    known
        The names that have a value before it.

    """
    subject = f"parameter {name!r}, the {rule},"
    memories = [memory.name for memory in mapped.architecture.memories]
    match rule:
        case PartSize(engine, _) if mapped.architecture.find_engine(engine) is None:
            found = did_you_mean(engine, [each.name for each in mapped.architecture.engines])
            yield f"{subject} must be of an engine of the architecture, unlike {engine!r}{found}"
        case LargestFitting(_, level) | ShareOf(_, level) if level not in memories:
            yield f"{subject} must be of a memory of the architecture, unlike {level!r}{did_you_mean(level, memories)}"
        case _:
            pass
    for other in sorted(_names_of(rule) - known):
        found = did_you_mean(other, sorted(known))
        yield f"{subject} must be made of ranks and of parameters above it, unlike {other!r}{found}"


def _names_of(rule: Rule) -> frozenset[str]:
    match rule:
        case LargestFitting(of, _) | ShareOf(of, _):
            return of.names
        case BestOf(choices, most):
            return most.names.union(*(choice.names for choice in choices))
        case _:
            return frozenset()
