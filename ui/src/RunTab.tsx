import { Box, Button, Flex, Link, Text } from "@chakra-ui/react";
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";

import { asking } from "./api";
import { count, firstWords } from "./format";
import { countedTo, shortReason } from "./headline";
import { hasEnded } from "./job";
import { taskAddress } from "./links";
import { Loading, Problem, Rows, Status, Time, useNow } from "./parts";
import { poll } from "./poll";
import { EMPTY, PAGE, RunJobs, tally, type Row, type RunView } from "./rows";
import { ran, waited } from "./timeline";

/** The jobs of a DAG run. */
export const RunTab = ({ dagId, runId }: { dagId: string; runId: string }): ReactNode => {
  const [view, setView] = useState<RunView>(EMPTY);
  const [turnedTo, setTurnedTo] = useState(0);
  const jobs = useMemo(() => new RunJobs(dagId, runId, setView), [dagId, runId]);
  const ending = useRef(new AbortController());
  useEffect(() => {
    const end = poll((signal) => jobs.refresh(asking(signal)));
    ending.current = new AbortController();
    return () => {
      end();
      ending.current.abort();
    };
  }, [jobs]);
  const now = useNow(view.isLive);
  const turnTo = (place: number): void => {
    setTurnedTo(place);
    void jobs.turnTo(place, asking(ending.current.signal));
  };
  if (!view.isLoaded && view.rows.length === 0) {
    return <Loading />;
  }
  const from = turnedTo < view.rows.length ? turnedTo : 0;
  const shown = view.rows.slice(from, from + PAGE);
  return (
    <Flex direction="column" gap={3} p={4}>
      {view.problem && <Problem sentence={view.problem} />}
      {view.total > 0 ? (
        <>
          <Summary now={now} view={view} />
          <Rows
            columns={[
              { title: "Task" },
              { title: "State" },
              { title: "Waited", isNumber: true },
              { title: "Ran", isNumber: true },
              { title: "Exit code", isNumber: true },
              { title: "Reason" },
            ]}
            label="Jobs of this run"
            rows={shown.map((row) => ({ key: row.key, cells: cells(row, { dagId, runId }, now) }))}
          />
          <Pages from={from} of={view.rows.length} turnTo={turnTo} />
        </>
      ) : (
        !view.problem && <Text color="fg.muted">No task of this run has submitted an AWS Batch job.</Text>
      )}
    </Flex>
  );
};

const Summary = ({ view: { rows, total: all, asOf }, now }: { view: RunView; now: Date }): ReactNode => (
  <Flex flexWrap="wrap" gap={2} justify="space-between">
    <Text>
      {count(all)} {all === 1 ? "task with a job" : "tasks with a job"}:{" "}
      {tally(rows)
        .map(([state, amount]) => `${count(amount)} ${state.replaceAll("_", " ")}`)
        .join(" · ")}
      {rows.length < all && `; the first ${count(rows.length)} are listed`}
    </Text>
    {asOf && (
      <Text color="fg.muted" fontSize="sm">
        as of <Time at={asOf} now={now} />
      </Text>
    )}
  </Flex>
);

function cells(row: Row, run: { dagId: string; runId: string }, now: Date): ReactNode[] {
  const { job, name, label, taskState } = row;
  const task = (
    <Link color="fg.info" href={taskAddress({ ...run, ...row })} key="task">
      {label ? `${name} [${label}]` : name}
    </Link>
  );
  if (!job) {
    const unread = job === null ? "Its XCom is a reference that this page cannot read." : "";
    return [task, (taskState ?? "no status").replaceAll("_", " "), "–", "–", "–", unread];
  }
  const reason = shortReason(job, taskState);
  const end = countedTo(job, taskState, now);
  return [
    task,
    <Status key="status" of={job.status} />,
    waited(job, end),
    ran(job, end),
    job.isArray || !hasEnded(job) ? "–" : (job.exitCode ?? "–"),
    <span key="reason" title={reason}>
      {firstWords(reason)}
    </span>,
  ];
}

const Pages = ({ from, of: all, turnTo }: { from: number; of: number; turnTo: (from: number) => void }): ReactNode =>
  all > PAGE && (
    <Flex align="center" as="nav" aria-label="Pages" gap={3}>
      <Button disabled={from === 0} onClick={() => turnTo(Math.max(0, from - PAGE))} size="xs" variant="outline">
        Previous
      </Button>
      <Box aria-live="polite" fontSize="sm">
        {count(from + 1)} – {count(Math.min(from + PAGE, all))} of {count(all)}
      </Box>
      <Button disabled={from + PAGE >= all} onClick={() => turnTo(from + PAGE)} size="xs" variant="outline">
        Next
      </Button>
    </Flex>
  );
