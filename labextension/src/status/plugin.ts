// Shows the machine and its jobs in the status bar.

import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { IJobsModel, IMachineModel, ISidebar } from '../tokens.js';
import { StatusItem } from './StatusItem.js';

/** Beside the kernel's, which is at 1, and the sessions', at 0. */
const RANK = 2;

export const statusPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:status',
  description: 'Shows GPU, CPUs, running and queued jobs in the status bar.',
  autoStart: true,
  requires: [IJobsModel, IMachineModel, ISidebar],
  optional: [IStatusBar, ITranslator],
  activate: (
    _app: JupyterFrontEnd,
    jobs: IJobsModel,
    machine: IMachineModel,
    sidebar: ISidebar,
    bar: IStatusBar | null,
    translator: ITranslator | null
  ) => {
    if (bar === null) {
      return;
    }
    const trans = (translator ?? nullTranslator).load('snapml-lab');
    const item = new StatusItem({ jobs, machine, sidebar, trans });
    bar.registerStatusItem(statusPlugin.id, {
      item,
      align: 'left',
      rank: RANK,
      isActive: () => jobs.loaded,
      activeStateChanged: jobs.changed
    });
  }
};
