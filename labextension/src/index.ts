// SnapML Lab in JupyterLab: one small plugin per feature.

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { clientPlugin } from './api/plugin.js';
import { approvalsPlugin } from './approvals/plugin.js';
import { costsPlugin } from './costs/plugin.js';
import { endpointsPlugin } from './endpoints/plugin.js';
import { jobsModelPlugin, jobsSectionPlugin } from './jobs/plugin.js';
import { jobCommandsPlugin } from './jobs/commands.js';
import { keysPlugin } from './keys/plugin.js';
import { machineModelPlugin, machineSectionPlugin } from './machine/plugin.js';
import { modelsPlugin } from './models/plugin.js';
import { notebooksPlugin } from './notebooks/plugin.js';
import { noticesPlugin } from './notices/plugin.js';
import { runsPlugin } from './runs/plugin.js';
import { runningPlugin } from './running/plugin.js';
import { sidebarPlugin } from './sidebar/plugin.js';
import { statusPlugin } from './status/plugin.js';

export * from './tokens.js';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  clientPlugin,
  jobsModelPlugin,
  sidebarPlugin,
  jobsSectionPlugin,
  machineModelPlugin,
  machineSectionPlugin,
  endpointsPlugin,
  keysPlugin,
  costsPlugin,
  runsPlugin,
  modelsPlugin,
  approvalsPlugin,
  jobCommandsPlugin,
  notebooksPlugin,
  runningPlugin,
  statusPlugin,
  noticesPlugin
];

export default plugins;
