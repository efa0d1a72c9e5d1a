// One job: its state in icon and word, what it does, and what can be done about it.

import { PathExt } from '@jupyterlab/coreutils';
import React, { memo, useEffect, useId, useRef, useState } from 'react';
import type { JobView } from '../api/generated.js';
import { Log } from '../log/Log.js';
import { LogButton } from '../log/LogButton.js';
import { useSection } from '../sections/context.js';
import { Row } from '../sections/Row.js';
import { formatDuration, formatTime } from '../sections/words.js';
import { useJobActions, useWanted } from './context.js';
import { elapsed } from './format.js';
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
  const { trans } = useSection();
  const [open, setOpen] = useState(false);
  const log = useId();
  const row = useRef<HTMLDivElement>(null);
  const wanted = useWanted(job.id);
  const [shown, setShown] = useState(0);
  if (wanted !== null && wanted.turn !== shown) {
    setShown(wanted.turn);
    setOpen(open || wanted.log);
  }
  useEffect(() => {
    if (shown > 0) {
      row.current?.scrollIntoView({ block: 'nearest' });
      row.current?.querySelector('button')?.focus({ preventScroll: true });
    }
  }, [shown]);
  const stopping = cancelling || job.state === 'stopping';
  const ms = elapsed(job, now);
  const when = job.started_at
    ? trans.__('Started %1', formatTime(job.started_at) ?? '?')
    : trans.__('Submitted %1', formatTime(job.submitted_at) ?? '?');
  return (
    <Row
      node={row}
      data={{ 'data-testid': 'snapml-job', 'data-job-id': job.id }}
      name={job.name}
      state={job.state}
      saying={stopping ? 'stopping' : job.state}
      kind={job.kind}
      aside={
        ms !== null && (
          <span className="snapml-Row-aside" title={when}>
            {formatDuration(ms, trans)}
          </span>
        )
      }
      actions={
        <>
          {isLive(job) && <CancelButton job={job} stopping={stopping} />}
          <LogButton
            name={job.name}
            open={open}
            controls={log}
            onToggle={() => setOpen(!open)}
            testid="snapml-job-log"
          />
          {job.notebook !== null && (
            <CellButton job={job} notebook={job.notebook} />
          )}
        </>
      }
    >
      <JobOutcome job={job} />
      {open && <Log job={job.id} name={job.name} id={log} />}
    </Row>
  );
});

// A disabled button keeps the focus and its tooltip: `aria-disabled`, not `disabled`.

function CancelButton(props: {
  job: JobView;
  stopping: boolean;
}): React.JSX.Element {
  const { job, stopping } = props;
  const { trans } = useSection();
  const { cancel } = useJobActions();
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
  const { trans } = useSection();
  const { goToCell, canOpen } = useJobActions();
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
