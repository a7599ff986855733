import { expect, it } from "vitest";

import { clock, duration, firstWords, hours } from "./format";
import { httpsOnly, streamUrl, taskAddress } from "./links";

it.each([
  [-5, "0 s"],
  [499, "0 s"],
  [8_000, "8 s"],
  [70_000, "1 min 10 s"],
  [13 * 60_000 + 5_000, "13 min"],
  [2 * 3_600_000 + 5 * 60_000, "2 h 5 min"],
  [50 * 3_600_000, "2 d 2 h"],
])("%d ms is %s", (milliseconds, text) => {
  expect(duration(milliseconds)).toBe(text);
});

it("says of a short job that it used little, not nothing", () => {
  expect([0.0011, 0.25, 1200].map(hours)).toEqual(["under 0.01", "0.25", "1,200"]);
});

it("says the date of another day", () => {
  const moment = new Date("2026-01-15T22:16:33Z");
  expect(clock(moment, new Date("2026-01-15T23:00:00Z"), "UTC")).toBe("22:16:33");
  expect(clock(moment, new Date("2026-01-16T01:00:00Z"), "UTC")).toBe("2026-01-15 22:16:33");
});

it("cuts a reason at a word", () => {
  expect(firstWords("  a short\none ")).toBe("a short one");
  expect(firstWords("one two three", 9)).toBe("one two…");
  expect(firstWords("x".repeat(100), 10)).toBe("xxxxxxxxxx…");
});

it.each(["javascript:alert(1)", "data:text/html,x", "http://plain", "//host", "", null, {}, "https://"])(
  "sends nobody to %s",
  (address) => {
    expect(httpsOnly(address)).toBeNull();
  },
);

it("leads to a log stream as the console's own links do", () => {
  const stream = { label: "", group: "/aws/batch/job", region: "eu-central-1", stream: "a/b c+d%(1)" };
  expect(streamUrl("https://console.aws.amazon.com/batch/home?region=eu-central-1#jobs/detail/1", stream)).toBe(
    "https://console.aws.amazon.com/cloudwatch/home?region=eu-central-1#logsV2:log-groups/log-group/" +
      "$252Faws$252Fbatch$252Fjob/log-events/a$252Fb$2520c$252Bd$2525$25281$2529",
  );
  expect(streamUrl(null, stream)).toBeNull();
});

it("leads to a task below the address that Airflow is served at, whatever the names are", () => {
  const place = { dagId: "a+b c%", runId: "by hand 2026-01-15T00:00:00+00:00", taskId: "group.align#1", mapIndex: 999 };
  const base = "https://airflow.example/team/airflow/";
  expect(taskAddress(place, base)).toBe(
    `${base}dags/a%2Bb%20c%25/runs/by%20hand%202026-01-15T00%3A00%3A00%2B00%3A00/tasks/group.align%231/mapped/999/plugin/batch-job`,
  );
  expect(taskAddress({ ...place, mapIndex: -1 }, base)).toContain("/tasks/group.align%231/plugin/batch-job");
});
