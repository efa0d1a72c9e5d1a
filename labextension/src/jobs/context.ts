// What can be done about a job, handed down once.

import { createContext, useContext } from 'react';
import type { JobView } from '../api/generated.js';

export interface JobActions {
  readonly cancel: (job: JobView) => void;
  readonly goToCell: (job: JobView) => void;
  /** What a person calls a job; null where it is not known here. */
  readonly nameOf: (job: string) => string | null;
  /** Whether Jupyter can open what lies in the project folder. */
  readonly canOpen: (notebook: string) => boolean;
}

const Context = createContext<JobActions>({
  cancel: () => undefined,
  goToCell: () => undefined,
  nameOf: () => null,
  canOpen: () => false
});

/** A job somebody asked to see; `turn` tells one such wish from the next. */
export interface Wanted {
  readonly job: string;
  readonly log: boolean;
  readonly turn: number;
}

const WantedContext = createContext<Wanted | null>(null);

export const WantedProvider = WantedContext.Provider;

/** The wish to see this job, if there is one. */
export function useWanted(job: string): Wanted | null {
  const wanted = useContext(WantedContext);
  return wanted?.job === job ? wanted : null;
}

export const JobActionsProvider = Context.Provider;

export function useJobActions(): JobActions {
  return useContext(Context);
}
