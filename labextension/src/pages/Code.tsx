// Code and what differs in it, as text.

import React from 'react';
import { useSection } from '../sections/context.js';
import { diffLines } from './diff.js';

export function Code(props: {
  text: string;
  label: string;
}): React.JSX.Element {
  const { text, label } = props;
  return (
    <pre
      className="snapml-Code"
      tabIndex={0}
      role="region"
      aria-label={label}
      data-testid="snapml-code"
    >
      {text}
    </pre>
  );
}

/** A unified diff; its signs say what its colours repeat. */
export function Diff(props: {
  text: string;
  label: string;
}): React.JSX.Element {
  const { text, label } = props;
  const { trans } = useSection();
  return (
    <pre
      className="snapml-Code snapml-Diff"
      tabIndex={0}
      role="region"
      aria-label={label}
      data-testid="snapml-diff"
    >
      {diffLines(text).map((line, index) => (
        <span key={index} data-kind={line.kind}>
          {line.kind === 'added' && (
            <span className="snapml-heard">{trans.__('added:')}</span>
          )}
          {line.kind === 'removed' && (
            <span className="snapml-heard">{trans.__('removed:')}</span>
          )}
          {line.text}
          {'\n'}
        </span>
      ))}
    </pre>
  );
}
