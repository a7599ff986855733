import { describe, expect, it } from "vitest";

import samples from "../samples.json";
import { countedTo, headline, shortReason } from "./headline";
import { isRunning, isWaiting, readJob, type Job } from "./job";
import { ran, spans, told, total, waited } from "./timeline";

const at = (clock: string): Date => new Date(`2026-01-15T${clock}Z`);
const read = (value: unknown): Job => {
  const job = readJob(value);
  if (job === null) {
    throw new Error("no job");
  }
  return job;
};

describe("an XCom", () => {
  it("is none if it has no id, whatever it is instead", () => {
    for (const value of [null, undefined, "s3://bucket/key", 7, [], {}, { job_id: 5 }, "{", '"x"']) {
      expect(readJob(value)).toBeNull();
    }
  });

  it("may come as JSON text", () => {
    expect(read(JSON.stringify(samples.failed)).id).toBe(samples.failed.job_id);
  });

  it("of the first version has a number of attempts", () => {
    const job = read(samples.succeeded);
    expect([job.attemptCount, job.attempts]).toEqual([1, []]);
  });

  it("is read and summed up with any field missing, or of another type", () => {
    for (const sample of Object.values(samples)) {
      for (const name of Object.keys(sample)) {
        for (const other of [undefined, null, 7, "x", [], [7, null], {}, { a: 1 }, true]) {
          const job = readJob({ ...sample, [name]: other });
          if (name !== "job_id") {
            const { status, title } = headline(read(job && { ...sample, [name]: other }), "deferred", at("22:17:00"));
            expect([typeof status, typeof title]).toEqual(["string", "string"]);
            expect(spans(read({ ...sample, [name]: other }), at("22:17:00"))).toBeInstanceOf(Array);
          }
        }
      }
    }
  });
});

describe("an array", () => {
  const living = { ...samples.array, status: "PENDING", diagnosis: null, children: { RUNNING: 7, SUCCEEDED: 3, RUNNABLE: 990 } };

  it("waits until a child has run, although AWS says PENDING until it ends", () => {
    expect([isWaiting(read(living)), isRunning(read(living))]).toEqual([false, true]);
    expect(headline(read(living), "deferred", at("22:17:00")).title).toBe("3 of 1,000 children have succeeded");
    const waiting = read({ ...living, children: { RUNNABLE: 1_000 } });
    expect([isWaiting(waiting), isRunning(waiting)]).toEqual([true, false]);
  });
});

describe("a headline", () => {
  const now = at("22:17:00");
  it.each([
    ["failed", "failed", "The container ran out of memory (exit code 137)"],
    ["waiting", "deferred", "for 13 min: No instance type of its compute environments is large enough"],
    ["second attempt", "deferred", "for 4 min, attempt 2 of 3 (attempt 1: exit code 75)"],
    ["array", "failed", "33 of 1,000 children failed"],
    ["succeeded", "success", "after 5 min"],
    ["stopped", "failed", "Stopped by a user: task marked failed"],
  ] as const)("of a job that is %s says what matters", (name, state, title) => {
    expect(headline(read(samples[name]), state, now).title).toBe(title);
  });

  it("names AWS's reason and the exit code where there is no diagnosis", () => {
    const job = read({ ...samples.failed, diagnosis: undefined, attempts: 1 });
    expect(headline(job, "failed", now).title).toBe("Essential container in task exited, exit code 137");
  });

  it("says what a retry changed, and of an older or a later version at least why", () => {
    const [change] = samples.failed.changes;
    const changes = [change, { field: "jobQueue", before: "spot", after: "spot", why: "host lost" }, { why: "more" }, 7, {}];
    expect(read({ ...samples.failed, changes }).changes).toEqual([
      "containerOverrides memory is 16384 MiB, not 8192 MiB: out of memory in job 0f5e2d6c-5f5b-4f0e-9a3e-1f0c6a0e2f11",
      "jobQueue stays spot: host lost",
      "more",
    ]);
  });

  it("of a job that nobody watches any more does not pretend to know its state", () => {
    const { title, lines } = headline(read({ ...samples.succeeded, status: "RUNNING" }), "success", now);
    expect(title).toContain("the task has ended (success)");
    expect(lines).toHaveLength(1);
  });

  it("counts the time of such a job to when it was last looked at", () => {
    const job = read(samples["second attempt"]);
    expect(total(spans(job, countedTo(job, "success", at("23:00:00"))), "ran")).toBe(4 * 60_000);
    expect(total(spans(job, countedTo(job, "deferred", at("23:00:00"))), "ran")).toBe(47 * 60_000);
    expect(shortReason(job, "success")).toContain("no more");
  });

  it("of a job that was stopped just now says so, before AWS does", () => {
    const job = read({ ...samples.stopped, status: "RUNNING", stopped_at: null });
    expect(headline(job, "failed", now)).toMatchObject({ status: "RUNNING", title: "Stopped by a user: task marked failed" });
    expect(shortReason(job, "failed")).toBe("Stopped by a user: task marked failed");
  });

  it("does not repeat what it says below", () => {
    const told = "OutOfMemoryError: Container killed due to memory usage";
    const summary = `The container ran out of memory (exit code 137; ${told}; Essential container in task exited).`;
    const failed = read({ ...samples.failed, diagnosis: { summary } });
    expect(headline(failed, "failed", now)).toMatchObject({
      title: "The container ran out of memory (exit code 137).",
      aws: told,
    });
    const reason = "MISCONFIGURATION:X - Too little.";
    const why_waiting = { summary: "Nothing is large enough (MISCONFIGURATION:X - Too little).", reason };
    const waiting = read({ ...samples.waiting, why_waiting, history: [] });
    expect(headline(waiting, "deferred", now)).toMatchObject({
      title: "submitted 17 min ago: Nothing is large enough.",
      aws: reason,
    });
  });

  it("of an array does not count its children twice", () => {
    const summary = "33 of 1000 children failed (17, 40, …); child 17: The container failed by itself (exit code 3).";
    expect(headline(read({ ...samples.array, diagnosis: { summary } }), "failed", now)).toMatchObject({
      title: "33 of 1,000 children failed",
      lines: ["Child 17: The container failed by itself (exit code 3)."],
    });
  });

  it("leaves out our own tags, which say where the page is", () => {
    expect(read({ ...samples.failed, tags: { "airflow-dag-id": "d", team: "t" } }).tags).toEqual([["team", "t"]]);
  });

  it("leaves out what AWS says of every job", () => {
    expect(headline(read({ ...samples.failed, attempts: 1 }), "failed", now).aws).toBe("");
    expect(headline(read(samples.failed), "failed", now).aws).toBe(samples.failed.attempts[0]?.reason);
  });

  it("counts from the state's beginning, which is not that of the job", () => {
    const job = read({ ...samples.waiting, why_waiting: null });
    expect(headline(job, "deferred", now)).toMatchObject({ title: "for 16 min", aws: samples.waiting.status_reason });
    expect(headline(read({ ...samples.waiting, why_waiting: null, history: [] }), "deferred", now).title).toBe(
      "submitted 17 min ago",
    );
  });

  it("is a row's reason as well, but only of a job that failed or waits", () => {
    const reasons = Object.values(samples).map((sample) => shortReason(read(sample), null));
    expect(reasons).toEqual([
      "The container ran out of memory (exit code 137)",
      "No instance type of its compute environments is large enough",
      "",
      "33 of 1,000 children failed",
      "",
      "Stopped by a user: task marked failed",
    ]);
  });
});

