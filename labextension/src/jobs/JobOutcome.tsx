// What a job has to say for itself: what it waits for, does, or why it ended.

import React from 'react';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { JobView } from '../api/generated.js';
import { useSection } from '../sections/context.js';
import { LongText } from '../sections/LongText.js';
import { attemptText, placeText } from '../queues/words.js';
import { restartsText } from '../sections/words.js';
import { useJobActions } from './context.js';
import { gpuText, percent } from './format.js';
import { isLive } from './reconcile.js';

export function JobOutcome({ job }: { job: JobView }): React.JSX.Element {
  const { trans } = useSection();
  const fault = whyItEnded(job, trans);
  const waiting = job.state === 'queued' ? job.waiting_for : null;
  // Of work that has ended this would say what it did last, as if it still did;
  // a service that runs does nothing but that.
  const silent = !isLive(job) || (job.service && job.state === 'running');
  const yielded = gaveWayText(job, useJobActions().nameOf, trans);
  const doing = silent || yielded !== '' ? null : job.message;
  const place = isLive(job) ? placeText(job, trans) : '';
  const attempt = attemptText(job, trans);
  const gpu = job.state === 'queued' ? '' : gpuText(job, trans);
  const again = restartsText(job.restarts, trans);
  return (
    <>
      {job.state === 'running' && !job.service && <Progress job={job} />}
      {again !== '' && <div className="snapml-Row-again">{again}</div>}
      {attempt !== '' && <div className="snapml-Row-again">{attempt}</div>}
      {place !== '' && (
        <div className="snapml-Row-again" dir="auto">
          {place}
        </div>
      )}
      {yielded !== '' && (
        <LongText className="snapml-Row-message" text={yielded} />
      )}
      {waiting !== null && (
        <LongText
          className="snapml-Row-message"
          text={trans.__('Waiting for %1', waiting)}
        />
      )}
      {doing !== null && doing !== '' && (
        <LongText className="snapml-Row-message" text={doing} />
      )}
      {gpu !== '' && <div className="snapml-Row-again">{gpu}</div>}
      {fault !== '' && <LongText className="snapml-Row-fault" text={fault} />}
      {typeof job.error?.fix === 'string' && (
        <LongText className="snapml-Row-fix" text={job.error.fix} />
      )}
    </>
  );
}

function Progress({ job }: { job: JobView }): React.JSX.Element | null {
  const { trans } = useSection();
  const value = percent(job);
  if (value === null) {
    return null;
  }
  return (
    <div className="snapml-Row-progress">
      <div
        className="snapml-Bar"
        data-testid="snapml-job-progress"
        role="progressbar"
        aria-label={trans.__('Progress of %1', job.name)}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={value}
        aria-valuetext={trans.__('%1 %', value)}
      >
        <div className="snapml-Bar-fill" style={{ width: `${value}%` }} />
      </div>
      <span className="snapml-Row-percent" aria-hidden>
        {trans.__('%1 %', value)}
      </span>
    </div>
  );
}

/** What a service stopped for and comes back after; empty where it did not. */
function gaveWayText(
  job: JobView,
  nameOf: (job: string) => string | null,
  trans: TranslationBundle
): string {
  const other = job.gave_way_to;
  if (other === null || !isLive(job)) {
    return '';
  }
  const name = nameOf(other) ?? other.slice(-6);
  return job.state === 'queued'
    ? trans.__('Gave way to %1', name)
    : trans.__('Giving way to %1', name);
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
