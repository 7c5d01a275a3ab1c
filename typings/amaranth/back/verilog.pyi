from typing import Any

def convert(
    elaboratable: Any, name: str = "top", *, emit_src: bool = True, strip_internal_attrs: bool = False
) -> str: ...
