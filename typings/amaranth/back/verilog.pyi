from typing import Any

def convert(
    elaboratable: Any,
    name: str = "top",
    platform: object = None,
    *,
    emit_src: bool = True,
    strip_internal_attrs: bool = False,
) -> str: ...
