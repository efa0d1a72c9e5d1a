// The command `snapml:open-cell`.

import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { CommandIDs } from '../tokens.js';
import { contentsPath, openCell } from './openCell.js';

/** A notification that closes by itself is shown; without, it only counts up the bell. */
const SEEN_MS = 10_000;

export const notebooksPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:notebooks',
  description: 'Opens a notebook at a cell.',
  autoStart: true,
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, translator: ITranslator | null) => {
    const trans = (translator ?? nullTranslator).load('snapml-lab');
    app.commands.addCommand(CommandIDs.openCell, {
      label: trans.__('Go to Cell'),
      caption: trans.__('Open a notebook of the project at one of its cells'),
      describedBy: {
        args: {
          type: 'object',
          properties: {
            notebook: {
              type: 'string',
              description: trans.__('Path relative to the project folder')
            },
            cell: { type: 'string', description: trans.__('Id of the cell') }
          },
          required: ['notebook']
        }
      },
      execute: async args => {
        const notebook = args.notebook as string;
        const cell = typeof args.cell === 'string' ? args.cell : null;
        const name = PathExt.basename(notebook);
        const path = contentsPath(notebook);
        if (path === null) {
          Notification.warning(
            trans.__('%1 lies outside the folder Jupyter shows.', name),
            { autoClose: SEEN_MS }
          );
          return;
        }
        try {
          if (!(await openCell(app.commands, path, cell))) {
            Notification.warning(
              trans.__('The cell is no longer in %1.', name),
              { autoClose: SEEN_MS }
            );
          }
        } catch (error) {
          Notification.error(
            trans.__('%1 could not be opened: %2', name, reason(error)),
            { autoClose: SEEN_MS }
          );
        }
      }
    });
  }
};

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
