// The shape of anything that has a state: icon and word, a name, what can be done about it, and details below.

import React from 'react';
import { STATE_ICONS } from '../icons.js';
import type { ShownState } from '../tokens.js';
import { useSection } from './context.js';
import { stateWord } from './words.js';

export interface RowProps {
  name: string;
  state: ShownState;
  /** The state in words where it is not the icon's own. */
  saying?: ShownState;
  /** At the end of the name's line. */
  aside?: React.ReactNode;
  /** Called where its name is pressed; without it, the name is no button. */
  onOpen?: () => void;
  /** What kind of thing it is, beside the state. */
  kind?: string;
  actions: React.ReactNode;
  children?: React.ReactNode;
  /** The outermost element. */
  node?: React.Ref<HTMLDivElement>;
  /** Of the outermost element. */
  data: Record<`data-${string}`, string>;
}

export function Row(props: RowProps): React.JSX.Element {
  const { name, state, saying, aside, kind, actions, children, node, data } =
    props;
  const { onOpen } = props;
  const { trans } = useSection();
  const Icon = STATE_ICONS[state];
  return (
    <div ref={node} className="snapml-Row" data-state={state} {...data}>
      <Icon.react
        tag="span"
        className={`snapml-Row-icon snapml-is-${state}`}
        aria-hidden
      />
      <div className="snapml-Row-body">
        <div className="snapml-Row-head">
          {onOpen === undefined ? (
            <span className="snapml-Row-name" dir="auto" title={name}>
              {name}
            </span>
          ) : (
            <button
              type="button"
              className="snapml-Named snapml-Row-name"
              dir="auto"
              title={name}
              onClick={onOpen}
            >
              {name}
            </button>
          )}
          {aside}
        </div>
        <div className="snapml-Row-line">
          <span className="snapml-Row-meta">
            <span className="snapml-Row-state">
              {stateWord(saying ?? state, trans)}
            </span>
            {kind !== undefined && (
              <span className="snapml-Row-kind" title={kind}>
                {kind}
              </span>
            )}
          </span>
          <span className="snapml-Row-actions">{actions}</span>
        </div>
        {children}
      </div>
    </div>
  );
}
