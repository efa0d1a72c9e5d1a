// Why a section cannot show what is: the server refused, or does not answer.

import React from 'react';
import { toProblem, UnreachableError } from '../api/errors.js';
import { useSection } from './context.js';

export interface ProblemProps {
  /** What went wrong last; null where nothing did. */
  error: unknown;
  /** Whether something older is shown below. */
  loaded: boolean;
  testid: string;
}

export function Problem(props: ProblemProps): React.JSX.Element | null {
  const { error, loaded, testid } = props;
  const { trans } = useSection();
  if (error === null) {
    return null;
  }
  const { message, fix } =
    loaded && error instanceof UnreachableError
      ? {
          message: trans.__('Not connected'),
          fix: trans.__('This is the last known state.')
        }
      : toProblem(error, trans);
  return (
    <div className="snapml-Notice" role="status" data-testid={testid}>
      <strong>{message}</strong>
      {fix !== null && <span>{fix}</span>}
    </div>
  );
}
