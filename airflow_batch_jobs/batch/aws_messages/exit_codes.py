"""Exit codes that are not a program's own."""

from __future__ import annotations

from airflow_batch_jobs.batch.aws_messages.sign import Meaning
from airflow_batch_jobs.batch.cause import Cause, Outlook

#: Exit codes that mean something by themselves if AWS gives no reason: two of the shell's, and 128 + a signal.
EXIT_CODES = {
    126: Meaning(
        Cause.NOT_EXECUTABLE,
        Outlook.LASTS,
        "The command of {container} could not be executed",
        "Make it executable in the image (`chmod +x`), or run it through its interpreter.",
    ),
    127: Meaning(
        Cause.COMMAND_NOT_FOUND,
        Outlook.LASTS,
        "The shell of {container} did not find a command",
        "Check the command, and the scripts it calls, against what is in the image; the log names the command.",
    ),
    137: Meaning(
        Cause.KILLED,
        Outlook.UNCLEAR,
        "{container} was killed (SIGKILL), and AWS does not say why",
        "Most often it had too little memory{memory}: give it more; otherwise its host went away, or it was being "
        "stopped and ignored SIGTERM.",
    ),
    139: Meaning(
        Cause.SIGNAL,
        Outlook.UNCLEAR,
        "{container} crashed with a memory access violation (SIGSEGV)",
        "Look for a bug in native code, or for libraries built for a processor other than the host's.",
    ),
    143: Meaning(
        Cause.SIGNAL,
        Outlook.UNCLEAR,
        "{container} was asked to stop (SIGTERM), and AWS does not say by whom",
        "Look for a spot interruption, a scale-in of the compute environment, or a program that signals itself; "
        "otherwise run it again.",
    ),
}
