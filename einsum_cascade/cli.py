"""The command line. Placeholder: it answers every call with the version."""

from einsum_cascade import __version__

__all__ = ["main"]


def main() -> None:
    """Print the version."""
    print(__version__)
