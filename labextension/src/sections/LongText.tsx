// Text of any length: more than a few lines are folded.

import React, { useState } from 'react';
import { useSection } from './context.js';

/** More characters than this are folded to a few lines. */
const LONG = 240;

export interface LongTextProps {
  className: string;
  text: string;
}

export function LongText(props: LongTextProps): React.JSX.Element {
  const { trans } = useSection();
  const [open, setOpen] = useState(false);
  const { text } = props;
  const long = text.length > LONG || text.split('\n').length > 4;
  const folded = long && !open;
  return (
    <div className={props.className}>
      <div className={folded ? 'snapml-folded' : undefined} dir="auto">
        {text}
      </div>
      {long && (
        <button
          type="button"
          className="snapml-Link"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          {open ? trans.__('Show less') : trans.__('Show all')}
        </button>
      )}
    </div>
  );
}
