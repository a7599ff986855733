/** The XCom `batch_job`, read into one form: of any version, with any field missing or of another type. */

export interface LogStream {
  label: string;
  group: string;
  region: string;
  stream: string;
}

export interface Attempt {
  number: number;
  startedAt: Date | null;
  stoppedAt: Date | null;
  exitCode: number | null;
  reason: string;
  logStreams: LogStream[];
}

export interface FailedChild {
  id: string;
  index: number | null;
  exitCode: number | null;
  reason: string;
  logStream: LogStream | null;
}

/** Why a job failed, or waits: in one sentence each, what happened and what to do. */
export interface Why {
  summary: string;
  remedy: string;
  /** AWS's own words. */
  reason: string;
  since: Date | null;
}

export interface Job {
  id: string;
  name: string;
  definition: string;
  queue: string;
  status: string;
  statusReason: string;
  exitCode: number | null;
  createdAt: Date | null;
  startedAt: Date | null;
  stoppedAt: Date | null;
  asOf: Date | null;
  tryNumber: number | null;
  tries: number | null;
  attempts: Attempt[];
  attemptsLeftOut: number;
  attemptCount: number;
  maxAttempts: number | null;
  timeoutSeconds: number | null;
  logStreams: LogStream[];
  logStreamsLeftOut: number;
  isArray: boolean;
  arraySize: number | null;
  nodes: number | null;
  children: [status: string, count: number][];
  failedChildren: FailedChild[];
  failedChildrenLeftOut: number;
  diagnosis: Why | null;
  whyWaiting: Why | null;
  /** When the job became what it is, as its history has it. */
  statusSince: Date | null;
  vcpus: number | null;
  memoryMib: number | null;
  gpus: number | null;
  image: string;
  platform: string;
  instanceType: string;
  vcpuHours: number | null;
  gbHours: number | null;
  tags: [key: string, value: string][];
  changes: string[];
}

const FINAL = new Set(["SUCCEEDED", "FAILED"]);
const BEFORE_RUNNING = new Set(["SUBMITTED", "PENDING", "RUNNABLE", "STARTING"]);

/** Our own tags say whose the job is, which the page says as well. */
const OWN_TAGS = "airflow-";

/** The states of a job, those first that somebody looks for. */
const BY_INTEREST = ["FAILED", "RUNNABLE", "PENDING", "SUBMITTED", "STARTING", "RUNNING", "SUCCEEDED"];

export const hasEnded = (job: Job): boolean => FINAL.has(job.status);
/** Tell whether a job has yet to run. An array, which AWS calls PENDING until it ends, has run once a child has. */
export const isWaiting = (job: Job): boolean => BEFORE_RUNNING.has(job.status) && !hasChildThatRan(job);
export const isRunning = (job: Job): boolean =>
  job.status === "RUNNING" || (BEFORE_RUNNING.has(job.status) && hasChildThatRan(job));

const hasChildThatRan = (job: Job): boolean => job.children.some(([status]) => FINAL.has(status) || status === "RUNNING");

/** Return the job of an XCom's value; null if it is none: a reference, say, of a deployment's own XCom backend. */
export function readJob(value: unknown): Job | null {
  const job = record(unpacked(value));
  const id = text(job["job_id"]);
  if (!id) {
    return null;
  }
  const attempts = list(job["attempts"]).map(readAttempt);
  const resources = record(job["resources"]);
  const children = readChildren(record(job["children"]));
  const status = text(job["status"]) || "UNKNOWN";
  return {
    id,
    name: text(job["job_name"]),
    definition: lastPart(text(job["definition"])),
    queue: lastPart(text(job["queue"])),
    status,
    statusReason: text(job["status_reason"]),
    exitCode: number(job["exit_code"]),
    createdAt: time(job["created_at"]),
    startedAt: time(job["started_at"]),
    stoppedAt: time(job["stopped_at"]),
    asOf: time(job["as_of"]),
    tryNumber: number(job["try_number"]),
    tries: tries(number(job["max_tries"])),
    attempts,
    attemptsLeftOut: number(job["attempts_left_out"]) ?? 0,
    attemptCount: number(job["attempts"]) ?? attempts.length + (number(job["attempts_left_out"]) ?? 0),
    maxAttempts: number(job["max_attempts"]),
    timeoutSeconds: number(job["timeout_seconds"]),
    logStreams: list(job["log_streams"]).map(readStream).filter(isThere),
    logStreamsLeftOut: number(job["log_streams_left_out"]) ?? 0,
    isArray: text(job["kind"]) === "array parent" || children.length > 0,
    arraySize: number(job["array_size"]),
    nodes: number(job["nodes"]),
    children,
    failedChildren: list(job["failed_children"]).map(readChild),
    failedChildrenLeftOut: number(job["failed_children_left_out"]) ?? 0,
    diagnosis: readWhy(job["diagnosis"]),
    whyWaiting: readWhy(job["why_waiting"]),
    statusSince: statusSince(list(job["history"]), status),
    vcpus: number(resources["vcpus"]),
    memoryMib: number(resources["memory_mib"]),
    gpus: number(resources["gpus"]),
    image: text(resources["image"]),
    platform: text(resources["platform"]),
    instanceType: text(resources["instance_type"]),
    vcpuHours: number(job["vcpu_hours"]),
    gbHours: number(job["gb_hours"]),
    tags: Object.entries(record(job["tags"]))
      .filter(([key]) => !key.startsWith(OWN_TAGS))
      .map(([key, tag]) => [key, text(tag)]),
    changes: list(job["changes"]).map(record).map(changed).filter(Boolean),
  };
}

