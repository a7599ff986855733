/** A job's time, as one bar: waited, ran, waited for its next attempt, ran. */

import { between, clock, duration } from "./format";
import { hasEnded, isWaiting, type Attempt, type Job } from "./job";

export interface Span {
  /** `took` is of an array of which nobody knows when its first child began. */
  kind: "waited" | "ran" | "failed" | "took";
  from: Date;
  to: Date;
}

/** Return the spans of a job in their order; an array runs from the start of its first child. */
export function spans(job: Job, now: Date): Span[] {
  if (job.createdAt === null) {
    return [];
  }
  const end = job.stoppedAt ?? (hasEnded(job) ? (job.asOf ?? now) : now);
  if (job.isArray && job.startedAt === null && !isWaiting(job)) {
    return end > job.createdAt ? [{ kind: "took", from: job.createdAt, to: end }] : [];
  }
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

/** Say when what happened, and how long it took: the wait and the start are the first attempt's. */
export function told(job: Job, all: Span[], today: Date): string[] {
  const [first, ...others] = all;
  if (first === undefined) {
    return [];
  }
  const runs = all.filter(({ kind }) => kind === "ran" || kind === "failed");
  const wait = first.kind === "waited" ? [first] : [];
  const waitedAgain = total(others, "waited");
  const [ran, took] = [total(runs, "ran", "failed"), total(all, "took")];
  return [
    `submitted ${clock(first.from, today)}`,
    took > 0 ? `took ${duration(took)}${hasEnded(job) ? "" : " so far"}` : `waited ${duration(total(wait, "waited"))}`,
    runs[0] && `${job.isArray ? "first child started" : "started"} ${clock(runs[0].from, first.from)}`,
    ran > 0 && `ran ${duration(ran)}${runs.length > 1 ? ` in ${runs.length} attempts` : ""}`,
    runs.length > 0 && waitedAgain > 0 && `waited ${duration(waitedAgain)} for another attempt`,
    job.stoppedAt && `stopped ${clock(job.stoppedAt, first.from)}`,
  ].filter((words) => typeof words === "string");
}

/** Say how long a job waited, for all of its attempts together; a dash if nobody knows. */
export function waited(job: Job, now: Date): string {
  if (isWaiting(job)) {
    return between(job.createdAt, now) ?? "–";
  }
  const all = spans(job, now);
  return all.some(({ kind }) => kind !== "took") ? duration(total(all, "waited")) : "–";
}

/** Say how long a job ran, all of its attempts together; of an array of which that is not known, how long it took. */
export function ran(job: Job, now: Date): string {
  const all = spans(job, now);
  const [time, took] = [total(all, "ran", "failed"), total(all, "took")];
  if (took > 0) {
    return `took ${duration(took)}`;
  }
  return time > 0 || (hasEnded(job) && job.startedAt) ? duration(time) : "–";
}

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
