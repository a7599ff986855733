import { expect, it } from "vitest";

import samples from "../samples.json";
import type { Answer, Ask } from "./api";
import { EMPTY, interest, PAGE, RunJobs, tally, type RunView } from "./rows";
import { taskLoader } from "./task";

interface Instance {
  task_id: string;
  map_index: number;
  state: string | null;
  timestamp: string;
  job: unknown;
}

const ok = (data: Record<string, unknown>): Answer => ({ ok: true, data });
const refused = (status: number): Answer => ({ ok: false, status, sentence: `answered ${status}`, mayPass: status >= 500 });

/** An API with some task instances that counts how many requests it has, and how many at once. */
class Api {
  requests = 0;
  values = 0;
  most = 0;
  private current = 0;

  constructor(
    public instances: Instance[],
    private readonly pageLimit = 100,
  ) {}

  readonly ask: Ask = async (path, parameters) => {
    this.requests += 1;
    this.most = Math.max(this.most, (this.current += 1));
    await Promise.resolve();
    this.current -= 1;
    return this.answer(path, parameters);
  };

  private answer(path: string[], parameters: Record<string, string | number>): Answer {
    const offset = Number(parameters["offset"]);
    const page = this.instances.slice(offset, offset + Math.min(this.pageLimit, Number(parameters["limit"])));
    const total = { total_entries: this.instances.length };
    if (path.at(-1) === "xcomEntries") {
      return ok({ xcom_entries: page.map(({ job: _, ...entry }) => entry), ...total });
    }
    if (path.at(-1) === "taskInstances") {
      return ok({ task_instances: page.map((one) => ({ ...one, rendered_map_index: `label ${one.map_index}` })), ...total });
    }
    this.values += 1;
    const found = this.instances.find(
      (one) => one.task_id === path[5] && one.map_index === Number(parameters["map_index"]),
    );
    return found ? ok({ value: found.job }) : refused(404);
  }
}

const instance = (map_index: number, state: string | null, job: unknown, task_id = "align"): Instance => ({
  task_id,
  map_index,
  state,
  job,
  timestamp: "2026-01-15T00:00:00Z",
});

const jobs = (): [RunJobs, () => RunView] => {
  let view = EMPTY;
  return [
    new RunJobs("dag", "run", (next) => {
      view = next;
    }),
    () => view,
  ];
};

it("shows what failed first, then what waits, and last what is well", async () => {
  const api = new Api([
    instance(0, "success", samples.succeeded),
    instance(1, "deferred", samples["second attempt"]),
    instance(2, "deferred", { ...samples.waiting, why_waiting: null }),
    instance(3, "deferred", samples.waiting),
    instance(4, "up_for_retry", samples.failed),
    instance(5, "failed", samples.array),
    instance(-1, "failed", "s3://kept/elsewhere", "other"),
  ]);
  const [run, view] = jobs();
  expect(await run.refresh(api.ask)).toBeGreaterThanOrEqual(10_000);
  expect(view().rows.map(({ mapIndex }) => mapIndex)).toEqual([5, -1, 4, 3, 2, 1, 0]);
  expect(view().rows.map(({ job }) => job?.status ?? job)).toEqual([
    "FAILED",
    null,
    "FAILED",
    "RUNNABLE",
    "RUNNABLE",
    "RUNNING",
    "SUCCEEDED",
  ]);
  expect(view().rows[0]?.label).toBe("label 5");
  expect(view().rows[1]?.label).toBe("");
});

it("reads of a thousand jobs as many as are shown, some at a time, and none twice", async () => {
  const api = new Api(Array.from({ length: 1_000 }, (_, index) => instance(index, "success", samples.succeeded)));
  const [run, view] = jobs();
  expect(await run.refresh(api.ask)).toBeNull();
  expect([view().rows.length, api.values, api.requests, api.most]).toEqual([1_000, PAGE, 20 + PAGE, 4]);
  await run.turnTo(PAGE, api.ask);
  await run.turnTo(0, api.ask);
  expect(api.values).toBe(2 * PAGE);
});

it("reads so many jobs that are not well as to sort them, and again only what was written anew", async () => {
  const api = new Api(Array.from({ length: 1_000 }, (_, index) => instance(index, "deferred", samples.waiting)));
  const [run, view] = jobs();
  await run.refresh(api.ask);
  expect(api.values).toBe(200);
  api.instances[7] = { ...instance(7, "deferred", samples["second attempt"]), timestamp: "2026-01-15T00:00:05Z" };
  await run.refresh(api.ask);
  expect(api.values).toBe(201);
  expect(view().rows.find(({ mapIndex }) => mapIndex === 7)?.job?.status).toBe("RUNNING");
});

