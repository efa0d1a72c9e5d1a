// A form that is sent: what is wrong with it, seen here or said by the server, and the focus on the first such field.

import { useEffect, useRef, useState } from 'react';
import { type Faults, faultOf } from './faults.js';
import { useAction } from './useAction.js';

export interface Form<F extends string> {
  readonly frame: React.RefObject<HTMLFormElement>;
  readonly busy: boolean;
  readonly faults: Faults<F>;
  /** What was refused without naming a field; null where nothing was. */
  readonly problem: unknown;
  /** Send it, unless there is something wrong already. */
  readonly send: (
    faults: Faults<F>,
    work: () => Promise<unknown>
  ) => Promise<void>;
}

export function useForm<F extends string>(fields: readonly F[]): Form<F> {
  const { busy, problem, act } = useAction();
  const [seen, setSeen] = useState<Faults<F>>({});
  const frame = useRef<HTMLFormElement>(null);
  const said = faultOf(problem, fields);
  const faults = { ...said, ...seen };
  const wrong = Object.keys(faults).join();
  useEffect(() => {
    if (wrong !== '') {
      const field = frame.current?.querySelector<HTMLElement>(
        '[aria-invalid="true"]'
      );
      const fold = field?.closest('details');
      if (fold) {
        fold.open = true;
      }
      field?.focus();
    }
  }, [wrong, seen, problem]);
  const send = async (
    found: Faults<F>,
    work: () => Promise<unknown>
  ): Promise<void> => {
    setSeen(found);
    if (Object.keys(found).length === 0) {
      await act(work);
    }
  };
  return {
    frame,
    busy,
    faults,
    problem: said === null ? problem : null,
    send
  };
}
