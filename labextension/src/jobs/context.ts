// What every part of the jobs section needs, handed down once.

import {
  type TranslationBundle,
  nullTranslator
} from '@jupyterlab/translation';
import { createContext, useContext } from 'react';
import type { JobView } from '../api/generated.js';
import type { IClient } from '../tokens.js';

export interface JobsContext {
  readonly trans: TranslationBundle;
  readonly client: Pick<IClient, 'call'>;
  /** Whether anybody can see the section: otherwise clocks and logs rest. */
  readonly visible: boolean;
  readonly cancel: (job: JobView) => void;
  readonly goToCell: (job: JobView) => void;
  /** Whether Jupyter can open what lies in the project folder. */
  readonly canOpen: (notebook: string) => boolean;
}

const Context = createContext<JobsContext>({
  trans: nullTranslator.load('snapml-lab'),
  client: { call: () => Promise.reject(new Error('No client')) },
  visible: false,
  cancel: () => undefined,
  goToCell: () => undefined,
  canOpen: () => false
});

export const JobsProvider = Context.Provider;

export function useJobs(): JobsContext {
  return useContext(Context);
}
