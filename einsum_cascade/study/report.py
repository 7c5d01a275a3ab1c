"""What all reports share: values with units that become JSON, tables, text and HTML, and come back from JSON.

A report is a frozen value. Its fields are numbers, texts, tuples, mappings and values of the same kind, in base units:
seconds, picojoules, bytes, cycles, words. `parts` says what of it one reads, in order; every form is made from that.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, ClassVar, Self, cast

import numpy as np

from einsum_cascade.errors import UsageError
from einsum_cascade.study.tables import Note, Table
from einsum_cascade.units import has_many_digits, written

__all__ = ["ARRAYS", "Report"]

ARRAYS = {"is_array": True}
"""Metadata of a field of tensors, which is in no JSON."""


@dataclass(frozen=True, repr=False)
class Report:
    """A report; `kind` and `version` name its schema."""

    kind: ClassVar[str] = ""
    version: ClassVar[int] = 1

    @property
    def headline(self) -> str:
        """What it says, in a line."""
        raise NotImplementedError

    def parts(self) -> tuple[Table | Note, ...]:
        """Return its tables and sentences, in the order in which one asks."""
        raise NotImplementedError

    @property
    def tables(self) -> tuple[Table, ...]:
        """Its tables."""
        return tuple(part for part in self.parts() if isinstance(part, Table))

    def table(self, name: str = "") -> Table:
        """Return a table by its name; the first one if none is given.

        Raises
        ------
        UsageError
            It has none of that name.

        """
        found = next((table for table in self.tables if not name or table.name == name), None)
        if found is None:
            known = ", ".join(repr(table.name) for table in self.tables) or "none"
            raise UsageError(f"a table of this {self.kind} report must be one of {known}, not {name!r}")
        return found

    @classmethod
    def schema_name(cls) -> str:
        """Return what its JSON says it is: the kind and the version, which changes when a field does."""
        return f"einsum-cascade/{cls.kind}/{cls.version}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values: strict JSON, in which infinities and NaN are strings. Tensors are left out."""
        return {"schema": self.schema_name(), **_plain(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the report that `to_json` gave plain values of; tensors are empty.

        Raises
        ------
        UsageError
            They are of another kind or version, or something in them is missing or has another type.

        """
        from pydantic import ValidationError

        if values.get("schema") != cls.schema_name():
            raise UsageError(f"a {cls.kind} report must be {cls.schema_name()!r}, not {values.get('schema')!r}")
        try:
            return _adapter(cls).validate_python({name: value for name, value in values.items() if name != "schema"})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise UsageError(
                f"a {cls.kind} report must hold what its schema says, but {where}: {first['msg']}"
            ) from None

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON schema of `to_json`, made from the types of the fields."""
        found = _adapter(cls).json_schema()
        arrays = {own.name for own in fields(cls) if own.metadata.get("is_array")}
        properties = {name: value for name, value in found["properties"].items() if name not in arrays}
        required = ["schema", *(name for name in found.get("required", ()) if name not in arrays)]
        return found | {"properties": {"schema": {"const": cls.schema_name()}, **properties}, "required": required}

    def to_dataframe(self, name: str = "") -> Any:
        """Return a table as a pandas data frame, numbers in base units; the first table if no name is given.

        Raises
        ------
        UsageError
            It has no such table, or pandas is not installed.

        """
        try:
            from pandas import DataFrame  # pyright: ignore[reportMissingImports, reportUnknownVariableType]
        except ModuleNotFoundError:
            raise UsageError("to_dataframe needs pandas, which is not installed: pip install pandas") from None
        table = self.table(name).plain
        return cast(Any, DataFrame)(list(table.rows), columns=list(table.headers))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.headline}>"

    def __str__(self) -> str:
        from einsum_cascade.study.rendering import to_text

        return to_text(self.parts())

    def _repr_html_(self) -> str:
        from einsum_cascade.study.rendering import to_html

        return to_html(self.parts())


@cache
def _adapter(kind: type[Any]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _plain(value: Any) -> Any:
    match value:
        case Mapping():
            return {str(key): _plain(own) for key, own in cast(Mapping[Any, Any], value).items()}
        case list() | tuple():
            return [_plain(own) for own in cast(Sequence[Any], value)]
        case np.generic():
            return _plain(value.item())
        case float() if not math.isfinite(value):
            return str(value)
        case int() if has_many_digits(value):
            return written(value)
        case _ if is_dataclass(value):
            own = (field for field in fields(value) if not field.metadata.get("is_array"))
            return {field.name: _plain(getattr(value, field.name)) for field in own}
        case _:
            return value
