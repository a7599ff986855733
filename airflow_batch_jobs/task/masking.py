"""Mask what looks like a secret in a request, as Airflow does elsewhere: in logs and in the rendered fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk._shared.secrets_masker import should_hide_value_for_key  # it has no public name
from airflow.sdk.log import mask_secret

if TYPE_CHECKING:
    from collections.abc import Iterator


def mask_secrets(*parts: Any) -> None:
    """Have Airflow mask the values whose names look secret by its own rule, `[core] sensitive_var_conn_names`.

    In the rendered fields Airflow by itself hides what stands under such a key, but not AWS's
    `{"name": "DB_PASSWORD", "value": …}`, and in a log it hides neither.

    Does not hide anything from AWS, whose DescribeJobs shows environment values and parameters in plain text, nor from
    the job, whose own lines a triggerer copies as they are.

    Args:
        parts: What the request is made of.
    """
    for name, value in named_values(parts):
        if should_hide_value_for_key(name):  # type: ignore[no-untyped-call]  # Airflow's function is untyped
            mask_secret(value)


def named_values(part: Any) -> Iterator[tuple[str, str]]:
    """Yield every string with its name: its key in a mapping, or the `name` beside a `value`."""
    if isinstance(part, Mapping):
        if isinstance(name := part.get("name"), str) and isinstance(value := part.get("value"), str):
            yield name, value
        for key, each in part.items():
            if isinstance(each, str):
                yield str(key), each
            else:
                yield from named_values(each)
    elif isinstance(part, Collection) and not isinstance(part, str):
        for each in part:
            yield from named_values(each)
