"""The version of the package, which what it writes has in it."""

__all__ = ["__version__"]

__version__ = "0.1.0"
