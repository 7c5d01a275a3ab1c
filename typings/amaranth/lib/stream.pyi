from typing import Any

from amaranth.lib import wiring

class Signature(wiring.Signature):
    def __init__(self, payload_shape: Any) -> None: ...
