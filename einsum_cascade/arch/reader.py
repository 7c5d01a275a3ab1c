"""From the values of a file to its specification: keys and the writing of each value, every mistake told.

A specification may have holes, and nothing in it has been compared yet: that is the checker's matter.
"""

from collections.abc import Iterable
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from einsum_cascade.arch.schema import (
    ArchitectureSpec,
    ComponentSpec,
    EngineSpec,
    MemorySpec,
    OperationSpec,
    RegisterSpec,
)
from einsum_cascade.arch.tree import HOLE, Path, Tree
from einsum_cascade.errors import Diagnostic
from einsum_cascade.wording import did_you_mean, nearest

__all__ = ["owner", "read_spec", "shown"]

_KINDS = {"memories": "memory", "engines": "engine", "components": "component", "operations": "operation"}
_SPECS = {"memories": MemorySpec, "engines": EngineSpec, "components": ComponentSpec, "operations": OperationSpec}


def read_spec(tree: Tree) -> tuple[ArchitectureSpec, list[Diagnostic]]:
    """Return what a file says, with a hole for everything that cannot be read, and what is wrong with it."""
    diagnostics = list(tree.diagnostics)
    if tree.diagnostics and tree.root is None:
        return HOLE, diagnostics
    root = _copied(tree.root)
    while True:
        try:
            return ArchitectureSpec.model_validate(root), diagnostics
        except ValidationError as error:
            details = error.errors(include_url=False)
            meant = _meant(details)
            diagnostics += [_diagnostic(tree, it) for it in details if it["loc"] not in meant]
            for detail in details:
                root = _without(root, detail)


def owner(path: Path) -> str:
    """Return what a place in a file belongs to: `engine '2d'`.

    Examples
    --------
    >>> owner(("engines", "2d", "operations", "max"))
    "operation 'max' of engine '2d'"

    """
    match path:
        case ():
            return "the architecture"
        case (kind, name):
            return f"{_KINDS[str(kind)]} {name!r}"
        case (*outer, "operations", name) if outer:
            return f"operation {name!r} of {owner(tuple(outer))}"
        case (*outer, "registers"):
            return f"the registers of {owner(tuple(outer))}"
        case _:
            return f"{str(path[-1])!r} of {owner(path[:-1])}"


def _meant(details: Iterable[ErrorDetails]) -> set[Path]:
    """Return the places that a misspelt key is meant for, which are not told to be missing as well."""
    unknown = [detail["loc"] for detail in details if detail["type"] == "extra_forbidden"]
    return {(*path[:-1], key) for path in unknown for key in nearest(str(path[-1]), _keys(path[:-1]))}


def _copied(value: Any) -> Any:
    match value:
        case dict():
            return {key: _copied(item) for key, item in cast("dict[str, Any]", value).items()}
        case list():
            return [_copied(item) for item in cast("list[Any]", value)]
        case _:
            return value


def _without(root: Any, detail: ErrorDetails) -> Any:
    """Put a hole where something is wrong, or drop what must not be there."""
    if not detail["loc"]:
        return HOLE
    *outer, last = detail["loc"]
    around = root
    for step in outer:
        around = around[step]
    if detail["type"] == "extra_forbidden":
        del around[last]
    else:
        around[last] = HOLE
    return root


def _diagnostic(tree: Tree, detail: ErrorDetails) -> Diagnostic:
    path: Path = tuple(detail["loc"])
    of = f" of {owner(path[:-1])}" if path else ""
    name = repr(path[-1]) if path and isinstance(path[-1], str) else f"item {int(path[-1]) + 1}" if path else "the file"
    match detail["type"]:
        case "missing":
            return Diagnostic(f"{name}{of} must be given{_example(str(path[-1]))}", tree.span(path[:-1], key=True))
        case "extra_forbidden":
            known = _keys(path[:-1])
            message = f"{owner(path[:-1])} must not have the key {name}{did_you_mean(str(path[-1]), known)}"
            return Diagnostic(message, tree.span(path, key=True))
        case "value_error":
            expected = detail["msg"].removeprefix("Value error, ")
        case "list_type":
            expected = "a list, such as [broadcast, reduce]"
        case _:
            expected = "a mapping of keys to values"
    subject = owner(path) if len(path) > 1 and path[-2] in _KINDS else f"{name}{of}"
    return Diagnostic(f"{subject} must be {expected}, not {shown(detail['input'])}", tree.span(path))


def _example(key: str) -> str:
    examples = {"capacity": "16 MiB", "access": "4096 b", "word": "16 b", "clock": "940 MHz", "energy": "17.1645 pJ"}
    examples |= {"area": "1545 um2", "interval_cycles": "1", "latency_cycles": "1", "rows": "256", "columns": "256"}
    return f", such as '{key}: {examples[key]}'" if key in examples else ""


def shown(value: Any) -> str:
    """Return how a message names a value of a file."""
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case _:
            return repr(value)


def _keys(path: Path) -> Iterable[str]:
    match path:
        case ():
            return ArchitectureSpec.model_fields
        case (*_, "registers"):
            return RegisterSpec.model_fields
        case (*_, kind, _):
            return _SPECS[str(kind)].model_fields
        case _:
            return ()
