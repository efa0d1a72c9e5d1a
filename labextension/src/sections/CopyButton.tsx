// Puts a text on the clipboard, and says so for a moment.

import { Clipboard } from '@jupyterlab/apputils';
import React, { useEffect, useState } from 'react';
import { useSection } from './context.js';

const SAID_MS = 2_000;

export function CopyButton(props: {
  text: string;
  /** What the button is called: "Copy the address of …". */
  label: string;
  testid: string;
}): React.JSX.Element {
  const { text, label, testid } = props;
  const { trans } = useSection();
  const [copied, setCopied] = useState(0);

  useEffect(() => {
    if (copied === 0) {
      return undefined;
    }
    const timer = window.setTimeout(() => setCopied(0), SAID_MS);
    return () => window.clearTimeout(timer);
  }, [copied]);

  return (
    <button
      type="button"
      className="snapml-Link"
      data-testid={testid}
      aria-label={copied > 0 ? trans.__('Copied') : label}
      onClick={() => {
        Clipboard.copyToSystem(text);
        setCopied(copied + 1);
      }}
    >
      {copied > 0 ? trans.__('Copied') : trans.__('Copy')}
    </button>
  );
}
