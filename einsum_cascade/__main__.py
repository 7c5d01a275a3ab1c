"""`python -m einsum_cascade COMMAND ...` is `einsum-cascade COMMAND ...`."""

from einsum_cascade.cli import main

__all__: list[str] = []

main()
