// What every part of a section needs, handed down once.

import {
  type TranslationBundle,
  nullTranslator
} from '@jupyterlab/translation';
import { createContext, useContext } from 'react';
import type { IClient } from '../tokens.js';

export interface SectionContext {
  readonly trans: TranslationBundle;
  readonly client: Pick<IClient, 'call'>;
  /** Whether anybody can see the section: otherwise clocks and logs rest. */
  readonly visible: boolean;
}

const Context = createContext<SectionContext>({
  trans: nullTranslator.load('snapml-lab'),
  client: { call: () => Promise.reject(new Error('No client')) },
  visible: false
});

export const SectionProvider = Context.Provider;

export function useSection(): SectionContext {
  return useContext(Context);
}
