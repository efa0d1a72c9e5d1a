// Shows in the sidebar what requests cost.

import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { IClient, IJobsModel, ISidebar } from '../tokens.js';
import { CostSection } from './CostSection.js';

export const costsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:costs',
  description: 'Shows in the SnapML sidebar what requests used and cost.',
  autoStart: true,
  requires: [IClient, IJobsModel, ISidebar],
  optional: [ITranslator, IStateDB],
  activate: (
    _app: JupyterFrontEnd,
    client: IClient,
    jobs: IJobsModel,
    sidebar: ISidebar,
    translator: ITranslator | null,
    state: IStateDB | null
  ) => {
    const trans = (translator ?? nullTranslator).load('snapml-lab');
    sidebar.addSection({
      id: 'cost',
      title: trans.__('Cost'),
      rank: 30,
      share: 2.8,
      collapsed: true,
      widget: new CostSection({ client, jobs, trans, state })
    });
  }
};
