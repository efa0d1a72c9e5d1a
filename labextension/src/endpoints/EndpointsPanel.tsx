// The section's frame: the gateway, then what answers behind it.

import React, { useId, useState } from 'react';
import { STATE_ICONS } from '../icons.js';
import { Log } from '../log/Log.js';
import { LogButton } from '../log/LogButton.js';
import { useSection } from '../sections/context.js';
import { Line } from '../sections/Line.js';
import { LongText } from '../sections/LongText.js';
import { Problem } from '../sections/Problem.js';
import { restartsText, stateWord } from '../sections/words.js';
import { EndpointRow } from './EndpointRow.js';
import type { Picture, Service } from './reconcile.js';

export interface EndpointsPanelProps {
  /** Null before the first list. */
  picture: Picture | null;
  /** Why there is no fresh list; null where there is one. */
  problem: unknown;
  /** Names of deployments somebody asked to stop here. */
  stopping: ReadonlySet<string>;
  onStop: (name: string) => void;
  onOpen: (name: string) => void;
  onKeys: () => void;
}

export function EndpointsPanel(props: EndpointsPanelProps): React.JSX.Element {
  const { picture, problem, stopping, onStop, onOpen, onKeys } = props;
  const { trans } = useSection();
  return (
    <>
      <Problem
        error={problem}
        loaded={picture !== null}
        testid="snapml-endpoints-problem"
      />
      {picture === null ? (
        problem === null && (
          <p className="snapml-Quiet">{trans.__('Reading the endpoints…')}</p>
        )
      ) : (
        <>
          {(picture.endpoints.length > 0 ||
            picture.gateway.state !== 'stopped') && (
            <Gateway gateway={picture.gateway} onKeys={onKeys} />
          )}
          {picture.endpoints.length === 0 && <Welcome />}
          {/* Browsers drop the role of a list drawn without bullets. */}
          <ul
            className="snapml-Rows"
            role="list"
            aria-label={trans.__('Endpoints')}
          >
            {picture.endpoints.map(endpoint => (
              <li key={endpoint.name} role="listitem">
                <EndpointRow
                  endpoint={endpoint}
                  stopping={stopping.has(endpoint.name)}
                  onStop={onStop}
                  onOpen={onOpen}
                />
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

/** One line, and more only where something is the matter. */
function Gateway(props: {
  gateway: Service;
  onKeys: () => void;
}): React.JSX.Element {
  const { gateway, onKeys } = props;
  const { state, message, restarts, job } = gateway;
  const { trans } = useSection();
  const [open, setOpen] = useState(false);
  const log = useId();
  const Icon = STATE_ICONS[state];
  const again = restartsText(restarts, trans);
  return (
    <div
      className="snapml-Gateway"
      data-testid="snapml-gateway"
      data-state={state}
    >
      <div className="snapml-Gateway-line">
        <Icon.react
          tag="span"
          className={`snapml-Row-icon snapml-is-${state}`}
          aria-hidden
        />
        <span className="snapml-Gateway-words">
          {trans.__('Gateway: %1', stateWord(state, trans))}
        </span>
        <button
          type="button"
          className="snapml-Link"
          data-testid="snapml-gateway-keys"
          aria-label={trans.__('API keys of the gateway')}
          onClick={onKeys}
        >
          {trans.__('Keys')}
        </button>
        {job !== null && (
          <LogButton
            name={trans.__('the gateway')}
            open={open}
            controls={log}
            onToggle={() => setOpen(!open)}
            testid="snapml-gateway-log"
          />
        )}
      </div>
      {again !== '' && <div className="snapml-Row-again">{again}</div>}
      {message !== null && message !== '' && (
        <LongText className="snapml-Row-fault" text={message} />
      )}
      {open && job !== null && (
        <Log job={job} name={trans.__('the gateway')} id={log} />
      )}
    </div>
  );
}

function Welcome(): React.JSX.Element {
  const { trans } = useSection();
  return (
    <div className="snapml-Welcome" data-testid="snapml-endpoints-none">
      <p>
        <strong>{trans.__('Nothing is deployed')}</strong>
      </p>
      <p>{trans.__('Serve a model, your own or an LLM, from a notebook:')}</p>
      <Line words="%snapml deploy MODEL" />
    </div>
  );
}
