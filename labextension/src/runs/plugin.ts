// Shows the runs in the sidebar, and each on a page of its own.

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { addPage } from '../pages/addPage.js';
import { CommandIDs, IClient, IJobsModel, ISidebar } from '../tokens.js';
import { ComparePageWidget, RunPageWidget } from './pages.js';
import { RunsSection } from './RunsSection.js';

export const runsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:runs',
  description:
    'Shows runs in the SnapML sidebar and on pages, and compares them.',
  autoStart: true,
  requires: [IClient, IJobsModel, ISidebar],
  optional: [ITranslator, IStateDB, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    client: IClient,
    jobs: IJobsModel,
    sidebar: ISidebar,
    translator: ITranslator | null,
    state: IStateDB | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load('snapml-lab');
    const { commands } = app;
    const options = { client, jobs, commands, trans };
    sidebar.addSection({
      id: 'runs',
      title: trans.__('Runs'),
      rank: 12,
      share: 3,
      collapsed: true,
      widget: new RunsSection({ ...options, state })
    });
    addPage(app, restorer, {
      id: 'snapml-run',
      command: CommandIDs.openRun,
      label: trans.__('Show Run'),
      caption: trans.__('Show all that is known of a run'),
      args: {
        type: 'object',
        properties: {
          run: { type: 'string', description: trans.__('Id of the run') }
        },
        required: ['run']
      },
      keyOf: args => args.run as string,
      make: args => new RunPageWidget(options, args.run as string)
    });
    addPage(app, restorer, {
      id: 'snapml-compare',
      command: CommandIDs.compareRuns,
      label: trans.__('Compare Runs'),
      caption: trans.__('Show what differs between runs'),
      args: {
        type: 'object',
        properties: {
          runs: {
            type: 'array',
            items: { type: 'string' },
            description: trans.__('Ids of the runs')
          }
        },
        required: ['runs']
      },
      keyOf: args => idsOf(args.runs).join('+'),
      make: args => new ComparePageWidget(options, idsOf(args.runs))
    });
  }
};

function idsOf(runs: unknown): [string, ...string[]] {
  const [first = '', ...others] = Array.isArray(runs) ? runs.map(String) : [];
  return [first, ...others];
}
