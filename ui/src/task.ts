/** What there is to show of one task instance. */

import type { Answer, Ask } from "./api";
import { taskHasEnded } from "./headline";
import { hasEnded, number, readJob, record, text, time, type Job } from "./job";
import { httpsOnly } from "./links";
import { pauseAfter } from "./poll";

export interface Place {
  dagId: string;
  runId: string;
  taskId: string;
  /** -1 for a task that is not mapped. */
  mapIndex: number;
}

export interface Links {
  job: string | null;
  definition: string | null;
  queue: string | null;
}

export type TaskView =
  | { kind: "loading" }
  | { kind: "problem"; sentence: string }
  | { kind: "none"; taskHasEnded: boolean }
  /** The XCom is what a deployment's own XCom backend left in the database. */
  | { kind: "elsewhere"; reference: string; links: Links }
  | { kind: "job"; job: Job; links: Links; taskState: string | null; asOf: Date | null; isLive: boolean };

export const XCOM = "batch_job";
export const NO_LINKS: Links = { job: null, definition: null, queue: null };

const PAUSE_MS = 5_000;
const LONG_PAUSE_MS = 15_000;
/** How long after a stop the job's end may still be written down. */
const AFTER_THE_END_MS = 60_000;
const BUSY_TASK_STATES = new Set(["scheduled", "queued", "running", "deferred", "restarting"]);

export const instancePath = ({ dagId, runId, taskId }: Place): string[] => [
  "dags",
  dagId,
  "dagRuns",
  runId,
  "taskInstances",
  taskId,
];

/** Return why a place cannot be asked for: the API takes the name for two parts of a path. */
export function unaskable(...names: string[]): string | null {
  const name = names.find((one) => one.includes("/"));
  return name === undefined ? null : `Airflow's API cannot be asked about “${name}”, because of the slash in it.`;
}

/** Return a way to load the view of a place, which also says in how many milliseconds to do so again. */
export function taskLoader(place: Place): (ask: Ask) => Promise<[TaskView, number | null]> {
  const refused = unaskable(place.dagId, place.runId, place.taskId);
  let [failures, linksOf, links] = [0, "", NO_LINKS];

  return async (ask) => {
    if (refused !== null) {
      return [{ kind: "problem", sentence: refused }, null];
    }
    const [xcom, instance] = await Promise.all([
      ask([...instancePath(place), "xcomEntries", XCOM], { map_index: place.mapIndex, deserialize: "false" }),
      ask([...instancePath(place), ...(place.mapIndex < 0 ? [] : [String(place.mapIndex)])], {}),
    ]);
    const refusal = [xcom, instance].find((answer) => !answer.ok && answer.status !== 404);
    if (refusal !== undefined && !refusal.ok) {
      failures += 1;
      return [{ kind: "problem", sentence: refusal.sentence }, refusal.mayPass ? pauseAfter(failures) : null];
    }
    failures = 0;
    const [taskState, endedAt] = instance.ok
      ? [text(instance.data["state"]) || null, time(instance.data["end_date"])]
      : [null, null];
    if (!xcom.ok) {
      const ended = taskHasEnded(taskState) || !instance.ok;
      return [{ kind: "none", taskHasEnded: ended }, ended ? null : pauseFor(taskState)];
    }
    const written = text(xcom.data["timestamp"]);
    if (linksOf !== written || links.job === null) {
      links = readLinks(await ask([...instancePath(place), "links"], { map_index: place.mapIndex }));
      linksOf = written;
    }
    const job = readJob(xcom.data["value"]);
    if (job === null) {
      return [{ kind: "elsewhere", reference: reference(xcom.data["value"]), links }, null];
    }
    const isOver = taskHasEnded(taskState) && (hasEnded(job) || !isFresh(endedAt));
    const asOf = job.asOf ?? time(written);
    return [
      { kind: "job", job, links, taskState, asOf, isLive: !isOver && !hasEnded(job) },
      isOver ? null : pauseFor(taskState),
    ];
  };
}

const pauseFor = (taskState: string | null): number =>
  taskState !== null && BUSY_TASK_STATES.has(taskState) ? PAUSE_MS : LONG_PAUSE_MS;

const isFresh = (endedAt: Date | null): boolean =>
  endedAt !== null && Date.now() - endedAt.getTime() < AFTER_THE_END_MS;

const reference = (value: unknown): string =>
  (typeof value === "string" ? value : (JSON.stringify(value) ?? "")).slice(0, 300);

function readLinks(answer: Answer): Links {
  const found = answer.ok ? record(answer.data["extra_links"]) : {};
  return {
    job: httpsOnly(found["Batch job"]),
    definition: httpsOnly(found["Batch job definition"]),
    queue: httpsOnly(found["Batch job queue"]),
  };
}

/** Return the place that Airflow's UI says to be at; a task that is not mapped has no index there. */
export const placeOf = (props: Record<string, unknown>): Place => ({
  dagId: text(props["dagId"]),
  runId: text(props["runId"]),
  taskId: text(props["taskId"]),
  mapIndex: number(Number(props["mapIndex"] ?? -1)) ?? -1,
});
