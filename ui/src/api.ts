/** Airflow's REST API, asked with the session of whoever looks: what they may not see, they do not get. */

import { record, text } from "./job";

export type Answer = { ok: true; data: Record<string, unknown> } | Refusal;

export interface Refusal {
  ok: false;
  /** 0 if there was no answer. */
  status: number;
  /** What happened and what to do, for a person. */
  sentence: string;
  /** Whether it may work the next time. */
  mayPass: boolean;
}

export type Ask = (path: string[], parameters: Record<string, string | number>) => Promise<Answer>;

const PATIENCE_MS = 30_000;
const TRYING_AGAIN = "Trying again.";

/** Return a way to ask the API that ends with a signal. */
export function asking(signal: AbortSignal, base: string = document.baseURI): Ask {
  return async (path, parameters) => {
    const url = new URL(`api/v2/${path.map(encodeURIComponent).join("/")}`, base);
    for (const [name, value] of Object.entries(parameters)) {
      url.searchParams.set(name, String(value));
    }
    try {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
      const answer = await fetch(url, { headers: { Accept: "application/json" }, signal: limited });
      return await read(answer);
    } catch {
      return refusal(0, `Airflow's API does not answer. ${TRYING_AGAIN}`, true);
    }
  };
}

async function read(answer: Response): Promise<Answer> {
  let data: unknown;
  try {
    data = await answer.json();
  } catch {
    data = undefined;
  }
  if (answer.ok) {
    return typeof data === "object" && data !== null && !Array.isArray(data)
      ? { ok: true, data: record(data) }
      : refusal(answer.status, `Airflow's API answered something else than JSON. ${TRYING_AGAIN}`, true);
  }
  const detail = text(record(data)["detail"]).slice(0, 200);
  const said = `Airflow's API answered ${answer.status}${detail ? `: ${detail}` : ""}`;
  switch (answer.status) {
    case 401:
      return refusal(401, "Your session in Airflow has ended. Log in again, and reload this page.", false);
    case 403:
      return refusal(403, "You may not read the XComs of this DAG, where its jobs are written down.", false);
    default: {
      const mayPass = answer.status >= 500 || answer.status === 429 || answer.status === 408;
      return refusal(answer.status, mayPass ? `${said}. ${TRYING_AGAIN}` : `${said}.`, mayPass);
    }
  }
}

const refusal = (status: number, sentence: string, mayPass: boolean): Refusal => ({
  ok: false,
  status,
  sentence,
  mayPass,
});
