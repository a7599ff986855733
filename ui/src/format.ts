/** Times and durations in a person's words. */

const UNITS: [name: string, seconds: number][] = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
  ["s", 1],
];

/** Say how long something took, in its two largest units: `8 s`, `2 h 5 min`; from ten minutes on without seconds. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const amounts = UNITS.map(([name, size], place): [string, number] => {
    const larger = UNITS[place - 1]?.[1] ?? Number.POSITIVE_INFINITY;
    return [name, Math.floor((seconds % larger) / size)];
  });
  const first = amounts.findIndex(([, amount]) => amount > 0);
  const told = amounts.slice(first, seconds < 600 || seconds >= 3600 ? first + 2 : first + 1);
  return told.filter(([, amount]) => amount > 0).map(([name, amount]) => `${amount} ${name}`).join(" ") || "0 s";
}

export const between = (from: Date | null, to: Date | null): string | null =>
  from && to ? duration(to.getTime() - from.getTime()) : null;

/** Say when: the time of day, after the date if that is another day than `now`'s. */
export function clock(moment: Date, now: Date, zone: string | undefined = timezone()): string {
  const date = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeZone: zone });
  const time = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: zone }).format(moment);
  return date.format(moment) === date.format(now) ? time : `${date.format(moment)} ${time}`;
}

export const count = (amount: number): string => amount.toLocaleString("en-US", { maximumFractionDigits: 2 });

/** Write hours that were used, of which a short job uses little. */
export const hours = (amount: number): string => (amount < 0.01 ? "under 0.01" : count(amount));

/** Return the beginning of a text, to the end of a word if one ends there. */
export function firstWords(text: string, most = 80): string {
  const line = text.replace(/\s+/gu, " ").trim();
  if (line.length <= most) {
    return line;
  }
  const cut = line.slice(0, most);
  const space = cut.lastIndexOf(" ");
  return `${space > most / 2 ? cut.slice(0, space) : cut}…`;
}

/** Return the timezone that is chosen in Airflow; undefined for the browser's. */
function timezone(): string | undefined {
  try {
    const stored = globalThis.localStorage.getItem("timezone") ?? "";
    const zone: unknown = stored.startsWith('"') ? JSON.parse(stored) : stored;
    new Intl.DateTimeFormat("en", { timeZone: String(zone) });
    return String(zone);
  } catch {
    return undefined;
  }
}
