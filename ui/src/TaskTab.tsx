import { Box, Code, Flex, Heading, Text } from "@chakra-ui/react";
import { useEffect, useMemo, useState, type ReactNode } from "react";

import { asking } from "./api";
import { between, count, duration, hours } from "./format";
import { childCount, countedTo, headline } from "./headline";
import { hasEnded, type Attempt, type Job, type LogStream } from "./job";
import { streamUrl } from "./links";
import { Bar, Copy, Loading, Outward, palette, Problem, Rows, Status, Time, useNow } from "./parts";
import { poll } from "./poll";
import { taskLoader, type Links, type Place, type TaskView } from "./task";
import { spans, told } from "./timeline";

type JobView = Extract<TaskView, { kind: "job" }>;

/** The job of one task instance. */
export const TaskTab = (place: Place): ReactNode => {
  const { dagId, runId, taskId, mapIndex } = place;
  const [view, setView] = useState<TaskView>({ kind: "loading" });
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const load = taskLoader({ dagId, runId, taskId, mapIndex });
    return poll(async (signal) => {
      const [next, pause] = await load(asking(signal));
      if (!signal.aborted) {
        // What is known stays on the screen while the API has trouble.
        setProblem(next.kind === "problem" ? next.sentence : "");
        setView((known) => (next.kind === "problem" && known.kind !== "loading" ? known : next));
      }
      return pause;
    });
  }, [dagId, runId, taskId, mapIndex]);
  return (
    <Flex direction="column" gap={4} maxW="72rem" p={4}>
      {problem && <Problem sentence={problem} />}
      <Content view={view} />
    </Flex>
  );
};

const Content = ({ view }: { view: TaskView }): ReactNode => {
  switch (view.kind) {
    case "loading":
      return <Loading />;
    case "problem":
      return null;
    case "none":
      return (
        <Text color="fg.muted">
          This task has submitted no AWS Batch job{view.taskHasEnded ? "." : " yet."}
        </Text>
      );
    case "elsewhere":
      return (
        <>
          <Text>
            The job is written down where this page cannot read it: this deployment has an XCom backend of its own,
            and the database only has its reference. The task log says how the job does.
          </Text>
          <Code overflowWrap="anywhere">{view.reference}</Code>
          {view.links.job && <Outward to={view.links.job}>The job in AWS</Outward>}
        </>
      );
    case "job":
      return <JobPage {...view} />;
  }
};

const JobPage = ({ job, links, taskState, asOf, isLive }: JobView): ReactNode => {
  const now = useNow(isLive);
  const end = countedTo(job, taskState, now);
  return (
    <>
      <Top asOf={asOf} isLive={isLive} job={job} now={now} taskState={taskState} />
      <Timeline job={job} now={end} today={now} />
      {job.isArray && <Children job={job} />}
      <FailedParts job={job} links={links} />
      <Attempts job={job} links={links} now={end} />
      <Facts job={job} links={links} />
    </>
  );
};

const Top = ({ job, taskState, asOf, isLive, now }: Omit<JobView, "kind" | "links"> & { now: Date }): ReactNode => {
  const { status, title, lines, aws } = headline(job, taskState, now);
  return (
    <Box>
      <Flex align="center" flexWrap="wrap" gap={2} justify="space-between">
        <Flex align="center" flex="1 1 24rem" gap={2}>
          <Status of={status} />
          <Heading as="h2" overflowWrap="anywhere" size="md">
            {title}
          </Heading>
        </Flex>
        {asOf && (
          <Text color="fg.muted" fontSize="sm">
            {isLive ? "last change" : "as of"} <Time at={asOf} now={now} />
            {isLive && ", kept current"}
          </Text>
        )}
      </Flex>
      {lines.map((line) => (
        <Text key={line} mt={1} overflowWrap="anywhere">
          {line}
        </Text>
      ))}
      {job.changes.map((why) => (
        <Text key={why} mt={1} overflowWrap="anywhere">
          Changed for this try: {why}
        </Text>
      ))}
      {aws && (
        <Text color="fg.muted" fontSize="sm" mt={1} overflowWrap="anywhere">
          AWS: {aws}
        </Text>
      )}
    </Box>
  );
};

const SPAN_PALETTES = { waited: "queued", ran: "running", failed: "failed", took: "gray" };

const Timeline = ({ job, now, today }: { job: Job; now: Date; today: Date }): ReactNode => {
  const all = spans(job, now);
  if (all.length === 0) {
    return null;
  }
  const words = told(job, all, today);
  return (
    <Box>
      <Bar
        label={words.join(", ")}
        shares={all.map(({ kind, from, to }) => ({
          key: `${kind} ${from.toISOString()}`,
          size: to.getTime() - from.getTime(),
          palette: kind === "ran" && job.status === "SUCCEEDED" ? "success" : SPAN_PALETTES[kind],
        }))}
      />
      <Text aria-hidden="true" color="fg.muted" fontSize="sm" mt={1}>
        {words.join(" · ")}
      </Text>
    </Box>
  );
};

const Children = ({ job }: { job: Job }): ReactNode => {
  const words = job.children.map(([status, amount]) => `${count(amount)} ${status}`).join(" · ");
  return (
    <Box>
      <Bar
        label={`Children: ${words}`}
        shares={job.children.map(([status, size]) => ({ key: status, size, palette: palette(status) }))}
      />
      <Text color="fg.muted" fontSize="sm" mt={1}>
        {count(childCount(job))} children{words && `: ${words}`}
      </Text>
    </Box>
  );
};

