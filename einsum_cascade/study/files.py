"""Files that are whole or not there."""

import os
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(file: Path, content: str | bytes) -> None:
    """Write a file so that nothing is left half written, whatever ends the process.

    What is no plain file, such as a pipe, is written as it comes.

    Raises
    ------
    OSError
        It cannot be written.

    """
    data = content.encode() if isinstance(content, str) else content
    if file.exists() and not file.is_file():
        file.write_bytes(data)
        return
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_bytes(data)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
