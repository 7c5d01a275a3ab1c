from typing import Any

from amaranth.lib.wiring import Component

class _FIFO(Component):
    def __init__(self, *, width: int, depth: int) -> None: ...
    level: Any

class SyncFIFO(_FIFO): ...
class SyncFIFOBuffered(_FIFO): ...
