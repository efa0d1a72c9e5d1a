// What a job has to say for itself: what it waits for, does, or why it ended.

import React, { useState } from 'react';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { JobView } from '../api/generated.js';
import { useJobs } from './context.js';
import { percent } from './format.js';
import { isLive } from './reconcile.js';

export function JobOutcome({ job }: { job: JobView }): React.JSX.Element {
  const { trans } = useJobs();
  const fault = whyItEnded(job, trans);
  const waiting = job.state === 'queued' ? job.waiting_for : null;
  // Of work that has ended this would say what it did last, as if it still did.
  const doing = isLive(job) ? job.message : null;
  return (
    <>
      {job.state === 'running' && <Progress job={job} />}
      {waiting !== null && (
        <LongText
          className="snapml-Job-message"
          text={trans.__('Waiting for %1', waiting)}
        />
      )}
      {doing !== null && doing !== '' && (
        <LongText className="snapml-Job-message" text={doing} />
      )}
      {fault !== '' && <LongText className="snapml-Job-fault" text={fault} />}
      {typeof job.error?.fix === 'string' && (
        <LongText className="snapml-Job-fix" text={job.error.fix} />
      )}
    </>
  );
}

function Progress({ job }: { job: JobView }): React.JSX.Element | null {
  const { trans } = useJobs();
  const value = percent(job);
  if (value === null) {
    return null;
  }
  return (
    <div className="snapml-Job-progress">
      <div
        className="snapml-Job-track"
        data-testid="snapml-job-progress"
        role="progressbar"
        aria-label={trans.__('Progress of %1', job.name)}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={value}
        aria-valuetext={trans.__('%1 %', value)}
      >
        <div className="snapml-Job-bar" style={{ width: `${value}%` }} />
      </div>
      <span className="snapml-Job-percent" aria-hidden>
        {trans.__('%1 %', value)}
      </span>
    </div>
  );
}

/** Empty where nothing went wrong, or nobody knows more than the state. */
function whyItEnded(job: JobView, trans: TranslationBundle): string {
  if (isLive(job) || job.state === 'succeeded') {
    return '';
  }
  if (job.error !== null) {
    return job.error.message;
  }
  if (job.reason !== null && job.reason !== job.state) {
    return job.reason;
  }
  return job.state === 'failed' && job.exit_code !== null
    ? trans.__('Ended with exit code %1.', job.exit_code)
    : '';
}

/** More than this is folded to a few lines. */
const LONG = 240;

function LongText(props: {
  className: string;
  text: string;
}): React.JSX.Element {
  const { trans } = useJobs();
  const [open, setOpen] = useState(false);
  const { text } = props;
  const long = text.length > LONG || text.split('\n').length > 4;
  const folded = long && !open;
  return (
    <div className={props.className}>
      <div className={folded ? 'snapml-folded' : undefined} dir="auto">
        {text}
      </div>
      {long && (
        <button
          type="button"
          className="snapml-Link"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          {open ? trans.__('Show less') : trans.__('Show all')}
        </button>
      )}
    </div>
  );
}
