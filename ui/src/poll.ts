/** Work that is repeated while somebody looks. */

type Page = Pick<Document, "hidden" | "addEventListener" | "removeEventListener">;

/** Does the work once: says in how many milliseconds again; null if never. */
export type Work = (signal: AbortSignal) => Promise<number | null>;

const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 60_000;

/** How long to leave an API alone that has failed so many times in a row. */
export const pauseAfter = (failures: number): number =>
  Math.min(FIRST_PAUSE_MS * 2 ** Math.max(0, failures - 1), LONGEST_PAUSE_MS);

/** Work at once, and again when it says so, but not while the page is hidden; return how to end it. */
export function poll(work: Work, page: Page = document): () => void {
  const ending = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isDue = false;

  const turn = async (): Promise<void> => {
    isDue = false;
    const pause = await work(ending.signal);
    if (pause !== null && !ending.signal.aborted) {
      timer = setTimeout(onTime, pause);
    }
  };
  const onTime = (): void => {
    if (page.hidden) {
      isDue = true;
    } else {
      void turn();
    }
  };
  const onVisible = (): void => {
    if (isDue && !page.hidden) {
      void turn();
    }
  };
  page.addEventListener("visibilitychange", onVisible);
  onTime();
  return () => {
    ending.abort();
    clearTimeout(timer);
    page.removeEventListener("visibilitychange", onVisible);
  };
}
