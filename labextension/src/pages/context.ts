// Where one can go from a section or a page, handed down once.

import type { CommandRegistry } from '@lumino/commands';
import { createContext, useContext } from 'react';
import { contentsPath } from '../notebooks/openCell.js';
import { CommandIDs } from '../tokens.js';

export interface Links {
  readonly openRun: (run: string) => void;
  readonly compare: (runs: readonly string[]) => void;
  readonly openModel: (model: string) => void;
  readonly openApproval: (approval: string) => void;
  readonly openEndpoint: (name: string) => void;
  readonly showJob: (job: string) => void;
  readonly goToCell: (notebook: string, cell: string | null) => void;
  /** Whether Jupyter can open what lies in the project folder. */
  readonly canOpen: (notebook: string) => boolean;
}

export interface PageActions extends Links {
  /** What is shown was changed here: read it again. */
  readonly reload: () => void;
}

export function linksOf(commands: CommandRegistry): Links {
  return {
    openRun: run => void commands.execute(CommandIDs.openRun, { run }),
    compare: runs =>
      void commands.execute(CommandIDs.compareRuns, { runs: [...runs] }),
    openModel: model => void commands.execute(CommandIDs.openModel, { model }),
    openApproval: approval =>
      void commands.execute(CommandIDs.openApproval, { approval }),
    openEndpoint: name =>
      void commands.execute(CommandIDs.openEndpoint, { name }),
    showJob: job => void commands.execute(CommandIDs.showJob, { job }),
    goToCell: (notebook, cell) =>
      void commands.execute(CommandIDs.openCell, {
        notebook,
        ...(cell === null ? {} : { cell })
      }),
    canOpen: notebook => contentsPath(notebook) !== null
  };
}

const nothing = (): void => undefined;

const Context = createContext<PageActions>({
  openRun: nothing,
  compare: nothing,
  openModel: nothing,
  openApproval: nothing,
  openEndpoint: nothing,
  showJob: nothing,
  goToCell: nothing,
  canOpen: () => false,
  reload: nothing
});

export const PageProvider = Context.Provider;

export function usePage(): PageActions {
  return useContext(Context);
}
