"""Fill as much memory as is asked for, and say so."""

from __future__ import annotations

import sys


def main() -> None:
    """Take the number of MiB as the only argument."""
    mib = int(sys.argv[1])
    filled = bytearray(mib << 20)
    print(f"{len(filled) >> 20} MiB are filled.")


if __name__ == "__main__":
    main()
