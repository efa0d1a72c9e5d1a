// Provides the typed client of the server's commands.

import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IClient } from '../tokens.js';
import { Client } from './client.js';

export const clientPlugin: JupyterFrontEndPlugin<IClient> = {
  id: 'snapml-lab:client',
  description: 'Runs SnapML commands on the Jupyter server.',
  autoStart: true,
  provides: IClient,
  activate: (app: JupyterFrontEnd) =>
    new Client(app.serviceManager.serverSettings)
};
