"""A study: a cascade on a machine at some extents, and all that is said of it, as reports.

The module itself can be called: `einsum_cascade.study(cascade, machine, M=1024)` makes a study, see
`einsum_cascade.study.door.study`.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from einsum_cascade.study.door import Study

__all__: list[str] = []


class _CallableModule(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> "Study":
        """Return a study; see `einsum_cascade.study.door.study`."""
        from einsum_cascade.study.door import study

        return study(*arguments, **options)


sys.modules[__name__].__class__ = _CallableModule
