// Keeps the jobs current, and shows them in the sidebar.

import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { IClient, IJobsModel, ISidebar } from '../tokens.js';
import { JobsModel } from './model.js';
import { JobsSection } from './JobsSection.js';
import { addShowJob } from './show.js';

export const jobsModelPlugin: JupyterFrontEndPlugin<IJobsModel> = {
  id: 'snapml-lab:jobs',
  description: "Follows the workspace's jobs.",
  autoStart: true,
  provides: IJobsModel,
  requires: [IClient],
  activate: (app: JupyterFrontEnd, client: IClient) =>
    new JobsModel(client, app.serviceManager.events.stream)
};

export const jobsSectionPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:jobs-section',
  description: 'Shows the jobs in the SnapML sidebar.',
  autoStart: true,
  requires: [IClient, IJobsModel, ISidebar],
  optional: [ITranslator, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    client: IClient,
    model: IJobsModel,
    sidebar: ISidebar,
    translator: ITranslator | null,
    state: IStateDB | null
  ) => {
    const trans = (translator ?? nullTranslator).load('snapml-lab');
    const { commands } = app;
    const widget = new JobsSection({ model, client, commands, trans, state });
    addShowJob(commands, sidebar, widget, trans);
    const title = trans.__('Jobs');
    sidebar.addSection({ id: 'jobs', title, rank: 10, share: 4, widget });
  }
};
