"""Pooling on the CPU: the backend that `fastpool.arrays` hands out for NumPy arrays."""

from .fold import fold, gather

__all__ = ["fold", "gather"]
