"""Mappings from and to files: YAML 1.2 whose steps are small sentences."""

from collections.abc import Iterator
from os import PathLike

from einsum_cascade.arch.scalar import yaml_scalar
from einsum_cascade.arch.tree import Path as TreePath
from einsum_cascade.arch.tree import Tree, read_file, read_tree
from einsum_cascade.cascade.extent import ZERO
from einsum_cascade.errors import MappingFileError
from einsum_cascade.mapping.ir import Block, Compute, Mapping
from einsum_cascade.mapping.reader import read_mapping_tree

__all__ = ["change", "parse_mapping", "read_mapping", "to_yaml"]


def read_mapping(path: str | PathLike[str]) -> Mapping:
    """Read a mapping file.

    Raises
    ------
    MappingFileError
        The file cannot be read or is not in the format; every mistake is told with its place.

    """
    return _mapping(read_file(path, "a mapping"))


def parse_mapping(text: str, file: str = "<text>") -> Mapping:
    """Read a mapping from a text in the format of the files.

    Parameters
    ----------
    text
        The text.
    file
        What the text is called in messages.

    Raises
    ------
    MappingFileError
        The text is not in the format; every mistake is told with its place.

    """
    return _mapping(read_tree(text, file))


def _mapping(tree: Tree) -> Mapping:
    mapping, diagnostics = read_mapping_tree(tree)
    if diagnostics:
        raise MappingFileError(diagnostics)
    return mapping


def change(text: str, path: TreePath, value: str | int, file: str = "<text>") -> str:
    r"""Return the text of a mapping file with one value changed, and comments and layout as they were.

    Parameters
    ----------
    text
        The file's text.
    path
        The keys and positions that lead to the value.
    value
        What is to stand there.
    file
        What the text is called in messages.

    Raises
    ------
    MappingFileError
        The changed text is not a mapping.
    ValueError
        There is no single value at the path.

    Examples
    --------
    >>> text = "name: rows  # one a PE\nparameters: {P0: 4}  # fits\nsteps: [for p by P0]\ncompute: Z on pes\n"
    >>> print(change(change(text, ("parameters", "P0"), 8), ("steps", 0), "for p by P0 on rows"), end="")
    name: rows  # one a PE
    parameters: {P0: 8}  # fits
    steps: [for p by P0 on rows]
    compute: Z on pes

    """
    try:
        scalar = str(value) if isinstance(value, int) else f'"{value}"' if "," in value else _sentence(value)
        changed = read_tree(text, file).replace(path, scalar)
    except KeyError:
        raise ValueError(f"the path {path!r} must lead to one value that stands on its own in {file}") from None
    parse_mapping(changed, file)
    return changed


def to_yaml(mapping: Mapping) -> str:
    """Write a mapping as the text of a file; reading it back gives an equal value."""
    return "\n".join(_file(mapping)) + "\n"


def _file(mapping: Mapping) -> Iterator[str]:
    yield f"name: {yaml_scalar(mapping.name)}"
    for key, value in (("cascade", mapping.cascade), ("source", mapping.source)):
        if value:
            yield f"{key}: {yaml_scalar(value)}"
    if mapping.parameters:
        yield "parameters:"
        yield from (f"  {yaml_scalar(name)}: {_sentence(str(rule))}" for name, rule in mapping.parameters)
    if mapping.word_bits:
        yield f"words: {{{', '.join(f'{yaml_scalar(name)}: {bits} b' for name, bits in mapping.word_bits)}}}"
    yield from _block(mapping.root)


def _block(block: Block) -> Iterator[str]:
    if block.steps:
        yield "steps:"
        yield from (f"  - {_sentence(str(step))}" for step in block.steps)
    leaf = block.body[0] if len(block.body) == 1 and block.order == "sequence" and block.steps else None
    if isinstance(leaf, Compute):
        yield from _compute(leaf)
        return
    if block.order != "sequence":
        yield f"order: {block.order}"
    yield "body:"
    for part in block.body:
        lines = _part(part)
        yield f"  - {next(lines)}"
        yield from (f"    {line}" for line in lines)


def _part(part: Block | Compute) -> Iterator[str]:
    if isinstance(part, Block):
        yield from _block(part)
    elif part.stage or part.overhead_cycles:
        yield from _compute(part)
    else:
        yield _sentence(str(part))


def _compute(leaf: Compute) -> Iterator[str]:
    yield f"compute: {_sentence(str(leaf))}"
    if leaf.stage:
        yield f"stage: {leaf.stage}"
    if leaf.overhead_cycles != ZERO:
        yield f"overhead_cycles: {leaf.overhead_cycles}"


def _sentence(text: str) -> str:
    """Write a step as it is: its first word is a name, and no colon is in it."""
    return yaml_scalar(text) if ":" in text or " #" in text else text