it("keeps a thousand task instances with their thousands of children in order while their states change", async () => {
  const state = (index: number): string => ["failed", "success", "deferred", "running"][index % 4] ?? "";
  const api = new Api(Array.from({ length: 1_000 }, (_, index) => instance(index, state(index), samples.array)));
  const [run, view] = jobs();
  await run.refresh(api.ask);
  expect(tally(view().rows)).toEqual([
    ["failed", 250],
    ["deferred", 250],
    ["running", 250],
    ["success", 250],
  ]);
  api.instances = api.instances.map((one) => ({ ...one, state: "success" }));
  expect(await run.refresh(api.ask)).toBeNull();
  expect(view().rows.map(({ mapIndex }) => mapIndex)).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
});

it("takes the pages that it gets", async () => {
  const api = new Api(Array.from({ length: 95 }, (_, index) => instance(index, "success", samples.succeeded)), 10);
  const [run, view] = jobs();
  await run.refresh(api.ask);
  expect(view().rows).toHaveLength(95);
});

it("says what the API refuses, and tries again if that may pass", async () => {
  const [run, view] = jobs();
  expect(await run.refresh(async () => refused(500))).toBe(5_000);
  expect(await run.refresh(async () => refused(500))).toBe(10_000);
  expect(await run.refresh(async () => refused(403))).toBeNull();
  expect(view()).toMatchObject({ problem: "answered 403", isLoaded: true });
});

it("goes on when it meets answers that make no sense", async () => {
  const [run, view] = jobs();
  await run.refresh(async () => ok({ xcom_entries: [7, null, {}], task_instances: "x", total_entries: 3 }));
  expect(view().rows).toHaveLength(3);
  await run.refresh(async () => ok({}));
  expect(view().rows).toHaveLength(0);
});

it("knows more of a job that waits than of one that nobody has read", () => {
  const row = { key: "", taskId: "", mapIndex: 0, name: "", label: "", taskState: "deferred", written: "", read: "" };
  expect(interest({ ...row, job: undefined })).toBe(4);
});

const place = { dagId: "dag", runId: "run", taskId: "align", mapIndex: -1 };
const answers =
  (state: string | null, value: unknown, more: Record<string, unknown> = {}): Ask =>
  async (path) => {
    switch (path.at(-1)) {
      case "batch_job":
        return value === undefined ? refused(404) : ok({ value, timestamp: "2026-01-15T22:17:00Z" });
      case "links":
        return ok({ extra_links: { "Batch job": "https://console.aws.amazon.com/x", "Batch job queue": "javascript:x" } });
      default:
        return ok({ state, ...more });
    }
  };

it.each([
  ["a job that lives", answers("deferred", samples.waiting), { kind: "job", isLive: true }, 5_000],
  ["a job that has ended, whose task has not", answers("deferred", samples.failed), { kind: "job", isLive: false }, 5_000],
  ["a retry to come", answers("up_for_retry", samples.failed), { kind: "job", isLive: false }, 15_000],
  ["the end", answers("failed", samples.failed), { kind: "job", isLive: false }, null],
  ["a job that nobody watches", answers("success", samples.waiting), { kind: "job", isLive: false }, null],
  [
    "a stop just now",
    answers("failed", samples.waiting, { end_date: new Date().toISOString() }),
    { kind: "job", isLive: true },
    15_000,
  ],
  ["no job", answers("success", undefined), { kind: "none", taskHasEnded: true }, null],
  ["no job yet", answers("queued", undefined), { kind: "none", taskHasEnded: false }, 5_000],
  ["a reference", answers("success", "s3://bucket/key"), { kind: "elsewhere", reference: "s3://bucket/key" }, null],
  ["a refusal", async () => refused(403), { kind: "problem", sentence: "answered 403" }, null],
  ["an outage", async () => refused(502), { kind: "problem", sentence: "answered 502" }, 5_000],
] as [string, Ask, object, number | null][])("shows %s, and looks again where that makes sense", async (_, ask, view, pause) => {
  expect(await taskLoader(place)(ask)).toMatchObject([view, pause]);
});

it("takes links from Airflow, and only to https", async () => {
  const [view] = await taskLoader(place)(answers("failed", samples.failed));
  expect(view).toMatchObject({ links: { job: "https://console.aws.amazon.com/x", queue: null, definition: null } });
});

it("does not ask about names that the API takes for two", async () => {
  const [view, pause] = await taskLoader({ ...place, runId: "a/b" })(async () => Promise.reject(new Error("asked")));
  expect([view.kind, pause]).toEqual(["problem", null]);
});
