"""Speeds beside other libraries: ``fastpool bench`` in a clone, or ``python -m asv_bench.rivals --help``.

`speeds` has the workloads, and each library's calls of them. `alone` runs each library in a process of its
own, `geometries` draws other workloads, `gpu` times a GPU. `command` is the command line.
"""
