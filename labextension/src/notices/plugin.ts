// Tells when jobs end, as the settings have it.

import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';
import { CommandIDs, IJobsModel, ISidebar } from '../tokens.js';
import { Memory } from './memory.js';
import { permission, Teller } from './Teller.js';

/** A notification that closes by itself is shown; without, it only counts up the bell. */
const SEEN_MS = 10_000;

export const noticesPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:notices',
  description: 'Tells when jobs end.',
  autoStart: true,
  requires: [IJobsModel, ISidebar],
  optional: [ISettingRegistry, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    jobs: IJobsModel,
    sidebar: ISidebar,
    registry: ISettingRegistry | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('snapml-lab');
    const { commands } = app;
    const key = `snapml-lab:alive:${PageConfig.getBaseUrl()}`;
    const memory = new Memory(window.localStorage, key);
    const ready =
      registry === null
        ? Promise.resolve(null)
        : registry.load(noticesPlugin.id).catch((error: unknown) => {
            console.warn('SnapML: settings were not read', error);
            return null;
          });
    void ready.then(settings => {
      const teller = new Teller({ jobs, commands, sidebar, memory, trans });
      const follow = (): void => {
        teller.inLab = settings?.composite.lab !== false;
        teller.onDesktop = settings?.composite.desktop === true;
        commands.notifyCommandChanged(CommandIDs.toggleDesktop);
      };
      commands.addCommand(CommandIDs.toggleDesktop, {
        label: trans.__('Desktop Notifications When Jobs End'),
        caption: trans.__(
          'While nobody looks at the page, the desktop tells when a job ends'
        ),
        isToggled: () => teller.onDesktop,
        isEnabled: () => settings !== null,
        describedBy: { args: { type: 'object', properties: {} } },
        execute: async () => {
          const wanted = !teller.onDesktop;
          if (!wanted || (await allowed(trans))) {
            await settings?.set('desktop', wanted);
          }
        }
      });
      palette?.addItem({
        command: CommandIDs.toggleDesktop,
        category: trans.__('SnapML')
      });
      follow();
      let before = teller.onDesktop;
      settings?.changed.connect(() => {
        follow();
        // Ticked in the settings: that is asking for it, too.
        if (teller.onDesktop && !before) {
          void allowed(trans);
        }
        before = teller.onDesktop;
      });
    });
  }
};

/** Ask the browser where it has to be asked; say what to do where it refuses. */
async function allowed(trans: TranslationBundle): Promise<boolean> {
  if (permission() === 'default') {
    await window.Notification.requestPermission();
  }
  if (permission() === 'granted') {
    return true;
  }
  Notification.warning(
    trans.__(
      'The browser does not let this page notify you. Allow notifications for it in the browser’s settings of this site.'
    ),
    { autoClose: SEEN_MS }
  );
  return false;
}
