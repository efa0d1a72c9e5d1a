// Shows what requests and jobs cost: in the sidebar, and as a page.

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { addPage } from '../pages/addPage.js';
import { CommandIDs, IClient, IJobsModel, ISidebar } from '../tokens.js';
import { CostSection } from './CostSection.js';
import { CostPageWidget } from './page.js';

export const costsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:costs',
  description:
    'Shows in the SnapML sidebar and on a page what requests used and cost.',
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
    sidebar.addSection({
      id: 'cost',
      title: trans.__('Cost'),
      rank: 30,
      share: 2.8,
      collapsed: true,
      widget: new CostSection({ client, jobs, commands, trans, state })
    });
    addPage(app, restorer, {
      id: 'snapml-costs',
      command: CommandIDs.openCosts,
      label: trans.__('Show Costs'),
      caption: trans.__(
        'Show what was spent, on what, and what the month will come to'
      ),
      args: { type: 'object', properties: {} },
      keyOf: () => 'all',
      make: () => new CostPageWidget({ client, jobs, commands, trans })
    });
  }
};
