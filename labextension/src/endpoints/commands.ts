// The command `snapml:stop-endpoint`.

import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { toProblem } from '../api/errors.js';
import { confirmed } from '../pages/confirmed.js';
import { CommandIDs } from '../tokens.js';
import type { EndpointsModel } from './model.js';

/** A notification that closes by itself is shown; without, it only counts up the bell. */
const SEEN_MS = 10_000;

export function addStopEndpoint(
  commands: CommandRegistry,
  model: EndpointsModel,
  trans: TranslationBundle
): void {
  commands.addCommand(CommandIDs.stopEndpoint, {
    label: trans.__('Stop Endpoint'),
    caption: trans.__('Withdraw a deployment and stop what serves it'),
    describedBy: {
      args: {
        type: 'object',
        properties: {
          name: {
            type: 'string',
            description: trans.__('Name of the deployment')
          }
        },
        required: ['name']
      }
    },
    execute: async args => {
      const name = args.name as string;
      const shown = model.picture?.endpoints.find(one => one.name === name);
      const served = shown?.state !== 'stopped';
      if (served && !(await agreed(name, trans))) {
        return;
      }
      try {
        await model.stop(name);
      } catch (error) {
        const { message, fix } = toProblem(error, trans);
        Notification.error(
          trans.__(
            '%1 was not stopped. %2',
            name,
            [message, fix].filter(Boolean).join(' ')
          ),
          { autoClose: SEEN_MS }
        );
      }
    }
  });
}

function agreed(name: string, trans: TranslationBundle): Promise<boolean> {
  return confirmed({
    title: trans.__('Stop this endpoint?'),
    body: trans.__(
      '%1 will no longer answer. Its model and what was recorded stay.',
      name
    ),
    keep: trans.__('Keep serving'),
    go: trans.__('Stop endpoint')
  });
}
