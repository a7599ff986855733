/** The jobs of a DAG run: one row for each task instance that has one. */

import type { Ask, Refusal } from "./api";
import { taskHasEnded } from "./headline";
import { isRunning, isWaiting, list, number, readJob, record, text, type Job } from "./job";
import { pauseAfter } from "./poll";
import { unaskable, XCOM } from "./task";

export interface Row {
  key: string;
  taskId: string;
  mapIndex: number;
  /** The task's name, and what a mapped one was given to be known by. */
  name: string;
  label: string;
  taskState: string | null;
  /** When the XCom was written. */
  written: string;
  /** The writing that `job` is of. */
  read: string;
  /** Null if the XCom is no job; undefined as long as it was not read. */
  job: Job | null | undefined;
}

export interface RunView {
  rows: Row[];
  /** How many task instances have a job, of which `rows` may have the first only. */
  total: number;
  problem: string | null;
  isLoaded: boolean;
  isLive: boolean;
  asOf: Date | null;
}

export const EMPTY: RunView = { rows: [], total: 0, problem: null, isLoaded: false, isLive: true, asOf: null };
export const PAGE = 25;

const API_PAGE = 100;
const MOST_ROWS = 10_000;
/** For how many rows the XCom is read, so as to sort by it; the others' are read when they are looked at. */
const MOST_READ = 200;
const AT_ONCE = 4;
const PAUSE_MS = 10_000;
/** Pauses are so many times as long as the work, which is much for a run of thousands. */
const PAUSE_FACTOR = 4;

/** Keeps the rows of a run current. */
export class RunJobs {
  private view = EMPTY;
  private shown: [from: number, to: number] = [0, PAGE];
  private failures = 0;

  constructor(
    private readonly dagId: string,
    private readonly runId: string,
    private readonly show: (view: RunView) => void,
  ) {}

  /** Look once; return in how many milliseconds to look again. */
  async refresh(ask: Ask): Promise<number | null> {
    const begun = Date.now();
    const refused = unaskable(this.dagId, this.runId);
    if (refused !== null) {
      this.update({ problem: refused, isLoaded: true, isLive: false });
      return null;
    }
    const failed = (await this.list(ask)) ?? (await this.read(ask));
    if (failed !== null) {
      this.failures += 1;
      this.update({ problem: failed.sentence, isLoaded: true, isLive: failed.mayPass });
      return failed.mayPass ? pauseAfter(this.failures) : null;
    }
    this.failures = 0;
    const isLive = this.view.rows.some(({ taskState }) => !taskHasEnded(taskState));
    this.update({ problem: null, isLoaded: true, isLive, asOf: new Date() });
    return isLive || this.view.total === 0 ? Math.max(PAUSE_MS, PAUSE_FACTOR * (Date.now() - begun)) : null;
  }

  /** Read what the rows of a page have to show. */
  async turnTo(from: number, ask: Ask): Promise<void> {
    this.shown = [from, from + PAGE];
    await this.read(ask);
  }

  private async list(ask: Ask): Promise<Refusal | null> {
    const path = ["dags", this.dagId, "dagRuns", this.runId, "taskInstances"];
    const entries = await listed(ask, [...path, "~", "xcomEntries"], "xcom_entries", { xcom_key: XCOM });
    if (!entries.ok) {
      return entries;
    }
    const instances = entries.total > 0 ? await listed(ask, path, "task_instances", {}) : entries;
    if (!instances.ok) {
      return instances;
    }
    const known = new Map(this.view.rows.map((row) => [row.key, row]));
    const states = new Map(instances.items.map((instance) => [keyOf(instance), instance]));
    const rows = entries.items.map((entry) => readRow(entry, states.get(keyOf(entry)) ?? {}, known));
    this.update({ rows: rows.sort(byInterest), total: entries.total });
    return null;
  }

  private async read(ask: Ask): Promise<Refusal | null> {
    const [from, to] = this.shown;
    const { rows } = this.view;
    const wanted = [...rows.slice(from, to), ...rows.slice(0, MOST_READ).filter(({ taskState }) => taskState !== "success")];
    const missing = [...new Set(wanted)].filter(({ read, written }) => read !== written);
    let refusal: Refusal | null = null;
    const next = async (): Promise<void> => {
      for (let row = missing.shift(); row !== undefined && refusal === null; row = missing.shift()) {
        const answer = await ask(
          ["dags", this.dagId, "dagRuns", this.runId, "taskInstances", row.taskId, "xcomEntries", XCOM],
          { map_index: row.mapIndex, deserialize: "false" },
        );
        if (answer.ok) {
          this.put({ ...row, read: row.written, job: readJob(answer.data["value"]) });
        } else if (answer.status !== 404) {
          refusal = answer;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
    this.update({ rows: this.view.rows.toSorted(byInterest) });
    return refusal;
  }

  private put(row: Row): void {
    this.update({ rows: this.view.rows.map((one) => (one.key === row.key && one.written === row.written ? row : one)) });
  }

  private update(changes: Partial<RunView>): void {
    this.view = { ...this.view, ...changes };
    this.show(this.view);
  }
}

type Listed = { ok: true; items: Record<string, unknown>[]; total: number } | Refusal;

/** Return all items of a list, page by page: the API may give fewer at once than it is asked for. */
async function listed(ask: Ask, path: string[], member: string, parameters: Record<string, string>): Promise<Listed> {
  const items: Record<string, unknown>[] = [];
  for (;;) {
    const answer = await ask(path, { ...parameters, limit: API_PAGE, offset: items.length });
    if (!answer.ok) {
      return answer;
    }
    const page = list(answer.data[member]).map(record);
    items.push(...page);
    const total = number(answer.data["total_entries"]) ?? items.length;
    if (page.length === 0 || items.length >= total || items.length >= MOST_ROWS) {
      return { ok: true, items, total };
    }
  }
}

function readRow(entry: Record<string, unknown>, instance: Record<string, unknown>, known: Map<string, Row>): Row {
  const [key, written, taskId] = [keyOf(entry), text(entry["timestamp"]), text(entry["task_id"])];
  const mapIndex = number(entry["map_index"]) ?? -1;
  const before = known.get(key);
  return {
    key,
    taskId,
    mapIndex,
    name: text(instance["task_display_name"]) || taskId,
    label: mapIndex < 0 ? "" : text(instance["rendered_map_index"]) || String(mapIndex),
    taskState: text(instance["state"]) || null,
    written,
    read: before?.read ?? "",
    job: before?.job,
  };
}

const keyOf = (one: Record<string, unknown>): string => `${number(one["map_index"]) ?? -1} ${text(one["task_id"])}`;

/** What is to be seen first: what failed, then what waits, and last what is well. */
export function interest({ taskState, job }: Row): number {
  if (taskState === "failed" || taskState === "upstream_failed") {
    return 0;
  }
  if (job?.status === "FAILED" && taskState !== "success") {
    return 1;
  }
  if (taskState === "success") {
    return 7;
  }
  if (taskHasEnded(taskState)) {
    return 6;
  }
  if (job && isWaiting(job)) {
    return job.whyWaiting ? 2 : 3;
  }
  return job && isRunning(job) ? 5 : 4;
}

const byInterest = (one: Row, other: Row): number =>
  interest(one) - interest(other) || compare(one.taskId, other.taskId) || one.mapIndex - other.mapIndex;

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

/** Return how many rows are in which state, those first that somebody looks for. */
export function tally(rows: Row[]): [state: string, amount: number][] {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const state = row.taskState ?? "no status";
    counts.set(state, (counts.get(state) ?? 0) + 1);
  }
  return [...counts];
}
