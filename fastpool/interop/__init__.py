"""fastpool inside other libraries' machinery: PyTorch's autograd and compiler, JAX's transformations."""
