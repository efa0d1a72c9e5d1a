// What can be done about a holder of memory, handed down once.

import { createContext, useContext } from 'react';
import type { GpuHolder, GpuView } from '../api/generated.js';

export interface MachineActions {
  /** Whether there is a notebook or a job to be shown. */
  readonly canOpen: (holder: GpuHolder) => boolean;
  readonly open: (holder: GpuHolder) => void;
  readonly canFree: (holder: GpuHolder) => boolean;
  readonly isFreeing: (holder: GpuHolder) => boolean;
  readonly free: (gpu: GpuView, holder: GpuHolder) => void;
}

const Context = createContext<MachineActions>({
  canOpen: () => false,
  open: () => undefined,
  canFree: () => false,
  isFreeing: () => false,
  free: () => undefined
});

export const MachineActionsProvider = Context.Provider;

export function useMachineActions(): MachineActions {
  return useContext(Context);
}
