// The command `snapml:free-memory`.

import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { toProblem } from '../api/errors.js';
import { CommandIDs, type IMachineModel } from '../tokens.js';
import { holderKey, warning } from './free.js';
import { holderName } from './words.js';

/** A notification that closes by itself is shown; without, it only counts up the bell. */
const SEEN_MS = 10_000;

export function addFreeMemory(
  commands: CommandRegistry,
  model: IMachineModel,
  trans: TranslationBundle
): void {
  commands.addCommand(CommandIDs.freeMemory, {
    label: trans.__('Free GPU Memory'),
    caption: trans.__('End what holds memory of a GPU'),
    describedBy: {
      args: {
        type: 'object',
        properties: {
          gpu: { type: 'string', description: trans.__('UUID of the GPU') },
          holder: {
            type: 'string',
            description: trans.__('job:ID or process:NUMBER')
          }
        },
        required: ['gpu', 'holder']
      }
    },
    execute: async args => {
      const holder = model.value?.gpus
        .find(({ uuid }) => uuid === args.gpu)
        ?.holders.find(one => holderKey(one) === args.holder);
      const way = holder === undefined ? null : model.wayToFree(holder);
      if (holder === undefined || way === null) {
        return;
      }
      const { title, body, keep, go } = warning(holder, way, trans);
      const { button } = await showDialog({
        title,
        body,
        defaultButton: 0,
        buttons: [
          Dialog.cancelButton({ label: keep }),
          Dialog.warnButton({ label: go })
        ]
      });
      if (!button.accept) {
        return;
      }
      try {
        await model.free(holder, way);
      } catch (error) {
        const { message, fix } = toProblem(error, trans);
        Notification.error(
          trans.__(
            'The memory of %1 was not freed. %2',
            holderName(holder, trans),
            [message, fix].filter(Boolean).join(' ')
          ),
          { autoClose: SEEN_MS }
        );
      }
    }
  });
}
