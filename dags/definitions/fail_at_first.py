"""Fail until the source is ready: in the first tries of Airflow, and at the first attempt of every other one."""

from __future__ import annotations

import os
import sys

#: What sysexits.h calls a temporary failure, after which trying again makes sense.
TEMPORARY_FAILURE = 75


def main() -> None:
    """Take Airflow's try and the first good one as arguments."""
    airflow_try, good_try = map(int, sys.argv[1:])
    batch_attempt = int(os.environ["AWS_BATCH_JOB_ATTEMPT"])
    print(f"AWS Batch's attempt {batch_attempt} in Airflow's try {airflow_try}")
    if airflow_try < good_try or batch_attempt == 1:
        print("ERROR The source is not ready yet.")
        sys.exit(TEMPORARY_FAILURE)
    print("The source is ready.")


if __name__ == "__main__":
    main()
