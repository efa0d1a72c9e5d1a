// What can be done about a job, handed down once.

import { createContext, useContext } from 'react';
import type { JobView } from '../api/generated.js';

export interface JobActions {
  readonly cancel: (job: JobView) => void;
  readonly goToCell: (job: JobView) => void;
  /** Whether Jupyter can open what lies in the project folder. */
  readonly canOpen: (notebook: string) => boolean;
}

const Context = createContext<JobActions>({
  cancel: () => undefined,
  goToCell: () => undefined,
  canOpen: () => false
});

export const JobActionsProvider = Context.Provider;

export function useJobActions(): JobActions {
  return useContext(Context);
}
