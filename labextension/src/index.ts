// SnapML Lab in JupyterLab: one small plugin per feature.

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { clientPlugin } from './api/plugin.js';
import { costsPlugin } from './costs/plugin.js';
import { endpointsPlugin } from './endpoints/plugin.js';
import { jobsModelPlugin, jobsSectionPlugin } from './jobs/plugin.js';
import { jobCommandsPlugin } from './jobs/commands.js';
import { notebooksPlugin } from './notebooks/plugin.js';
import { sidebarPlugin } from './sidebar/plugin.js';

export * from './tokens.js';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  clientPlugin,
  jobsModelPlugin,
  sidebarPlugin,
  jobsSectionPlugin,
  endpointsPlugin,
  costsPlugin,
  jobCommandsPlugin,
  notebooksPlugin
];

export default plugins;
