/** The tab "Batch" of Airflow's UI: one component for both places, since Airflow keeps one for each name. */

import type { ReactNode } from "react";

import { RunTab } from "./RunTab";
import { placeOf } from "./task";
import { TaskTab } from "./TaskTab";

const Batch = (props: Record<string, unknown>): ReactNode => {
  const { dagId, runId, taskId, mapIndex } = placeOf(props);
  return taskId ? (
    <TaskTab key={`${dagId} ${runId} ${taskId} ${mapIndex}`} dagId={dagId} mapIndex={mapIndex} runId={runId} taskId={taskId} />
  ) : (
    <RunTab key={`${dagId} ${runId}`} dagId={dagId} runId={runId} />
  );
};

globalThis.AirflowPlugin = Batch;
