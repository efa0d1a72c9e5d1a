// Shows the endpoints in the sidebar, and stops them.

import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { IClient, IJobsModel, ISidebar } from '../tokens.js';
import { addStopEndpoint } from './commands.js';
import { EndpointsSection } from './EndpointsSection.js';
import { EndpointsModel } from './model.js';

export const endpointsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:endpoints',
  description: 'Shows deployments and the gateway in the SnapML sidebar.',
  autoStart: true,
  requires: [IClient, IJobsModel, ISidebar],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    client: IClient,
    jobs: IJobsModel,
    sidebar: ISidebar,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('snapml-lab');
    const { commands } = app;
    const model = new EndpointsModel(client, jobs);
    addStopEndpoint(commands, model, trans);
    const widget = new EndpointsSection({ model, client, commands, trans });
    widget.disposed.connect(() => model.dispose());
    const title = trans.__('Endpoints');
    sidebar.addSection({
      id: 'endpoints',
      title,
      rank: 20,
      share: 1.8,
      widget
    });
  }
};
