// Queues in words. The bundle of translations is passed in.

import type { TranslationBundle } from '@jupyterlab/translation';
import type { JobView, QueueView } from '../api/generated.js';
import { formatCount } from '../sections/words.js';

export const DEFAULT_QUEUE = 'default';

/** Whether the queues have anything to say that the list of jobs does not. */
export function worthShowing(queues: readonly QueueView[]): boolean {
  return (
    queues.some(({ name }) => name !== DEFAULT_QUEUE) ||
    queues.some(
      ({ paused, queued, at_most }) => paused || queued > 0 || at_most !== null
    )
  );
}

/** How a queue is: `2 running, 3 waiting, at most 2 at once`. */
export function queueText(queue: QueueView, trans: TranslationBundle): string {
  const { running, queued, at_most } = queue;
  const parts = [
    trans.__('%1 running', formatCount(running)),
    trans.__('%1 waiting', formatCount(queued))
  ];
  if (at_most !== null) {
    parts.push(trans.__('at most %1 at once', formatCount(at_most)));
  }
  return parts.join(', ');
}

/** Where a job stands if that is unusual: `Queue night, priority 5`; empty where it is not. */
export function placeText(
  job: Pick<JobView, 'queue' | 'priority'>,
  trans: TranslationBundle
): string {
  const { queue, priority } = job;
  if (queue === DEFAULT_QUEUE) {
    return priority === 0 ? '' : trans.__('Priority %1', priority);
  }
  return priority === 0
    ? trans.__('Queue %1', queue)
    : trans.__('Queue %1, priority %2', queue, priority);
}

/** Which start of work that may be retried this is; empty at the first. */
export function attemptText(
  job: Pick<JobView, 'attempt' | 'retries'>,
  trans: TranslationBundle
): string {
  const { attempt, retries } = job;
  return retries > 0 && attempt > 1
    ? trans.__('Attempt %1 of %2', attempt, retries + 1)
    : '';
}
