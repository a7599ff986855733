"""The words AWS uses for what went wrong, and what each means."""

from airflow_batch_jobs.batch.aws_messages.blocks import BLOCKS
from airflow_batch_jobs.batch.aws_messages.exit_codes import EXIT_CODES
from airflow_batch_jobs.batch.aws_messages.fates import FATES
from airflow_batch_jobs.batch.aws_messages.reasons import REASONS
from airflow_batch_jobs.batch.aws_messages.sign import Meaning, Sign, meaning_of
from airflow_batch_jobs.batch.cause import Cause, Outlook

__all__ = ["BLOCKS", "EXIT_CODES", "FATES", "REASONS", "Cause", "Meaning", "Outlook", "Sign", "meaning_of"]
