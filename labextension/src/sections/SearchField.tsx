// A field to search by: asks when the typing rests or on Enter, remembers what was asked, and says what is wrong with it.

import React, { useEffect, useId, useRef, useState } from 'react';
import { toProblem } from '../api/errors.js';
import { useSection } from './context.js';

/** Milliseconds the typing rests before it is asked. */
const REST_MS = 500;

export interface SearchFieldProps {
  label: string;
  placeholder: string;
  /** What is asked now. */
  value: string;
  /** `meant`: with Enter, not in passing while it was typed. */
  onAsk: (text: string, meant: boolean) => void;
  /** What was asked before, latest first. */
  history?: readonly string[];
  /** Why it was refused; null where it was not. */
  problem?: unknown;
  testid: string;
}

export function SearchField(props: SearchFieldProps): React.JSX.Element {
  const { label, placeholder, value, onAsk, testid } = props;
  const { history = [], problem = null } = props;
  const { trans } = useSection();
  const [text, setText] = useState(value);
  const [asked, setAsked] = useState(value);
  const list = useId();
  const wrong = useId();
  const timer = useRef(0);
  // Asked from elsewhere, as at a restoration: the field follows.
  if (asked !== value) {
    setAsked(value);
    setText(value);
  }
  useEffect(() => () => window.clearTimeout(timer.current), []);

  const ask = (now: string, meant = false): void => {
    window.clearTimeout(timer.current);
    setAsked(now.trim());
    onAsk(now.trim(), meant);
  };
  const type = (now: string): void => {
    setText(now);
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => ask(now), REST_MS);
  };
  const told = problem === null ? null : toProblem(problem, trans);
  return (
    <div className="snapml-Search" role="search" aria-label={label}>
      <input
        type="search"
        spellCheck={false}
        autoComplete="off"
        aria-label={label}
        aria-invalid={told !== null}
        aria-describedby={told === null ? undefined : wrong}
        placeholder={placeholder}
        list={history.length > 0 ? list : undefined}
        value={text}
        data-testid={testid}
        onChange={event => type(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Enter') {
            ask(text, true);
          } else if (event.key === 'Escape' && text !== '') {
            event.stopPropagation();
            setText('');
            ask('');
          }
        }}
      />
      {history.length > 0 && (
        <datalist id={list}>
          {history.map(entry => (
            <option key={entry} value={entry} />
          ))}
        </datalist>
      )}
      {told !== null && (
        <div
          id={wrong}
          role="status"
          className="snapml-Search-wrong"
          data-testid={`${testid}-wrong`}
        >
          <strong>{told.message}</strong>
          {told.fix !== null && <span>{told.fix}</span>}
        </div>
      )}
    </div>
  );
}
