// One job: its state in icon and word, what it does, and what can be done about it.

import { PathExt } from '@jupyterlab/coreutils';
import React, { memo, useId, useState } from 'react';
import type { JobView } from '../api/generated.js';
import { STATE_ICONS } from '../icons.js';
import { useJobs } from './context.js';
import { elapsed, formatDuration, formatTime, stateWord } from './format.js';
import { JobLog } from './JobLog.js';
import { JobOutcome } from './JobOutcome.js';
import { isLive } from './reconcile.js';

export interface JobRowProps {
  job: JobView;
  /** The present for live jobs; ended ones need none and are not drawn again. */
  now: number;
  /** Whether somebody here asked for its end. */
  cancelling: boolean;
}

export const JobRow = memo(function JobRow(
  props: JobRowProps
): React.JSX.Element {
  const { job, now, cancelling } = props;
  const { trans } = useJobs();
  const [open, setOpen] = useState(false);
  const log = useId();
  const Icon = STATE_ICONS[job.state];
  const stopping = cancelling || job.state === 'stopping';
  const state = stopping ? 'stopping' : job.state;
  const ms = elapsed(job, now);
  const when = job.started_at
    ? trans.__('Started %1', formatTime(job.started_at) ?? '?')
    : trans.__('Submitted %1', formatTime(job.submitted_at) ?? '?');
  return (
    <div
      className="snapml-Job"
      data-testid="snapml-job"
      data-job-id={job.id}
      data-state={job.state}
    >
      <Icon.react
        tag="span"
        className={`snapml-Job-icon snapml-is-${job.state}`}
        aria-hidden
      />
      <div className="snapml-Job-body">
        <div className="snapml-Job-head">
          <span className="snapml-Job-name" dir="auto" title={job.name}>
            {job.name}
          </span>
          {ms !== null && (
            <span className="snapml-Job-time" title={when}>
              {formatDuration(ms, trans)}
            </span>
          )}
        </div>
        <div className="snapml-Job-line">
          <span className="snapml-Job-meta">
            <span className="snapml-Job-state">{stateWord(state, trans)}</span>
            <span className="snapml-Job-kind" title={job.kind}>
              {job.kind}
            </span>
          </span>
          <span className="snapml-Job-actions">
            {isLive(job) && <CancelButton job={job} stopping={stopping} />}
            <button
              type="button"
              className="snapml-Link"
              data-testid="snapml-job-log"
              aria-expanded={open}
              aria-controls={open ? log : undefined}
              aria-label={
                open
                  ? trans.__('Hide log of %1', job.name)
                  : trans.__('Log of %1', job.name)
              }
              onClick={() => setOpen(!open)}
            >
              {open ? trans.__('Hide log') : trans.__('Log')}
            </button>
            {job.notebook !== null && (
              <CellButton job={job} notebook={job.notebook} />
            )}
          </span>
        </div>
        <JobOutcome job={job} />
        {open && <JobLog job={job} id={log} />}
      </div>
    </div>
  );
});

// A disabled button keeps the focus and its tooltip: `aria-disabled`, not `disabled`.

function CancelButton(props: {
  job: JobView;
  stopping: boolean;
}): React.JSX.Element {
  const { job, stopping } = props;
  const { trans, cancel } = useJobs();
  return (
    <button
      type="button"
      className="snapml-Link"
      data-testid="snapml-job-cancel"
      aria-disabled={stopping}
      aria-label={
        stopping
          ? trans.__('Stopping %1', job.name)
          : trans.__('Cancel %1', job.name)
      }
      onClick={() => !stopping && cancel(job)}
    >
      {stopping ? trans.__('Stopping…') : trans.__('Cancel')}
    </button>
  );
}

function CellButton(props: {
  job: JobView;
  notebook: string;
}): React.JSX.Element {
  const { job, notebook } = props;
  const { trans, goToCell, canOpen } = useJobs();
  const reachable = canOpen(notebook);
  const name = PathExt.basename(notebook);
  const what =
    job.cell_id === null
      ? trans.__('Notebook %1', name)
      : trans.__('Go to cell in %1', name);
  return (
    <button
      type="button"
      className="snapml-Link"
      data-testid="snapml-job-cell"
      aria-disabled={!reachable}
      aria-label={trans.__('%1, of job %2', what, job.name)}
      title={
        reachable
          ? what
          : trans.__('%1 lies outside the folder Jupyter shows.', name)
      }
      onClick={() => reachable && goToCell(job)}
    >
      {job.cell_id === null ? trans.__('Notebook') : trans.__('Go to cell')}
    </button>
  );
}
