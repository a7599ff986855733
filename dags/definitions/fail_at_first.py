"""Fail until the source is ready: in Airflow's first tries, and in AWS Batch's first attempt of every later one."""

from __future__ import annotations

import os
import sys

#: What sysexits.h calls a temporary failure, which is worth a retry.
TEMPORARY_FAILURE = 75


def main() -> None:
    """Take Airflow's try number, and the first one that succeeds, as arguments."""
    airflow_try, good_try = map(int, sys.argv[1:])
    batch_attempt = int(os.environ["AWS_BATCH_JOB_ATTEMPT"])
    print(f"AWS Batch's attempt {batch_attempt} in Airflow's try {airflow_try}")
    if airflow_try < good_try or batch_attempt == 1:
        print("ERROR The source is not ready yet.")
        sys.exit(TEMPORARY_FAILURE)
    print("The source is ready.")


if __name__ == "__main__":
    main()
