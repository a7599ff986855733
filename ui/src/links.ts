/** Addresses of other pages, in Airflow and outside. */

import type { LogStream } from "./job";
import type { Place } from "./task";

/** Return an address if a browser may be sent there. */
export function httpsOnly(address: unknown): string | null {
  try {
    const url = new URL(String(address));
    return url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

/** Return the tab of a task instance, below the address that Airflow is served at. */
export function taskAddress({ dagId, runId, taskId, mapIndex }: Place, base: string = document.baseURI): string {
  const [dag, run, task] = [dagId, runId, taskId].map(encodeURIComponent);
  const mapped = mapIndex < 0 ? "" : `/mapped/${mapIndex}`;
  return new URL(`dags/${dag}/runs/${run}/tasks/${task}${mapped}/plugin/batch-job`, base).href;
}

/** Return the CloudWatch console's page of a log stream, in the console that Airflow's link to the job leads to. */
export function streamUrl(jobUrl: string | null, { group, region, stream }: LogStream): string | null {
  if (jobUrl === null) {
    return null;
  }
  const path = `log-group/${consoleQuote(group)}/log-events/${consoleQuote(stream)}`;
  return `${new URL(jobUrl).origin}/cloudwatch/home?region=${encodeURIComponent(region)}#logsV2:log-groups/${path}`;
}

/** Quote as the CloudWatch console does in its fragment, where `$25` stands for a percent sign. */
function consoleQuote(text: string): string {
  const quoted = encodeURIComponent(text).replace(/[!'()*]/gu, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
  return quoted.replaceAll("%", "$25");
}
