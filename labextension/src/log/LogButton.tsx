// Shows and hides a job's log.

import React from 'react';
import { useSection } from '../sections/context.js';

export interface LogButtonProps {
  /** Whose log. */
  name: string;
  open: boolean;
  /** Id of the log's element. */
  controls: string;
  onToggle: () => void;
  testid: string;
}

export function LogButton(props: LogButtonProps): React.JSX.Element {
  const { name, open, controls, onToggle, testid } = props;
  const { trans } = useSection();
  return (
    <button
      type="button"
      className="snapml-Link"
      data-testid={testid}
      aria-expanded={open}
      aria-controls={open ? controls : undefined}
      aria-label={
        open ? trans.__('Hide log of %1', name) : trans.__('Log of %1', name)
      }
      onClick={onToggle}
    >
      {open ? trans.__('Hide log') : trans.__('Log')}
    </button>
  );
}