/** Say what a retry changed in the request, and why. */
function changed(change: Record<string, unknown>): string {
  const [field, before, after, why] = ["field", "before", "after", "why"].map((name) => text(change[name]));
  const turned = before === after ? `stays ${after}` : `is ${after}, not ${before}`;
  return field && after ? `${field} ${turned}: ${why}` : (why ?? "");
}

/** Return the value that some versions of Airflow's API give as JSON text. */
function unpacked(value: unknown): unknown {
  if (typeof value !== "string") {
    return value;
  }
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

function readAttempt(value: unknown, index: number): Attempt {
  const attempt = record(value);
  return {
    number: number(attempt["number"]) ?? index + 1,
    startedAt: time(attempt["started_at"]),
    stoppedAt: time(attempt["stopped_at"]),
    exitCode: number(attempt["exit_code"]),
    reason: text(attempt["reason"]),
    logStreams: list(attempt["log_streams"]).map(readStream).filter(isThere),
  };
}

function readChild(value: unknown): FailedChild {
  const child = record(value);
  return {
    id: text(child["job_id"]),
    index: number(child["index"]),
    exitCode: number(child["exit_code"]),
    reason: text(child["reason"]),
    logStream: readStream(child["log_stream"]),
  };
}

function readStream(value: unknown): LogStream | null {
  const stream = record(value);
  const [group, region, name] = [text(stream["group"]), text(stream["region"]), text(stream["stream"])];
  return group && region && name ? { label: text(stream["label"]), group, region, stream: name } : null;
}

function readWhy(value: unknown): Why | null {
  const why = record(value);
  const [summary, remedy, reason] = [text(why["summary"]), text(why["remedy"]), text(why["reason"])];
  return summary || remedy || reason ? { summary, remedy, reason, since: time(why["since"]) } : null;
}

function readChildren(children: Record<string, unknown>): [string, number][] {
  const rank = (status: string): number => (BY_INTEREST.includes(status) ? BY_INTEREST.indexOf(status) : 99);
  return Object.entries(children)
    .map(([status, count]): [string, number] => [status, number(count) ?? 0])
    .filter(([, count]) => count > 0)
    .sort(([one], [other]) => rank(one) - rank(other));
}

/** Return when the state began that the history ends with; null if it ends with another one. */
function statusSince(history: unknown[], status: string): Date | null {
  let since: Date | null = null;
  for (const entry of history.map(record).reverse()) {
    if (text(entry["status"]) !== status) {
      break;
    }
    since = time(entry["at"]) ?? since;
  }
  return since;
}

/** Airflow's `max_tries` counts the retries. */
const tries = (retries: number | null): number | null => (retries === null ? null : retries + 1);
const lastPart = (arn: string): string => arn.slice(arn.lastIndexOf("/") + 1);
const isThere = <T>(value: T | null): value is T => value !== null;

export const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);
export const text = (value: unknown): string => (typeof value === "string" ? value : "");
export const number = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : null;

export function time(value: unknown): Date | null {
  const moment = new Date(text(value));
  return Number.isNaN(moment.getTime()) ? null : moment;
}
