import { afterEach, expect, it, vi } from "vitest";

import { asking } from "./api";
import { pauseAfter, poll } from "./poll";

const ask = asking(new AbortController().signal, "https://airflow.example/team/airflow/");

const answering = (body: BodyInit | null, status = 200): ReturnType<typeof vi.fn<typeof fetch>> => {
  const answer = vi.fn<typeof fetch>(async () => new Response(body, { status }));
  vi.stubGlobal("fetch", answer);
  return answer;
};

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

it("asks below the address that Airflow is served at, for any name", async () => {
  const answer = answering("{}");
  await ask(["dags", "a+b c%", "dagRuns", "2026-01-15T00:00:00+00:00"], { map_index: -1, key: "a&b=c" });
  expect(String(answer.mock.calls[0]?.[0])).toBe(
    "https://airflow.example/team/airflow/api/v2/dags/a%2Bb%20c%25/dagRuns/2026-01-15T00%3A00%3A00%2B00%3A00" +
      "?map_index=-1&key=a%26b%3Dc",
  );
});

it.each([
  [401, "{}", "Log in again", false],
  [403, '{"detail":"Forbidden"}', "may not read", false],
  [400, '{"detail":"No."}', "answered 400: No.", false],
  [404, "<html>", "answered 404", false],
  [429, "", "Trying again", true],
  [500, "<html>oops</html>", "answered 500. Trying again.", true],
  [503, '{"detail":{"a":1}}', "answered 503. Trying again.", true],
  [200, "<html>a proxy's page</html>", "something else than JSON", true],
  [200, "[1]", "something else than JSON", true],
  [200, "null", "something else than JSON", true],
])("makes a sentence of %d %s", async (status, body, sentence, mayPass) => {
  answering(body, status);
  const answer = await ask(["dags"], {});
  expect(answer).toMatchObject({ ok: false, status, sentence: expect.stringContaining(sentence) as string, mayPass });
});

it("makes a sentence of no answer", async () => {
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("Failed to fetch")));
  expect(await ask(["dags"], {})).toMatchObject({ ok: false, status: 0, mayPass: true });
});

class FakePage extends EventTarget {
  hidden = false;

  turn(hidden: boolean): void {
    this.hidden = hidden;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

it("works again when the work says so, not while the page is hidden, and at once when it is seen again", async () => {
  vi.useFakeTimers();
  const page = new FakePage();
  const work = vi.fn(async () => 5_000);
  const end = poll(work, page as unknown as Document);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(work).toHaveBeenCalledTimes(3);
  page.turn(true);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(work).toHaveBeenCalledTimes(3);
  page.turn(false);
  await vi.advanceTimersByTimeAsync(0);
  expect(work).toHaveBeenCalledTimes(4);
  end();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(work).toHaveBeenCalledTimes(4);
});

it("stops when there is nothing more to come", async () => {
  vi.useFakeTimers();
  const work = vi.fn(async () => null);
  poll(work, new FakePage() as unknown as Document);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(work).toHaveBeenCalledTimes(1);
});

it("leaves an API alone for longer and longer that fails again and again", () => {
  expect([1, 2, 3, 4, 5, 50].map(pauseAfter)).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
});
