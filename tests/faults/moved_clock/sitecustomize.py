"""Python runs this at its start when the folder is on its path: the wall clock is as wrong as a file says, in seconds.

Only what Python reads of the wall clock moves; monotonic time does not, as on a machine whose clock is set.
"""

import os
import time
from pathlib import Path

_real_time, _real_time_ns = time.time, time.time_ns


def _wrong_by() -> float:
    try:
        return float(Path(os.environ["WRONG_BY_FILE"]).read_text() or 0)
    except FileNotFoundError:
        return 0.0


time.time = lambda: _real_time() + _wrong_by()
time.time_ns = lambda: _real_time_ns() + int(_wrong_by() * 1e9)
