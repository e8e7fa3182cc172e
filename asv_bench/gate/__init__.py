"""Compares the speed of two commits by an asv suite: ``python -m asv_bench.gate --help``.

`suite` builds both commits and finds the benchmarks. `draws` starts processes in pairs, and `sample` is what
runs in each. `decide` tells what is slower, and `report` shows it.
"""
