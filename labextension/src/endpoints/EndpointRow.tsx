// One deployment: how it is, what it serves, where it answers, and what can be done about it.

import React, { useId, useState } from 'react';
import { Log } from '../log/Log.js';
import { LogButton } from '../log/LogButton.js';
import { useSection } from '../sections/context.js';
import { LongText } from '../sections/LongText.js';
import { Row } from '../sections/Row.js';
import { restartsText } from '../sections/words.js';
import { CopyButton } from '../sections/CopyButton.js';
import type { ShownEndpoint } from './reconcile.js';

export interface EndpointRowProps {
  endpoint: ShownEndpoint;
  /** Whether somebody here asked for its end. */
  stopping: boolean;
  onStop: (name: string) => void;
  onOpen: (name: string) => void;
}

export function EndpointRow(props: EndpointRowProps): React.JSX.Element {
  const { endpoint, onStop, onOpen } = props;
  const { name, model, engine, state, message, restarts, url, job } = endpoint;
  const { trans } = useSection();
  const [open, setOpen] = useState(false);
  const log = useId();
  const stopping = props.stopping || state === 'stopping';
  const again = restartsText(restarts, trans);
  return (
    <Row
      data={{ 'data-testid': 'snapml-endpoint', 'data-name': name }}
      name={name}
      state={state}
      onOpen={() => onOpen(name)}
      saying={stopping ? 'stopping' : state}
      actions={
        <>
          <StopButton
            name={name}
            stopped={state === 'stopped'}
            stopping={stopping}
            onStop={onStop}
          />
          {job !== null && (
            <LogButton
              name={name}
              open={open}
              controls={log}
              onToggle={() => setOpen(!open)}
              testid="snapml-endpoint-log"
            />
          )}
        </>
      }
    >
      <div className="snapml-Row-message" dir="auto">
        {trans.__('%1, by %2', model, engine)}
      </div>
      {again !== '' && <div className="snapml-Row-again">{again}</div>}
      {message !== null && message !== '' && (
        <LongText className="snapml-Row-fault" text={message} />
      )}
      {url !== null && (
        <div className="snapml-Address">
          <code title={url}>{url}</code>
          <CopyButton
            text={url}
            label={trans.__('Copy the address of %1', name)}
            testid="snapml-endpoint-copy"
          />
        </div>
      )}
      {open && job !== null && <Log job={job} name={name} id={log} />}
    </Row>
  );
}

// A disabled button keeps the focus and its tooltip: `aria-disabled`, not `disabled`.

function StopButton(props: {
  name: string;
  stopped: boolean;
  stopping: boolean;
  onStop: (name: string) => void;
}): React.JSX.Element {
  const { name, stopped, stopping, onStop } = props;
  const { trans } = useSection();
  const [words, label] = stopping
    ? [trans.__('Stopping…'), trans.__('Stopping %1', name)]
    : stopped
      ? [trans.__('Remove'), trans.__('Remove %1', name)]
      : [trans.__('Stop'), trans.__('Stop %1', name)];
  return (
    <button
      type="button"
      className="snapml-Link"
      data-testid="snapml-endpoint-stop"
      aria-disabled={stopping}
      aria-label={label}
      onClick={() => !stopping && onStop(name)}
    >
      {words}
    </button>
  );
}
