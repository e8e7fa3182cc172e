"""Pooling on the CPU: the backend that `fastpool.arrays` hands out for NumPy arrays."""

from .fold import gather, reduce

__all__ = ["gather", "reduce"]
