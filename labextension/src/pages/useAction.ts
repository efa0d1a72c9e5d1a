// Something a person asks for here and waits for: whether it is under way, and why it was refused.

import { useEffect, useRef, useState } from 'react';

export interface Action {
  readonly busy: boolean;
  /** Why the last one did not work; null where it did. */
  readonly problem: unknown;
  /** Do it, unless something is under way; say whether it worked. */
  readonly act: (work: () => Promise<unknown>) => Promise<boolean>;
}

export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const gone = useRef(false);
  useEffect(() => {
    gone.current = false;
    return () => {
      gone.current = true;
    };
  }, []);
  const act = async (work: () => Promise<unknown>): Promise<boolean> => {
    if (busy) {
      return false;
    }
    setBusy(true);
    setProblem(null);
    try {
      await work();
      return true;
    } catch (error) {
      if (!gone.current) {
        setProblem(error);
      }
      return false;
    } finally {
      if (!gone.current) {
        setBusy(false);
      }
    }
  };
  return { busy, problem, act };
}
