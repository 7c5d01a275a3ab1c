# cocotbext-axi publishes no types. Here is what the bench uses; what its channels have inside is left open.
from typing import Any

class AxiBus:
    @classmethod
    def from_prefix(cls, entity: Any, prefix: str) -> AxiBus: ...

class AxiLiteBus:
    @classmethod
    def from_prefix(cls, entity: Any, prefix: str) -> AxiLiteBus: ...

class AxiRam:
    read_if: Any
    write_if: Any
    def __init__(self, bus: AxiBus, clock: Any, reset: Any, *, size: int) -> None: ...
    def read(self, address: int, length: int) -> bytes: ...
    def write(self, address: int, data: bytes) -> None: ...

class AxiReadResponse:
    data: bytes

class AxiLiteMaster:
    read_if: Any
    write_if: Any
    def __init__(self, bus: AxiLiteBus, clock: Any, reset: Any) -> None: ...
    async def read(self, address: int, length: int) -> AxiReadResponse: ...
    async def write(self, address: int, data: bytes) -> None: ...
