// What pages are made of: parts under a heading, facts, a way back to the cell, and what is refused.

import React, { useId } from 'react';
import { Problem } from '../sections/Problem.js';
import { useSection } from '../sections/context.js';
import { usePage } from './context.js';

/** A part of a page, under a heading. */
export function Part(props: {
  title: string;
  /** Beside the heading. */
  aside?: React.ReactNode;
  testid?: string;
  children: React.ReactNode;
}): React.JSX.Element {
  const { title, aside, testid, children } = props;
  const heading = useId();
  return (
    <section
      className="snapml-Page-part"
      aria-labelledby={heading}
      data-testid={testid}
    >
      <div className="snapml-Page-heading">
        <h2 id={heading}>{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}

/** Names and what is known of them; what is not known is left out. */
export function Facts(props: {
  facts: readonly (readonly [string, React.ReactNode])[];
}): React.JSX.Element {
  const known = props.facts.filter(
    ([, value]) => value !== null && value !== undefined && value !== ''
  );
  return (
    <dl className="snapml-Facts">
      {known.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd dir="auto">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A word that leads somewhere. */
export function Go(props: {
  onClick: () => void;
  children: React.ReactNode;
  label?: string;
  testid?: string;
}): React.JSX.Element {
  const { onClick, children, label, testid } = props;
  return (
    <button
      type="button"
      className="snapml-Go"
      aria-label={label}
      data-testid={testid}
      onClick={onClick}
    >
      {children}
    </button>
  );
}

/** A button that does something; one that cannot be pressed now keeps the focus and says why. */
export function Act(props: {
  onClick: () => void;
  children: React.ReactNode;
  /** Why it cannot be pressed now. */
  barred?: string | null;
  busy?: boolean;
  strong?: boolean;
  /** Whether Enter in a field of its form presses it. */
  submit?: boolean;
  label?: string;
  testid?: string;
}): React.JSX.Element {
  const { onClick, children, barred, busy, strong, submit, label, testid } =
    props;
  const off = busy === true || (barred !== null && barred !== undefined);
  return (
    <button
      type={submit ? 'submit' : 'button'}
      className={strong ? 'snapml-Act snapml-is-strong' : 'snapml-Act'}
      aria-disabled={off}
      aria-label={label}
      title={barred ?? undefined}
      data-testid={testid}
      onClick={event => {
        event.preventDefault();
        if (!off) {
          onClick();
        }
      }}
    >
      {children}
    </button>
  );
}

/** Back to the cell it came from, where there is one that Jupyter can open. */
export function CellButton(props: {
  notebook: string | null;
  cell: string | null;
}): React.JSX.Element | null {
  const { notebook, cell } = props;
  const { trans } = useSection();
  const { goToCell, canOpen } = usePage();
  if (notebook === null || !canOpen(notebook)) {
    return null;
  }
  return (
    <Act onClick={() => goToCell(notebook, cell)} testid="snapml-go-to-cell">
      {cell === null ? trans.__('Open notebook') : trans.__('Go to cell')}
    </Act>
  );
}

/** Why something asked for here was refused. */
export function Refusal(props: { problem: unknown }): React.JSX.Element | null {
  return (
    <Problem error={props.problem} loaded={false} testid="snapml-refusal" />
  );
}
