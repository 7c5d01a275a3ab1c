"""The driver as a file that stands alone: its source, with the tables written out."""

import inspect
import re
from pprint import pformat

from einsum_cascade.handoff import driver, register_tables

__all__ = ["driver_text"]

_TABLES = re.compile(r"^# Tables\.\n.*?^# End of tables\.\n", re.MULTILINE | re.DOTALL)


def driver_text() -> str:
    """Return `driver.py`."""
    values = {name: getattr(register_tables, name) for name in register_tables.__all__}
    written = "\n".join(f"{name} = {pformat(value, width=116)}" for name, value in values.items())
    text, count = _TABLES.subn(lambda _: f"{written}\n", inspect.getsource(driver))
    assert count == 1
    return text
