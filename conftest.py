"""What pytest leaves out of its search for doctests: modules of libraries that are not installed."""

from importlib.util import find_spec

collect_ignore = [f"fastpool/interop/{name}.py" for name in ("torch", "jax") if find_spec(name) is None]
collect_ignore.append("tests/tensorflow_calls.py")  # a script for an interpreter that has TensorFlow
