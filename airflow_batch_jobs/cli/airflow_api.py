"""AirflowApi: the states of task instances from Airflow's REST API, by its official client, without Airflow itself."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws.explanation import without_header_values
from airflow_batch_jobs.batch.orphans import CANNOT_TELL, GONE
from airflow_batch_jobs.errors import AirflowUnansweredError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_batch_jobs.batch.identity import TaskKey

#: How long one answer may take.
ANSWER_SECONDS = 30.0


class AirflowApi:
    """The REST API of an Airflow, called as one of its users.

    Args:
        url: The API server's address, without `/api/v2`.
        token: The user's token.

    Raises:
        ImportError: The official client, `apache-airflow-client`, is not installed.
    """

    def __init__(self, url: str, token: str) -> None:
        from airflow_client.client import ApiClient, Configuration, TaskInstanceApi

        self._url = url.rstrip("/")
        self._api = TaskInstanceApi(ApiClient(Configuration(host=self._url, access_token=token)))

    @classmethod
    def sign_in(cls, url: str, username: str, password: str) -> AirflowApi:
        """Get a token for a user, as Airflow's own auth managers issue it.

        Raises:
            AirflowUnansweredError: Airflow does not know the user, or does not answer.
            ImportError: As for the class.
        """
        import httpx

        try:
            answer = httpx.post(
                f"{url.rstrip('/')}/auth/token",
                json={"username": username, "password": password},
                timeout=ANSWER_SECONDS,
            )
            token = str(answer.raise_for_status().json()["access_token"])
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            raise AirflowUnansweredError(f"Airflow at {url} gave no token for user {username!r}: {error}") from error
        return cls(url, token)

    def states(self, owners: Iterable[TaskKey]) -> dict[TaskKey, str | None]:
        """Return the states of task instances, asking for them one by one.

        A list would leave out what the user may not see, and that must not look as if it were gone.

        Returns:
            The states as Airflow writes them, None, or `GONE`; without those that the user may not see, or that Airflow
            cannot tell.

        Raises:
            AirflowUnansweredError: Airflow refuses, or does not answer.
        """
        from airflow_client.client.exceptions import ApiException, ForbiddenException, NotFoundException

        states: dict[TaskKey, str | None] = {}
        for owner in owners:
            with self._told():
                try:
                    if owner.loop_index is None:
                        states[owner] = self._state(owner)
                    else:
                        states |= self._state_of_pass(owner)
                except ForbiddenException:
                    continue
                except NotFoundException as error:
                    self._require_named(owner, error.body)
                    states[owner] = GONE
                except ApiException as error:
                    if error.status not in CANNOT_TELL:
                        raise
        return states

    def _state_of_pass(self, owner: TaskKey) -> dict[TaskKey, str | None]:
        """Return the state of a pass of a loop; nothing if the list does not have it, since that is no proof.

        The client may be older than loops, so the answer is read as it came.
        """
        found = [
            None if each["state"] is None else str(each["state"])
            for each in self._instances(owner)
            if (each["task_id"], each["map_index"]) == (owner.task_id, owner.map_index)
            and (each.get("loop_iteration") or {}).get("iteration") == owner.loop_index
        ]
        return {owner: found[0]} if len(found) == 1 else {}

    def _instances(self, owner: TaskKey) -> Iterator[dict[str, Any]]:
        """Yield the instances of a task in a run."""
        from airflow_client.client.exceptions import ApiException

        seen = 0
        while True:
            answer = self._api.get_task_instances_without_preload_content(
                owner.dag_id, owner.run_id, task_id=owner.task_id, offset=seen, _request_timeout=ANSWER_SECONDS
            )
            if answer.status != HTTPStatus.OK:
                text = answer.data.decode(errors="replace")
                raise ApiException.from_response(http_resp=answer, body=text, data=None)
            found = json.loads(answer.data)
            yield from found["task_instances"]
            seen += len(found["task_instances"])
            if not found["task_instances"] or seen >= found["total_entries"]:
                return

    def _state(self, owner: TaskKey) -> str | None:
        # This also finds an instance that is not mapped; the other call takes a mapped task's for one that is not.
        found = self._api.get_mapped_task_instance(
            owner.dag_id, owner.run_id, owner.task_id, owner.map_index, _request_timeout=ANSWER_SECONDS
        )
        return None if found.state is None else str(found.state.value)

    def _require_named(self, owner: TaskKey, said: Any) -> None:
        """Believe a 404 only if it names what was not found: a wrong address or a proxy answers 404 to everything.

        Raises:
            AirflowUnansweredError: It does not name it.
        """
        names = (owner.dag_id, owner.run_id, *([owner.task_id] if owner.loop_index is None else []))
        if any(f"`{name}`" not in str(said) for name in names):
            raise AirflowUnansweredError(
                f"{self._url} answers 404 without saying that {owner} does not exist. Give the address of Airflow's "
                "API server, without /api/v2."
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        from airflow_client.client.exceptions import ApiException, OpenApiException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except (OpenApiException, HTTPError, ValueError, LookupError, TypeError, AttributeError) as error:
            said = (
                f"{error.status} {error.reason}"
                if isinstance(error, ApiException)
                else without_header_values(repr(error))
            )
            raise AirflowUnansweredError(f"Airflow at {self._url} gave no states of tasks: {said}") from error
