// The command `snapml:show-job`.

import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { CommandIDs, type ISidebar } from '../tokens.js';
import type { JobsSection } from './JobsSection.js';

/** A notification that closes by itself is shown; without, it only counts up the bell. */
const SEEN_MS = 10_000;

export function addShowJob(
  commands: CommandRegistry,
  sidebar: ISidebar,
  section: JobsSection,
  trans: TranslationBundle
): void {
  commands.addCommand(CommandIDs.showJob, {
    label: trans.__('Show Job'),
    caption: trans.__('Show a job in the sidebar'),
    describedBy: {
      args: {
        type: 'object',
        properties: {
          job: { type: 'string', description: trans.__('Id of the job') },
          log: {
            type: 'boolean',
            description: trans.__('Whether to show what it printed')
          }
        },
        required: ['job']
      }
    },
    execute: args => {
      sidebar.open('jobs');
      if (!section.reveal(args.job as string, args.log === true)) {
        Notification.warning(trans.__('This job is no longer listed.'), {
          autoClose: SEEN_MS
        });
      }
    }
  });
}