/** The children of an array, or the nodes of a multi-node job, that have failed. */
const FailedParts = ({ job, links }: { job: Job; links: Links }): ReactNode => {
  const [part, parts] = job.isArray ? ["child", "children"] : ["node", "nodes"];
  const more = job.failedChildrenLeftOut;
  return (
    job.failedChildren.length > 0 && (
      <Box>
        <Rows
          columns={[
            { title: `Failed ${part}` },
            { title: "Exit code", isNumber: true },
            { title: "Reason" },
            { title: "Log" },
          ]}
          label={`Failed ${parts}`}
          rows={job.failedChildren.map((child, place) => ({
            key: `${place} ${child.id}`,
            cells: [
              child.index ?? child.id,
              child.exitCode ?? "–",
              child.reason,
              <Log key="log" links={links} streams={child.logStream ? [child.logStream] : []} />,
            ],
          }))}
        />
        {more > 0 && <Text mt={1}>and {count(more)} more</Text>}
      </Box>
    )
  );
};

const Attempts = ({ job, links, now }: { job: Job; links: Links; now: Date }): ReactNode => {
  const attempts = job.attempts.length > 0 || job.isArray ? job.attempts : onlyAttempt(job);
  if (attempts.length === 0 || (job.isArray && attempts.every(({ startedAt }) => startedAt === null))) {
    return null;
  }
  return (
    <Box>
      <Rows
        columns={[
          { title: "Attempt", isNumber: true },
          { title: "Started" },
          { title: "Ran", isNumber: true },
          { title: "Exit code", isNumber: true },
          { title: "Reason" },
          { title: "Log" },
        ]}
        label="Attempts"
        rows={attempts.map((attempt) => ({
          key: String(attempt.number),
          cells: [
            job.maxAttempts ? `${attempt.number} of ${job.maxAttempts}` : attempt.number,
            attempt.startedAt ? <Time at={attempt.startedAt} key="started" now={job.createdAt ?? now} /> : "–",
            between(attempt.startedAt, attempt.stoppedAt ?? (attempt.startedAt ? now : null)) ?? "–",
            attempt.exitCode ?? "–",
            attempt.reason,
            <Log key="log" links={links} streams={attempt.logStreams} />,
          ],
        }))}
      />
      {job.attemptsLeftOut > 0 && <Text mt={1}>and {count(job.attemptsLeftOut)} before these</Text>}
    </Box>
  );
};

/** Return the one attempt that an XCom without a list of them knows of. */
function onlyAttempt(job: Job): Attempt[] {
  const { startedAt, stoppedAt, exitCode, logStreams } = job;
  const reason = job.status === "FAILED" ? job.statusReason : "";
  return startedAt ? [{ number: Math.max(1, job.attemptCount), startedAt, stoppedAt, exitCode, reason, logStreams }] : [];
}

const Log = ({ streams, links }: { streams: LogStream[]; links: Links }): ReactNode =>
  streams.length === 0
    ? "–"
    : streams.map((stream) => (
        <Box key={`${stream.group} ${stream.stream}`}>
          <Outward to={streamUrl(links.job, stream)}>{(streams.length > 1 && stream.label) || "CloudWatch"}</Outward>
        </Box>
      ));

const Facts = ({ job, links }: { job: Job; links: Links }): ReactNode => {
  const size = [
    job.vcpus !== null && `${count(job.vcpus)} vCPU`,
    job.memoryMib !== null && `${count(job.memoryMib)} MiB`,
    job.gpus && `${count(job.gpus)} GPU`,
    [job.platform, job.instanceType].filter(Boolean).join(" "),
    job.nodes !== null && `${count(job.nodes)} nodes`,
  ].filter(Boolean);
  // Of a job that runs, what is known is of the last change.
  const used = hasEnded(job)
    ? [
        !!job.vcpuHours && `${hours(job.vcpuHours)} vCPU-hours`,
        !!job.gbHours && `${hours(job.gbHours)} GB-hours`,
      ].filter(Boolean)
    : [];
  const facts: [string, ReactNode][] = [
    ["Definition", job.definition && <Outward to={links.definition}>{job.definition}</Outward>],
    ["Queue", job.queue && <Outward to={links.queue}>{job.queue}</Outward>],
    [
      "Job",
      <Flex align="center" flexWrap="wrap" gap={2} key="job">
        <Outward to={links.job}>
          <Code fontSize="inherit" overflowWrap="anywhere">
            {job.id}
          </Code>
        </Outward>
        <Copy label="Copy the job's id" text={job.id} />
      </Flex>,
    ],
    ["Name", job.name],
    ["Try", job.tryNumber !== null && (job.tries !== null ? `${job.tryNumber} of ${job.tries}` : job.tryNumber)],
    ["Resources", size.join(" · ")],
    ["Used", used.join(" · ")],
    ["Image", job.image],
    ["Timeout", job.timeoutSeconds !== null && `${duration(job.timeoutSeconds * 1000)} an attempt`],
    ["Tags", job.tags.map(([key, tag]) => `${key}=${tag}`).join(" · ")],
  ];
  const known = useMemo(() => facts.filter(([, fact]) => fact !== "" && fact !== false), [job, links]);
  return (
    <Box as="dl" columnGap={4} display="grid" fontSize="sm" gridTemplateColumns="max-content 1fr" rowGap={1}>
      {known.map(([name, fact]) => (
        <Box display="contents" key={name}>
          <Text as="dt" color="fg.muted">
            {name}
          </Text>
          <Box as="dd" overflowWrap="anywhere">
            {fact}
          </Box>
        </Box>
      ))}
    </Box>
  );
};
