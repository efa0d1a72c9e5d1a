// The command `snapml:cancel-job`.

import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';
import { toProblem } from '../api/errors.js';
import type { JobView } from '../api/generated.js';
import { CommandIDs, IJobsModel } from '../tokens.js';
import { formatDuration } from '../sections/words.js';
import { elapsed } from './format.js';

/** Work younger than this is cancelled without asking. */
const YOUNG_MS = 60_000;
/** A notification that closes by itself is shown; without, it only counts up the bell. */
const SEEN_MS = 10_000;

export const jobCommandsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:job-commands',
  description: 'Adds the command that cancels a job.',
  autoStart: true,
  requires: [IJobsModel],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: IJobsModel,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('snapml-lab');
    app.commands.addCommand(CommandIDs.cancelJob, {
      label: trans.__('Cancel Job'),
      caption: trans.__('Stop a job and everything it started'),
      describedBy: {
        args: {
          type: 'object',
          properties: {
            job: { type: 'string', description: trans.__('Id of the job') }
          },
          required: ['job']
        }
      },
      execute: async args => {
        const id = args.job as string;
        const job = model.jobs.get(id);
        if (job !== undefined && !(await confirmed(job, trans))) {
          return;
        }
        try {
          await model.cancel(id);
        } catch (error) {
          const { message, fix } = toProblem(error, trans);
          Notification.error(
            trans.__(
              '%1 was not cancelled. %2',
              job?.name ?? id,
              [message, fix].filter(Boolean).join(' ')
            ),
            { autoClose: SEEN_MS }
          );
        }
      }
    });
  }
};

async function confirmed(
  job: JobView,
  trans: TranslationBundle
): Promise<boolean> {
  const ms = job.started_at === null ? 0 : (elapsed(job, Date.now()) ?? 0);
  if (ms < YOUNG_MS) {
    return true;
  }
  const { button } = await showDialog({
    title: trans.__('Cancel this job?'),
    body: trans.__(
      '%1 has been running for %2.',
      job.name,
      formatDuration(ms, trans)
    ),
    defaultButton: 0,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Keep running') }),
      Dialog.warnButton({ label: trans.__('Cancel job') })
    ]
  });
  return button.accept;
}
