/** What a person has to know first about a job. */

import { between, count } from "./format";
import { hasEnded, isWaiting, type Attempt, type Job } from "./job";

export interface Headline {
  /** The job's state, as AWS names it. */
  status: string;
  title: string;
  /** What else there is to say, the remedy first. */
  lines: string[];
  /** AWS's own words; empty where the rest has them. */
  aws: string;
}

/** What AWS says of every job that ends with its container, or with a child: nothing, beside a diagnosis. */
const SAYS_NOTHING = new Set(["Essential container in task exited", "Array Child Job failed"]);
const FINAL_TASK_STATES = new Set(["success", "failed", "skipped", "upstream_failed", "removed"]);

/** Tell whether nobody watches the job any more; of a task without a state, that it has not begun yet. */
export const taskHasEnded = (state: string | null): boolean => state !== null && FINAL_TASK_STATES.has(state);

/** Sum up a job: why it failed, why it waits and for how long, or its state and attempt. */
export function headline(job: Job, taskState: string | null, now: Date): Headline {
  const base = { status: job.status, lines: [], aws: "" };
  if (hasGoneWrong(job)) {
    return { ...base, ...failure(job) };
  }
  if (!hasEnded(job) && taskHasEnded(taskState)) {
    const title = `when it was last looked at; the task has ended (${taskState}) and watches it no more`;
    return { ...base, title, lines: ["AWS has the job's present state: see its link below."] };
  }
  if (isWaiting(job)) {
    return { ...base, ...waiting(job, now) };
  }
  if (job.isArray) {
    const [done, all] = [count(childrenIn(job, "SUCCEEDED")), count(childCount(job))];
    return { ...base, title: `${done} of ${all} children have succeeded` };
  }
  const ran = between(runningSince(job), job.stoppedAt ?? (hasEnded(job) ? job.asOf : now));
  const spent = ran === null ? "" : hasEnded(job) ? `after ${ran}` : `for ${ran}`;
  return { ...base, title: [spent, attemptOf(job)].filter(Boolean).join(", ") };
}

/** Tell whether a job has failed, or was stopped, of which AWS may not have told yet. */
export const hasGoneWrong = (job: Job): boolean =>
  job.status === "FAILED" || (job.diagnosis !== null && job.status !== "SUCCEEDED");

/** Leave out of a summary what it quotes of AWS's own words, which stand below it. */
function without(summary: string, ...quoted: string[]): string {
  let kept = summary;
  for (const words of [...quoted, ...SAYS_NOTHING].map((each) => each.replace(/\.$/u, "")).filter(Boolean)) {
    for (const quote of [`; ${words}`, `${words}; `, ` (${words})`]) {
      kept = kept.replace(quote, "");
    }
  }
  return kept;
}

function failure(job: Job): Partial<Headline> & { title: string } {
  const { diagnosis } = job;
  const told = job.attempts.at(-1)?.reason || job.statusReason;
  const summary = without(diagnosis?.summary ?? "", told);
  const aws = told && !SAYS_NOTHING.has(told) && !summary.includes(told) ? told : "";
  const lines = [diagnosis?.remedy ?? ""].filter(Boolean);
  const failed = childrenIn(job, "FAILED");
  if (job.isArray && failed > 0) {
    const title = `${count(failed)} of ${count(childCount(job))} children failed`;
    const rest = summary.replace(/^[\d,]+ of [\d,]+ children failed[^;]*;?\s*/u, "");
    return { title, lines: [rest.charAt(0).toUpperCase() + rest.slice(1), ...lines].filter(Boolean), aws };
  }
  if (summary) {
    return { title: summary, lines, aws };
  }
  const exit = job.exitCode === null ? "" : `exit code ${job.exitCode}`;
  return { title: [told, exit].filter(Boolean).join(", ") || "AWS gives no reason", lines };
}

function waiting(job: Job, now: Date): Partial<Headline> & { title: string } {
  const why = job.whyWaiting;
  const since = why?.since ?? job.statusSince;
  const waited = between(since, now);
  const spent = waited ? `for ${waited}` : job.createdAt ? `submitted ${between(job.createdAt, now)} ago` : "";
  if (!why) {
    return { title: spent, aws: job.statusReason };
  }
  const summary = without(why.summary, why.reason);
  const title = [spent, summary || why.reason].filter(Boolean).join(": ");
  return { title, lines: [why.remedy].filter(Boolean), aws: summary && !summary.includes(why.reason) ? why.reason : "" };
}

/** Say which attempt runs or ended the job, and how those before it ended; empty for the only one. */
function attemptOf(job: Job): string {
  const ended = job.attempts.filter((attempt) => attempt.stoppedAt !== null);
  const current = job.attempts.find((attempt) => attempt.stoppedAt === null);
  const number = hasEnded(job)
    ? job.attemptCount
    : (current?.number ?? Math.max(0, ...ended.map((attempt) => attempt.number)) + 1);
  if (number <= 1) {
    return "";
  }
  const before = ended.filter((attempt) => attempt.number < number).map((one) => `attempt ${one.number}: ${ending(one)}`);
  const most = job.maxAttempts ? ` of ${job.maxAttempts}` : "";
  return `attempt ${number}${most}${before.length > 0 ? ` (${before.join(", ")})` : ""}`;
}

const ending = (attempt: Attempt): string =>
  attempt.exitCode === null ? attempt.reason || "no exit code" : `exit code ${attempt.exitCode}`;

function runningSince(job: Job): Date | null {
  return job.attempts.find((attempt) => attempt.stoppedAt === null)?.startedAt ?? job.startedAt;
}

/** Return the time up to which a job's times count: of one that is not watched any more, when it was last looked at. */
export const countedTo = (job: Job, taskState: string | null, now: Date): Date =>
  !hasEnded(job) && taskHasEnded(taskState) ? (job.asOf ?? job.startedAt ?? job.createdAt ?? now) : now;

export const childrenIn = (job: Job, status: string): number =>
  job.children.find(([name]) => name === status)?.[1] ?? 0;

export const childCount = (job: Job): number =>
  job.arraySize ?? job.children.reduce((sum, [, amount]) => sum + amount, 0);

/** Return the reason in a table's row: the diagnosis, why it waits, or AWS's words. */
export function shortReason(job: Job, taskState: string | null): string {
  if (!hasEnded(job) && !hasGoneWrong(job) && taskHasEnded(taskState)) {
    return "The task has ended and watches it no more";
  }
  if (hasGoneWrong(job)) {
    return failure(job).title;
  }
  const { summary = "", reason = "" } = job.whyWaiting ?? {};
  return isWaiting(job) ? without(summary, reason) || reason || job.statusReason : "";
}
