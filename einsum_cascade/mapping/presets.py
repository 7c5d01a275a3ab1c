"""Mappings by name: the preset files, and files of the user's."""

from pathlib import Path

from einsum_cascade import preset_files
from einsum_cascade.errors import Diagnostic, MappingFileError, Span
from einsum_cascade.mapping.codec import parse_mapping, read_mapping
from einsum_cascade.mapping.ir import Mapping
from einsum_cascade.wording import did_you_mean

__all__ = ["load_mapping", "mapping_names", "mapping_text"]


def mapping_names() -> tuple[str, ...]:
    """Return the names that `load_mapping` takes.

    Examples
    --------
    >>> "output-stationary" in mapping_names()
    True

    """
    return tuple(preset_files.preset_files("mappings"))


def mapping_text(name: str) -> str:
    """Return the text of a preset file, to start a file of one's own from.

    Raises
    ------
    ValueError
        There is no such file.

    """
    return preset_files.preset_text("mappings", name)


def load_mapping(name: str) -> Mapping:
    """Return the mapping of a preset name or of a `.yaml` file.

    Raises
    ------
    MappingFileError
        There is none of that name, or the file has mistakes.

    Examples
    --------
    >>> load_mapping("output-stationary").cascade
    'matmul'

    """
    if name.endswith((".yaml", ".yml")):
        return read_mapping(name)
    if name in preset_files.preset_files("mappings"):
        return parse_mapping(mapping_text(name), f"{name}.yaml")
    if Path(name).is_file():
        raise _refused(name, f"a mapping file must end in '.yaml', unlike {name!r}; rename it")
    hint = did_you_mean(name, mapping_names())
    raise _refused(name, f"mapping {name!r} must be a preset or a '.yaml' file, but is neither{hint}")


def _refused(name: str, message: str) -> MappingFileError:
    return MappingFileError([Diagnostic(message, Span(name, 0))])
