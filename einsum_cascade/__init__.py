"""Attention algorithms as cascades of Einsums."""

__all__ = ["__version__"]

__version__ = "0.1.0"
