// What the buttons of a queue do.

import { InputDialog, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { toProblem } from '../api/errors.js';
import type { QueueView } from '../api/generated.js';
import type { QueuesModel } from './model.js';

/** A notification that closes by itself is shown; without, it only counts up the bell. */
const SEEN_MS = 10_000;
/** As the server has it. */
const MOST = 10_000;

export interface QueueActions {
  readonly toggle: (queue: QueueView) => void;
  readonly limit: (queue: QueueView) => void;
}

export function queueActions(
  model: QueuesModel,
  trans: TranslationBundle
): QueueActions {
  const attempt = async (
    queue: QueueView,
    what: () => Promise<void>
  ): Promise<void> => {
    try {
      await what();
    } catch (error) {
      const { message, fix } = toProblem(error, trans);
      Notification.error(
        trans.__(
          'Queue %1 was not changed. %2',
          queue.name,
          [message, fix].filter(Boolean).join(' ')
        ),
        { autoClose: SEEN_MS }
      );
    }
  };
  return {
    toggle: queue =>
      void attempt(queue, () =>
        queue.paused ? model.resume(queue.name) : model.pause(queue.name)
      ),
    limit: queue =>
      void attempt(queue, async () => {
        const { button, value } = await InputDialog.getNumber({
          title: trans.__('Limit queue %1', queue.name),
          label: trans.__(
            'How many of its jobs may run at once? 0: as many as there is room for.'
          ),
          value: queue.at_most ?? 0,
          okLabel: trans.__('Set limit')
        });
        if (button.accept && value !== null && Number.isFinite(value)) {
          const most = Math.min(MOST, Math.max(0, Math.round(value)));
          await model.limit(queue.name, most);
        }
      })
  };
}
