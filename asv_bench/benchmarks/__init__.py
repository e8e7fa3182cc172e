"""The suite that airspeed velocity runs.

asv 0.6.6 sets up again before each call that it times, which rules out batches of calls of microseconds. Our
setups make arrays and compile, and timed calls leave nothing behind: batches are right for all of them.
"""

try:
    from asv_runner.benchmarks.time import TimeBenchmark
except ImportError:  # the suite's own tests need no asv
    pass
else:
    TimeBenchmark._setup_isolates_timed_calls = False
