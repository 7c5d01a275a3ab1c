"""Mappings that call engines and memories by what they are for, on machines that call them something else."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from einsum_cascade.arch.ir import Architecture
from einsum_cascade.mapping.ir import Block, Keep, Step
from einsum_cascade.mapping.ir import Mapping as Tree
from einsum_cascade.mapping.parameters import LargestFitting, PartSize, ShareOf

__all__ = ["bound_by_role"]


def bound_by_role(mapping: Tree, architecture: Architecture) -> Tree:
    """Return a mapping with a machine's names, where it has roles (`2d`, `1d`, `buffer`, `dram`) that are none of them.

    A role that is the name of an engine or a memory of the machine means that one.

    Parameters
    ----------
    mapping
        The mapping.
    architecture
        The machine.

    """
    own = {each.name for each in (*architecture.engines, *architecture.memories)}
    names = {role: name for role, name in architecture.roles.items() if role not in own}
    if not names:
        return mapping
    parameters = tuple((name, _rule(rule, names)) for name, rule in mapping.parameters)
    return replace(mapping, root=_block(mapping.root, names), parameters=parameters)


def _block(block: Block, names: Mapping[str, str]) -> Block:
    body = tuple(
        _block(part, names) if isinstance(part, Block) else replace(part, engine=names.get(part.engine, part.engine))
        for part in block.body
    )
    return replace(block, steps=tuple(_step(step, names) for step in block.steps), body=body)


def _step(step: Step, names: Mapping[str, str]) -> Step:
    return replace(step, level=names.get(step.level, step.level)) if isinstance(step, Keep) else step


def _rule(rule: Any, names: Mapping[str, str]) -> Any:
    match rule:
        case PartSize(engine):
            return replace(rule, engine=names.get(engine, engine))
        case LargestFitting(_, level) | ShareOf(_, level):
            return replace(rule, level=names.get(level, level))
        case _:
            return rule
