"""What a job hands back: one line of its log, `batch-job-result: {json}`, found and read after its end."""
