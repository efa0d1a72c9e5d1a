// A line for each queue: what runs, what waits, and two buttons.

import React from 'react';
import type { QueueView } from '../api/generated.js';
import { useSection } from '../sections/context.js';
import type { QueueActions } from './actions.js';
import { DEFAULT_QUEUE, queueText, worthShowing } from './words.js';

export interface QueuesBarProps {
  queues: readonly QueueView[];
  actions: QueueActions;
}

export function QueuesBar(props: QueuesBarProps): React.JSX.Element | null {
  const { queues, actions } = props;
  const { trans } = useSection();
  if (!worthShowing(queues)) {
    return null;
  }
  return (
    <ul
      className="snapml-Queues"
      role="list"
      aria-label={trans.__('Queues')}
      data-testid="snapml-queues"
    >
      {queues.map(queue => (
        <li key={queue.name} role="listitem">
          <QueueLine
            queue={queue}
            alone={queues.length === 1}
            actions={actions}
          />
        </li>
      ))}
    </ul>
  );
}

function QueueLine(props: {
  queue: QueueView;
  /** Whether there is only this one. */
  alone: boolean;
  actions: QueueActions;
}): React.JSX.Element {
  const { queue, alone, actions } = props;
  const { trans } = useSection();
  const { name, paused, at_most } = queue;
  const title =
    alone && name === DEFAULT_QUEUE
      ? trans.__('Queue')
      : trans.__('Queue %1', name);
  return (
    <div
      className="snapml-Queue"
      data-testid="snapml-queue"
      data-queue={name}
      data-paused={paused}
    >
      <span className="snapml-Queue-words">
        <span className="snapml-Queue-name" dir="auto">
          {title}
        </span>
        {paused && (
          <span className="snapml-Queue-paused">{trans.__('Paused')}</span>
        )}
        <span className="snapml-Queue-counts">{queueText(queue, trans)}</span>
      </span>
      <span className="snapml-Row-actions">
        <button
          type="button"
          className="snapml-Link"
          data-testid="snapml-queue-toggle"
          aria-label={
            paused
              ? trans.__('Resume queue %1', name)
              : trans.__('Pause queue %1: start nothing more of it', name)
          }
          onClick={() => actions.toggle(queue)}
        >
          {paused ? trans.__('Resume') : trans.__('Pause')}
        </button>
        <button
          type="button"
          className="snapml-Link"
          data-testid="snapml-queue-limit"
          aria-label={
            at_most === null
              ? trans.__('Limit queue %1', name)
              : trans.__('Change the limit of queue %1', name)
          }
          onClick={() => actions.limit(queue)}
        >
          {trans.__('Limit…')}
        </button>
      </span>
    </div>
  );
}
