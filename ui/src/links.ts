/** Addresses outside Airflow. */

import type { LogStream } from "./job";

/** Return an address if a browser may be sent there. */
export function httpsOnly(address: unknown): string | null {
  try {
    const url = new URL(String(address));
    return url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
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
