// Shows the endpoints in the sidebar and on pages, and stops them.

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { addPage } from '../pages/addPage.js';
import { CommandIDs, IClient, IJobsModel, ISidebar } from '../tokens.js';
import { addStopEndpoint } from './commands.js';
import { EndpointPageWidget } from './EndpointPageWidget.js';
import { EndpointsSection } from './EndpointsSection.js';
import { EndpointsModel } from './model.js';

export const endpointsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:endpoints',
  description:
    'Shows deployments and the gateway in the SnapML sidebar and on pages.',
  autoStart: true,
  requires: [IClient, IJobsModel, ISidebar],
  optional: [ITranslator, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    client: IClient,
    jobs: IJobsModel,
    sidebar: ISidebar,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null
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
    const options = { client, jobs, commands, trans };
    addPage(app, restorer, {
      id: 'snapml-endpoint',
      command: CommandIDs.openEndpoint,
      label: trans.__('Show Endpoint'),
      caption: trans.__('Show how a deployment is and how it does'),
      args: {
        type: 'object',
        properties: {
          name: {
            type: 'string',
            description: trans.__('Name of the deployment')
          }
        },
        required: ['name']
      },
      keyOf: args => args.name as string,
      make: args => new EndpointPageWidget(options, args.name as string)
    });
  }
};
