// A job's output, in place: the end is kept in view unless the reader scrolled up.

import React, { useLayoutEffect, useRef } from 'react';
import { useSection } from '../sections/context.js';
import { useLog } from './useLog.js';

/** Pixels from the end that still count as being there. */
const NEAR = 12;

function isAtEnd(node: Element): boolean {
  return node.scrollHeight - node.scrollTop - node.clientHeight < NEAR;
}

export interface LogProps {
  /** The job's id. */
  job: string;
  /** What the reader knows it by. */
  name: string;
  /** Id of the element. */
  id: string;
}

export function Log(props: LogProps): React.JSX.Element {
  const { job, name, id } = props;
  const { trans } = useSection();
  const { text, ended, loaded, problem } = useLog(job);
  const region = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const put = useRef(0);
  const empty = text.lines.length === 1 && text.lines[0] === '';

  useLayoutEffect(() => {
    const node = region.current;
    if (node === null || !following.current) {
      return;
    }
    // Of a reader who scrolled up in this very frame no event has come yet.
    if (node.scrollTop >= put.current - NEAR || isAtEnd(node)) {
      node.scrollTop = node.scrollHeight;
      put.current = node.scrollTop;
    }
  }, [text]);

  const hint = !loaded
    ? (problem?.message ?? trans.__('Reading…'))
    : empty
      ? ended
        ? trans.__('This job wrote no output.')
        : trans.__('No output yet.')
      : null;

  return (
    <div className="snapml-Log" id={id}>
      <div
        className="snapml-Log-region"
        data-testid="snapml-job-log-text"
        ref={region}
        role="log"
        aria-live="off"
        aria-label={trans.__('Log of %1', name)}
        tabIndex={0}
        onScroll={event => {
          following.current = isAtEnd(event.currentTarget);
          if (following.current) {
            put.current = event.currentTarget.scrollTop;
          }
        }}
      >
        {text.cut && (
          <div className="snapml-Log-hint">
            {trans.__('Older output is not shown.')}
          </div>
        )}
        {hint !== null ? (
          <div className="snapml-Log-hint">{hint}</div>
        ) : (
          <pre>{text.lines.join('\n')}</pre>
        )}
      </div>
      {loaded && problem !== null && (
        <div className="snapml-Log-hint" role="status">
          {problem.message} {problem.fix}
        </div>
      )}
    </div>
  );
}
