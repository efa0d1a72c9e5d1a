// Puts the SnapML sidebar into the left area.

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { ISidebar } from '../tokens.js';
import { Sidebar, SIDEBAR_ID } from './Sidebar.js';

/** After the file browser, the running sessions and Git; before extensions. */
const RANK = 150;

export const sidebarPlugin: JupyterFrontEndPlugin<ISidebar> = {
  id: 'snapml-lab:sidebar',
  description: 'The SnapML sidebar, made of sections other plugins add.',
  autoStart: true,
  provides: ISidebar,
  optional: [ITranslator, ILayoutRestorer, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null
  ) => {
    const toFront = (): void => app.shell.activateById(SIDEBAR_ID);
    const sidebar = new Sidebar(
      translator ?? nullTranslator,
      state,
      toFront,
      app.restored
    );
    app.shell.add(sidebar, 'left', { rank: RANK, type: 'SnapML' });
    restorer?.add(sidebar, sidebar.id);
    return sidebar;
  }
};
