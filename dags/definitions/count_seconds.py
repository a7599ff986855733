"""Count seconds, as a stand-in for long work that cleans up when it is told to stop."""

from __future__ import annotations

import signal
import sys
import time
from typing import NoReturn


def main() -> None:
    """Print a line every second, as many as the first argument says."""
    signal.signal(signal.SIGTERM, stop)
    seconds = int(sys.argv[1])
    for second in range(1, seconds + 1):
        print(f"second {second} of {seconds}")
        time.sleep(1)
    print("Done.")


def stop(number: int, _frame: object) -> NoReturn:
    """End in good time, as a program that AWS Batch terminates should: SIGKILL comes 30 s after SIGTERM."""
    print("Got SIGTERM: putting things in order, then ending.")
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
