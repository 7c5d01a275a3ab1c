"""Architectures from and to files: YAML 1.2 whose quantities have units.

A file may leave figures to the published table (`energy: published`); what `to_yaml` writes has every figure.
"""

from fractions import Fraction
from os import PathLike

from einsum_cascade.arch.draft import read_draft
from einsum_cascade.arch.ir import Architecture, Component, Engine, Memory, Operation, RegisterFile
from einsum_cascade.arch.scalar import yaml_scalar
from einsum_cascade.arch.tree import Path as TreePath
from einsum_cascade.arch.tree import Tree, read_file, read_tree
from einsum_cascade.arch.validation import check
from einsum_cascade.units import BYTES, FREQUENCY, RATE

__all__ = ["change", "parse_architecture", "read_architecture", "to_yaml"]


def read_architecture(path: str | PathLike[str]) -> Architecture:
    """Read an architecture file.

    Raises
    ------
    ArchitectureError
        The file cannot be read, is not in the format or breaks a rule; every mistake is told with its place.

    """
    return _architecture(read_file(path, "an architecture"))


def parse_architecture(text: str, file: str = "<text>") -> Architecture:
    """Read an architecture from a text in the format of the files.

    Parameters
    ----------
    text
        The text.
    file
        What the text is called in messages.

    Raises
    ------
    ArchitectureError
        The text is not in the format or breaks a rule; every mistake is told with its place.

    """
    return _architecture(read_tree(text, file))


def _architecture(tree: Tree) -> Architecture:
    draft, found = read_draft(tree)
    return check(draft, lambda path, key: tree.span(path, key=key), found)


def change(text: str, path: TreePath, value: str | int, file: str = "<text>") -> str:
    """Return the text of an architecture file with one value changed, and comments and layout as they were.

    Parameters
    ----------
    text
        The file's text.
    path
        The keys that lead to the value.
    value
        What is to stand there.
    file
        What the text is called in messages.

    Raises
    ------
    ArchitectureError
        The changed text is not an architecture.
    ValueError
        There is no single value at the path.

    Examples
    --------
    >>> from einsum_cascade.arch.presets import preset_text
    >>> text = change(preset_text("flat-cloud"), ("memories", "buffer", "capacity"), "16 MiB")
    >>> parse_architecture(text).memory("buffer").capacity_bytes
    16777216

    """
    try:
        changed = read_tree(text, file).replace(path, str(value) if isinstance(value, int) else yaml_scalar(value))
    except KeyError:
        raise ValueError(f"the path {path!r} must lead to one value that stands on its own in {file}") from None
    parse_architecture(changed, file)
    return changed


def to_yaml(architecture: Architecture) -> str:
    """Write an architecture as the text of a file; reading it back gives an equal value."""
    lines = [f"name: {yaml_scalar(architecture.name)}"]
    lines += [f"source: {yaml_scalar(architecture.source)}"] if architecture.source else []
    lines += [f"clock: {FREQUENCY.format(architecture.clock_hz)}", f"word: {architecture.word_bits} b", "", "memories:"]
    for memory in architecture.memories:
        lines += _memory(memory)
    lines += ["", "engines:"]
    for engine in architecture.engines:
        lines += _engine(engine)
    lines += ["", "components:" if architecture.components else "components: {}"]
    lines += map(_component, architecture.components)
    return "\n".join(lines) + "\n"


def _memory(memory: Memory) -> list[str]:
    fields = {
        "capacity": "unlimited" if memory.capacity_bytes is None else BYTES.format(memory.capacity_bytes),
        "access": f"{memory.access_bits} b",
        "instances": str(memory.instances),
        "read_bandwidth": _rate(memory.read_bytes_per_s),
        "write_bandwidth": _rate(memory.write_bytes_per_s),
        "read_energy": f"{float(memory.read_pj)!r} pJ",
        "write_energy": f"{float(memory.write_pj)!r} pJ",
    }
    if memory.is_shared:
        del fields["write_bandwidth"]
        fields = {key.replace("read_bandwidth", "bandwidth"): value for key, value in fields.items()}
    fields |= {} if memory.area_um2 is None else {"area": f"{float(memory.area_um2)!r} um2"}
    fields |= {"source": yaml_scalar(memory.source)} if memory.source else {}
    return [f"  {yaml_scalar(memory.name)}:", *(f"    {key}: {value}" for key, value in fields.items())]


def _engine(engine: Engine) -> list[str]:
    lines = [
        f"  {yaml_scalar(engine.name)}:",
        f"    rows: {engine.rows}",
        f"    columns: {engine.columns}",
        f"    contexts: {'unlimited' if engine.contexts is None else engine.contexts}",
        f"    along_rows: [{', '.join(sorted(engine.along_rows))}]",
        f"    along_columns: [{', '.join(sorted(engine.along_columns))}]",
        "    registers:",
        *_registers(engine.registers),
        "    operations:",
    ]
    return lines + [f"      {_operation(operation)}" for operation in engine.operations]


def _registers(registers: RegisterFile) -> list[str]:
    fields = {
        "words": str(registers.words),
        "word": f"{registers.word_bits} b",
        "read_energy": f"{float(registers.read_pj)!r} pJ",
        "write_energy": f"{float(registers.write_pj)!r} pJ",
        "area": f"{float(registers.area_um2)!r} um2",
    }
    fields |= {"source": yaml_scalar(registers.source)} if registers.source else {}
    return [f"      {key}: {value}" for key, value in fields.items()]


def _operation(operation: Operation) -> str:
    counts = ", ".join(f"{yaml_scalar(name)}: {count}" for name, count in operation.components)
    interval, latency = operation.interval_cycles, operation.latency_cycles
    body = f"interval_cycles: {interval}, latency_cycles: {latency}, components: {{{counts}}}"
    return f"{yaml_scalar(operation.name)}: {{{body}}}"


def _component(component: Component) -> str:
    source = f", source: {yaml_scalar(component.source)}" if component.source else ""
    body = f"energy: {float(component.energy_pj)!r} pJ, area: {float(component.area_um2)!r} um2{source}"
    return f"  {yaml_scalar(component.name)}: {{{body}}}"


def _rate(value: Fraction | None) -> str:
    return "unlimited" if value is None else RATE.format(value)
