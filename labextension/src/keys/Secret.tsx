// The text of a new key, until the reader has it.

import React, { useEffect, useRef } from 'react';
import { Act } from '../pages/parts.js';
import { useSection } from '../sections/context.js';
import { CopyButton } from '../sections/CopyButton.js';

/** A key that was just made: its text is here and nowhere else. */
export interface Made {
  readonly name: string;
  readonly secret: string;
}

export function Secret(props: {
  made: Made;
  onDone: () => void;
}): React.JSX.Element {
  const { made, onDone } = props;
  const { trans } = useSection();
  const text = useRef<HTMLElement>(null);
  useEffect(() => text.current?.focus(), [made]);
  return (
    <div
      className="snapml-Flag snapml-is-good snapml-Secret"
      role="status"
      data-testid="snapml-key-secret"
    >
      <span>
        {trans.__(
          'This is the key of %1. It is shown this once: keep it in an environment variable, not in a notebook.',
          made.name
        )}
      </span>
      <code
        ref={text}
        tabIndex={0}
        role="textbox"
        aria-readonly
        aria-label={trans.__('Key')}
      >
        {made.secret}
      </code>
      <span className="snapml-Page-acts">
        <CopyButton
          text={made.secret}
          label={trans.__('Copy the key of %1', made.name)}
          testid="snapml-key-copy"
        />
        <Act onClick={onDone} testid="snapml-key-kept">
          {trans.__('I have it')}
        </Act>
      </span>
    </div>
  );
}