describe("a timeline", () => {
  it("has a span for each wait and each attempt", () => {
    const all = spans(read(samples["second attempt"]), at("22:17:00"));
    expect(all.map(({ kind }) => kind)).toEqual(["waited", "failed", "waited", "ran"]);
    expect([total(all, "waited"), total(all, "ran", "failed")]).toEqual([2 * 60_000, 15 * 60_000]);
  });

  it("of a job without a list of attempts ends with it", () => {
    const all = spans(read(samples.succeeded), at("23:00:00"));
    expect(all.map(({ kind }) => kind)).toEqual(["waited", "ran"]);
    expect(total(all, "ran")).toBe(5 * 60_000);
  });

  const said = (value: unknown, now = at("22:20:00")): string[] => {
    const job = read(value);
    return told(job, spans(job, now), now).map((words) => words.replace(/\d\d:(\d\d:\d\d)$/u, "$1"));
  };

  it("has the start and the wait of the same attempt", () => {
    expect(said(samples["second attempt"])).toEqual([
      "submitted 00:00",
      "waited 1 min",
      "started 01:00",
      "ran 18 min in 2 attempts",
      "waited 1 min for another attempt",
    ]);
  });

  it("of an array runs from the start of its first child", () => {
    const array = { ...samples.array, started_at: "2026-01-15T22:02:00Z" };
    expect([waited(read(array), at("23:00:00")), ran(read(array), at("23:00:00"))]).toEqual(["2 min", "8 min"]);
    expect(spans(read(array), at("23:00:00")).map(({ kind }) => kind)).toEqual(["waited", "failed"]);
    expect(said(array)).toEqual([
      "submitted 00:00",
      "waited 2 min",
      "first child started 02:00",
      "ran 8 min",
      "stopped 10:00",
    ]);
  });

  it("of an array does not claim to know which of its time it waited", () => {
    expect(said(samples.array)).toEqual(["submitted 00:00", "took 10 min", "stopped 10:00"]);
    const now = at("23:00:00");
    expect([waited(read(samples.array), now), ran(read(samples.array), now)]).toEqual(["–", "took 10 min"]);
    const living = { ...samples.array, status: "PENDING", children: { RUNNING: 7, RUNNABLE: 993 }, stopped_at: null };
    expect(said(living)).toEqual(["submitted 00:00", "took 20 min so far"]);
    expect(said({ ...living, children: { RUNNABLE: 990, STARTING: 10 } })).toEqual(["submitted 00:00", "waited 20 min"]);
  });

  it("of a job that has not begun is all waiting", () => {
    expect(said({ ...samples.waiting, why_waiting: null })).toEqual(["submitted 00:00", "waited 20 min"]);
    expect(said({ job_id: "1" })).toEqual([]);
  });
});
