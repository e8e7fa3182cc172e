"""fastpool inside other libraries' machinery: PyTorch, JAX, dask and xarray."""
