/** A job's time, as one bar: waited, ran, waited for its next attempt, ran. */

import { hasEnded, type Attempt, type Job } from "./job";

export interface Span {
  kind: "waited" | "ran" | "failed";
  from: Date;
  to: Date;
}

/** Return the spans of a job in their order; none for an array, whose children have times of their own. */
export function spans(job: Job, now: Date): Span[] {
  if (job.isArray || job.createdAt === null) {
    return [];
  }
  const end = job.stoppedAt ?? (hasEnded(job) ? (job.asOf ?? now) : now);
  const found: Span[] = [];
  let reached = job.createdAt;
  for (const run of runs(job)) {
    const from = later(run.startedAt!, reached);
    const to = later(run.stoppedAt ?? end, from);
    const isLast = run.stoppedAt === null || run.stoppedAt >= end;
    const failed = (run.exitCode !== null && run.exitCode !== 0) || (isLast && job.status === "FAILED");
    found.push({ kind: "waited", from: reached, to: from }, { kind: failed ? "failed" : "ran", from, to });
    reached = to;
  }
  if (reached < end) {
    found.push({ kind: "waited", from: reached, to: end });
  }
  return found.filter(({ from, to }) => to > from);
}

/** Return how long the spans of some kinds took together, in milliseconds. */
export const total = (all: Span[], ...kinds: Span["kind"][]): number =>
  all.filter(({ kind }) => kinds.includes(kind)).reduce((sum, { from, to }) => sum + to.getTime() - from.getTime(), 0);

/** Return the attempts that started, with the running one, which AWS may not list yet. */
function runs(job: Job): Attempt[] {
  const listed = job.attempts.filter(({ startedAt }) => startedAt !== null);
  const last = listed.at(-1);
  const { startedAt, stoppedAt } = job;
  const isListed = last !== undefined && startedAt !== null && startedAt <= (last.stoppedAt ?? last.startedAt!);
  if (startedAt === null || isListed || last?.stoppedAt === null) {
    return listed;
  }
  const running = { number: listed.length + 1, startedAt, stoppedAt, exitCode: null, reason: "", logStreams: [] };
  return [...listed, running];
}

const later = (one: Date, other: Date): Date => (one > other ? one : other);
