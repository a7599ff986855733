import { afterEach, beforeEach, expect, it, vi } from "vitest";

import samples from "../samples.json";
import { Screen, type Element } from "./fake/react";
import { RunTab } from "./RunTab";
import { TaskTab } from "./TaskTab";

const BASE = "https://airflow.example/team/airflow/";
const place = { dagId: "a+b", runId: "by hand 100%", taskId: "align", mapIndex: -1 };
let asked: URL[] = [];
let screens: Screen[] = [];

/** Show an element beside an API that has these answers, by the end of the path. */
const shown = async (element: unknown, answers: Record<string, (url: URL) => unknown>): Promise<Screen> => {
  vi.stubGlobal("fetch", async (url: URL) => {
    asked.push(url);
    const [, answer] = Object.entries(answers).find(([end]) => url.pathname.endsWith(end)) ?? [];
    return answer ? Response.json(answer(url)) : Response.json({}, { status: 404 });
  });
  const screen = new Screen(element);
  screens.push(screen);
  return screen.settled();
};

const hrefs = (screen: Screen): string[] => screen.all("Link").map(({ props }) => String(props["href"]));

beforeEach(() => {
  asked = [];
  screens = [];
  vi.stubGlobal("document", Object.assign(new EventTarget(), { baseURI: BASE, hidden: false }));
});

afterEach(() => {
  screens.forEach((screen) => {
    screen.close();
  });
  vi.unstubAllGlobals();
});

it("shows an array of 1,000 children with as many failed ones as its XCom has", async () => {
  const [child] = samples.array.failed_children;
  const failed_children = Array.from({ length: 20 }, (_, index) => ({ ...child, job_id: `7c1d:${index}`, index }));
  const value = { ...samples.array, failed_children, failed_children_left_out: 13, started_at: "2026-01-15T22:02:00Z" };
  const screen = await shown(<TaskTab {...place} />, {
    batch_job: () => ({ value, timestamp: "2026-01-15T22:10:05Z" }),
    links: () => ({ extra_links: {} }),
    align: () => ({ state: "failed" }),
  });
  expect(screen.text).toContain("33 of 1,000 children failed");
  expect(screen.text).toMatch(/waited 2 min · first child started .* · ran 8 min · stopped/u);
  expect(screen.text).toContain("and 13 more");
  expect(screen.all("Table.Row")).toHaveLength(1 + failed_children.length);
  const bars = screen.all("Box").filter(({ props }) => props["role"] === "img");
  expect(bars.map(({ props }) => (props["children"] as Element[]).length)).toEqual([2, 2]);
  expect(asked.map(({ href }) => href.startsWith(`${BASE}api/v2/dags/a%2Bb/dagRuns/by%20hand%20100%25/`))).toEqual(
    asked.map(() => true),
  );
});

it("shows 25 of 1,000 task instances at once, each with a link below the address that Airflow is served at", async () => {
  const page = ({ searchParams }: URL): { task_id: string; map_index: number; timestamp: string; state: string }[] => {
    const first = Number(searchParams.get("offset"));
    return Array.from({ length: 100 }, (_, index) => ({
      task_id: "align",
      map_index: first + index,
      timestamp: "2026-01-15T00:00:00Z",
      state: "success",
    }));
  };
  const screen = await shown(<RunTab dagId="a+b" runId="by hand 100%" />, {
    "/xcomEntries": (url) => ({ xcom_entries: page(url), total_entries: 1_000 }),
    "/taskInstances": (url) => ({ task_instances: page(url), total_entries: 1_000 }),
    batch_job: () => ({ value: samples.array }),
  });
  const tasks = `${BASE}dags/a%2Bb/runs/by%20hand%20100%25/tasks/align`;
  const numbers = Array.from({ length: 25 }, (_, index) => index);
  expect(screen.text).toContain("1,000 tasks with a job: 1,000 success");
  expect(hrefs(screen)).toEqual(numbers.map((index) => `${tasks}/mapped/${index}/plugin/batch-job`));
  expect(screen.text.match(/took 10 min/gu)).toHaveLength(25);

  const next = screen.all("Button").find(({ props }) => props["children"] === "Next");
  (next?.props["onClick"] as () => void)();
  await screen.settled();
  expect(screen.text).toContain("26 – 50 of 1,000");
  expect(hrefs(screen)).toEqual(numbers.map((index) => `${tasks}/mapped/${index + 25}/plugin/batch-job`));
  expect(asked.filter(({ pathname }) => pathname.endsWith("/batch_job"))).toHaveLength(50);
});
