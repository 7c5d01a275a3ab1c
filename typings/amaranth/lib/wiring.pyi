from collections.abc import Mapping
from typing import Any

class Flow(Any):
    def __call__(self, shape: Any, *, init: Any = None) -> Member: ...

class Member(Any):
    flow: Flow
    shape: Any

class Signature(Any):
    def __init__(self, members: Mapping[str, Member]) -> None: ...
    @property
    def members(self) -> Mapping[str, Member]: ...

class Component(Any):
    def __init__(self, signature: Mapping[str, Member]) -> None: ...

In: Flow
Out: Flow

def flipped(interface: Any) -> Any: ...
def connect(module: Any, *interfaces: Any) -> None: ...
