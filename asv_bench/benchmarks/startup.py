"""What a user waits for before the first result: the import, a cold first call, one from the cache."""

import os
import shutil
import subprocess
import sys
import tempfile

FIRST_CALL = """
import time, numpy as np, fastpool as fp
x = np.ones((1, 1, 8, 8), np.float32)
begin = time.perf_counter()
fp.max_pool(x, 2)
print(time.perf_counter() - begin)
"""


class Startup:
    """Each in a process of its own."""

    unit = "seconds"
    timeout = 120

    def setup(self):
        self.folder = tempfile.mkdtemp()
        self._first_call(self.folder)

    def teardown(self):
        shutil.rmtree(self.folder)

    def _first_call(self, folder):
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", FIRST_CALL]
        return float(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)

    def timeraw_import(self):
        return "import fastpool"

    def track_first_call_cold(self):
        with tempfile.TemporaryDirectory() as folder:
            return self._first_call(folder)

    def track_first_call_from_cache(self):
        return self._first_call(self.folder)
