// Follows what the machine has and who holds it, and shows it in the sidebar.

import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { IClient, IJobsModel, IMachineModel, ISidebar } from '../tokens.js';
import { addFreeMemory } from './commands.js';
import { MachineSection } from './MachineSection.js';
import { MachineModel } from './model.js';

export const machineModelPlugin: JupyterFrontEndPlugin<IMachineModel> = {
  id: 'snapml-lab:machine',
  description: 'Follows what the machine has, and who holds it.',
  autoStart: true,
  provides: IMachineModel,
  requires: [IClient, IJobsModel],
  activate: (app: JupyterFrontEnd, client: IClient, jobs: IJobsModel) =>
    new MachineModel(client, jobs, app.serviceManager.sessions)
};

export const machineSectionPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:machine-section',
  description: 'Shows the machine and who holds it in the SnapML sidebar.',
  autoStart: true,
  requires: [IClient, IJobsModel, IMachineModel, ISidebar],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    client: IClient,
    jobs: IJobsModel,
    model: IMachineModel,
    sidebar: ISidebar,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('snapml-lab');
    const { commands } = app;
    addFreeMemory(commands, model, trans);
    const widget = new MachineSection({ model, jobs, client, commands, trans });
    const add = (): void => {
      model.changed.disconnect(add);
      const title = trans.__('Machine');
      const gpus = model.value?.gpus.length ?? 0;
      sidebar.addSection({
        id: 'machine',
        title,
        rank: 15,
        share: gpus > 0 ? 3.5 : 1.4,
        collapsed: gpus === 0,
        widget
      });
    };
    // Holders of GPUs need height, which is not taken from others where there is no GPU: the status bar says the rest.
    model.changed.connect(add);
    model.glance();
  }
};
