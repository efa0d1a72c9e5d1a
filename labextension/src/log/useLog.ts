// Reads the end of a job's log, and follows it while it grows.

import { useEffect, useRef, useState } from 'react';
import { type Problem, toProblem } from '../api/errors.js';
import { useSection } from '../sections/context.js';
import { append, EMPTY_LOG, type LogText, tail } from './logText.js';

const POLL_MS = 700;
const RETRY_MS = 3_000;
/** Bytes a page, and of the end at first; a full one is followed by the next at once. */
const PAGE = 262_144;

export interface Log {
  readonly text: LogText;
  readonly ended: boolean;
  /** Whether a first page has come. */
  readonly loaded: boolean;
  readonly problem: Problem | null;
}

const NO_LOG: Log = {
  text: EMPTY_LOG,
  ended: false,
  loaded: false,
  problem: null
};

export function useLog(job: string): Log {
  const { client, trans, visible } = useSection();
  const [log, setLog] = useState(NO_LOG);
  // Where to read on: kept while the panel is hidden.
  const next = useRef({ offset: -PAGE, ended: false });

  useEffect(() => {
    if (!visible || next.current.ended) {
      return undefined;
    }
    const ending = new AbortController();
    let timer = 0;
    const read = async (): Promise<void> => {
      let pause = POLL_MS;
      try {
        const params = { job, offset: next.current.offset, limit: PAGE };
        const { signal } = ending;
        const page = await client.call('jobs/logs', params, { signal });
        if (signal.aborted) {
          return;
        }
        next.current = { offset: page.next_offset, ended: page.ended };
        setLog(log => ({
          text:
            !log.loaded && page.offset > 0
              ? tail(page.content)
              : append(log.text, page.content),
          ended: page.ended,
          loaded: true,
          problem: null
        }));
        if (page.ended) {
          return;
        }
        if (page.next_offset - page.offset >= PAGE) {
          pause = 0;
        }
      } catch (error) {
        if (ending.signal.aborted) {
          return;
        }
        setLog(log => ({ ...log, problem: toProblem(error, trans) }));
        pause = RETRY_MS;
      }
      timer = window.setTimeout(() => void read(), pause);
    };
    void read();
    return () => {
      ending.abort();
      window.clearTimeout(timer);
    };
  }, [job, client, trans, visible]);

  return log;
}
